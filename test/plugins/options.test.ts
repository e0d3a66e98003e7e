// Options and demands of requireToken in programs without types: each wrong or misspelt one is a TypeError at the start that names it.
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { createVerifier, mutualTls, type RequireTokenOptions, requireToken } from 'tlsbound'
import * as express from 'tlsbound/express'
import * as hono from 'tlsbound/hono'
import * as koa from 'tlsbound/koa'
import { startServer } from 'tlsbound/server'
import { demoRegistrations } from '../../src/process/demo.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { accepted, connect, material, reading, writing } from '../helpers/server/bound-api.ts'

/** Wrong options of every adapter. */
const wrongOptions: readonly (readonly [options: unknown, message: string | RegExp])[] = [
  [undefined, 'options must be an object with issuer, audience, not undefined'],
  ['notes:read', /^options must be an object with issuer, audience, not "notes:read"$/],
  [{ ...accepted, scopes: 'notes:write' }, 'scopes is not an option; did you mean scope?'],
  [{ ...accepted, isrevoked: () => true }, 'isrevoked is not an option; did you mean isRevoked?'],
  [{ ...accepted, isRevoked: new Set() }, /^isRevoked must be a function/],
  [{ ...accepted, onRefusal: 'x' }, 'onRefusal must be a function, not "x"'],
  [{ ...accepted, jwks: 'https://as.example/keys' }, /^jwks must be an object/],
  [{ ...accepted, jwks: { ca: 'certs/ca.crt' } }, /^jwks\.ca must be valid certificates in PEM/],
  [{ ...accepted, audience: 7 }, /^audience must be .* not 7$/],
]

/** Wrong demands of a route. Messages begin with the name of the demand. */
const wrongDemands: readonly (readonly [demand: unknown, message: string])[] = [
  ['notes:write', ' must be an object with scope, binding, proof, not "notes:write"'],
  [['notes:write'], ' must be an object with scope, binding, proof, not a list'],
  [null, ' must be an object with scope, binding, proof, not null'],
  [false, ' must be an object with scope, binding, proof, not false'],
  [{ scopes: 'notes:write' }, '.scopes is not an option; did you mean NAME.scope?'],
  [{ bindings: 'connection' }, '.bindings is not an option; did you mean NAME.binding?'],
  [{ scope: ['notes:write'] }, '.scope must be scope tokens separated by single spaces, not a list'],
  [{ binding: 'tls' }, '.binding must be one of certificate, proof, connection, not "tls"'],
  [{ proof: true }, '.proof must be per-request, signed-request or absent, not true'],
]
const named = (message: string, name: string) => `${name}${message.replaceAll('NAME', name)}`

for (const [framework, adapter] of Object.entries({ express, koa, hono }))
  t.test(`tlsbound/${framework} names a wrong option or demand at the start`, async t => {
    const protect = adapter.requireToken as (...given: unknown[]) => unknown
    const verifier = createVerifier(accepted)
    for (const given of [
      [accepted],
      [verifier],
      [verifier, { scope: 'notes:read' }],
      [accepted, undefined],
      [accepted, {}],
    ])
      t.doesNotThrow(() => protect(...given), 'control')
    for (const [options, message] of wrongOptions)
      t.throws(() => protect(options), { name: 'TypeError', message }, String(message))
    for (const [demand, message] of wrongDemands) {
      const expected = { name: 'TypeError', message: named(message, 'demand') }
      t.throws(() => protect(verifier, demand), expected, message)
      t.throws(() => protect(accepted, demand), expected)
    }
  })

t.test('Fastify rejects the registration with a wrong option, and names it', async t => {
  const register = async (options: unknown) => {
    const app = Fastify({ serverFactory: mutualTls(material) })
    t.teardown(() => app.close())
    await app.register(requireToken, options as RequireTokenOptions)
  }
  await t.resolves(register(accepted), 'control')
  await t.resolves(register({ ...accepted, prefix: '/api', logLevel: 'warn' }), 'options of Fastify itself')
  for (const [options, message] of wrongOptions) {
    if (typeof options !== 'object') continue // Fastify replaces it by an empty object
    await t.rejects(register(options), { name: 'TypeError', message }, String(message))
  }
  await t.rejects(register(undefined), { name: 'TypeError', message: /^issuer must be/ })
  await t.rejects(register(createVerifier(accepted)), { name: 'TypeError', message: /verify is not an option/ })
  await t.rejects(register({ verifier: createVerifier(accepted) }), {
    message: /^verifier must be absent: the options of/,
  })
})

/** Adds a route with this configuration. @throws TypeError of its demand */
function addRoute(app: FastifyInstance, config: object, path = '/route'): void {
  app.get(path, { config }, async () => 'answer')
}

t.test('Fastify rejects a route whose demand is wrong, and names it', async t => {
  const app = Fastify({ serverFactory: mutualTls(material) })
  await app.register(requireToken, accepted)
  for (const [demand, message] of wrongDemands)
    t.throws(
      () => addRoute(app, { requireToken: demand }),
      { name: 'TypeError', message: named(message, 'config.requireToken') },
      message,
    )
  for (const name of ['requiretoken', 'requireTokens', 'RequireToken'])
    t.throws(() => addRoute(app, { [name]: { scope: 'notes:write' } }), {
      name: 'TypeError',
      message: `config.${name} is not an option; did you mean config.requireToken?`,
    })
  addRoute(app, { requireToken: { scope: 'notes:write' }, rateLimit: { max: 1 } }, '/write')
  addRoute(app, {}, '/read')
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const { port } = app.server.address() as { port: number }
  const here = await connect(t, port)
  t.match(await here.get('/write', reading), { status: 403 })
  t.match(await here.get('/write', writing), { status: 200 }, 'control')
  t.match(await here.get('/read', reading), { status: 200 }, 'control')
})

t.test('startServer rejects routes whose demand is wrong', async t => {
  const start = async (config: object) =>
    startServer({
      settings: {
        port: await findFreePort(),
        host: '127.0.0.1',
        opsPort: 0,
        stateUrl: 'sqlite::memory:',
        logLevel: 'silent',
      },
      tls: material,
      clients: demoRegistrations,
      routes: app => addRoute(app, config),
    })
  await (await start({ requireToken: { scope: 'notes:write' } })).close() // control
  await t.rejects(start({ requireToken: { scopes: 'notes:write' } }), {
    name: 'TypeError',
    message: 'config.requireToken.scopes is not an option; did you mean config.requireToken.scope?',
  })
})
