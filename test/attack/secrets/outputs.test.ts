// A server with every feature on, and the commands around it: forty secrets are planted, then searched for in every output.
// LK01, LK14, I4. leak.test.ts searches the responses to clients.
import { hash, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { writeDemoPki } from '../../../src/pki/demo.ts'
import { findFreePort } from '../../../src/testing/free-port.ts'
import { runTlsbound, startTlsbound } from '../../helpers/process/process.ts'
import { openStream } from '../../helpers/server/live.ts'
import { startReceiver } from '../../helpers/server/webhook-receiver.ts'
import { refresh, register, revoke, startGrant } from '../../helpers/tokens/grants.ts'
import { until } from '../../helpers/until.ts'

t.setTimeout(180_000)
const folder = t.testdir()
const at = (name: string) => join(folder, name)
const write = (name: string, value: object | string) =>
  writeFileSync(at(name), typeof value === 'string' ? value : JSON.stringify(value), { mode: 0o600 })

/** Secrets by description, each in every spelling in which it could appear. */
const secrets = new Map<string, string[]>()
function plant(name: string, secret: string | Buffer): string {
  const octets = Buffer.from(secret)
  const encoded = (['hex', 'base64', 'base64url'] as const).map(form => octets.toString(form))
  secrets.set(name, [...(typeof secret === 'string' ? [secret] : []), ...encoded, [...octets].join()])
  return secret.toString()
}
function plantToken(name: string, token: string): string {
  plant(name, token)
  const [, claims, signature] = token.split('.')
  if (claims !== undefined && signature !== undefined) {
    plant(`${name}, claims`, claims)
    plant(`${name}, signature`, signature)
  }
  return token
}

/** The hash of the exporter value is published on purpose. */
const thumbprints: string[] = []

/** All output, by place. */
const outputs = new Map<string, string>()
const keep = (place: string, text: string) => outputs.set(place, `${outputs.get(place) ?? ''}${text}\n`)

t.test('uses every feature, with every kind of secret', async t => {
  const receiver = await startReceiver(t)
  write('receivers.crt', receiver.ca)
  const webhookSecret = `whsec_${Buffer.from(plant('the secret of a webhook', randomUUID())).toString('base64')}`
  plant('that secret as it is written', webhookSecret)
  const events = [
    'theft.suspected',
    'token.leaked',
    'refresh.reused',
    'token.refused',
    'token.issued',
    'client.changed',
  ]
  const url = `${receiver.url}?${plant('the query of a webhook', `key=${randomUUID()}`)}`
  write('webhooks.json', [{ url, secret: webhookSecret, events, ca_file: 'receivers.crt', allow_internal: true }])
  writeDemoPki(at('certs'))
  const opaque = { access_token_format: 'opaque', theft_response: 'revoke_grant' }
  const scope = 'notes:read notes:write leaks:report'
  write('clients.json', [
    register('alice', {
      scope,
      theft_response: 'revoke_token',
      token_bindings: ['connection', 'certificate', 'proof'],
    }),
    register('bob', { ...opaque, scope }),
    register('carol', { token_endpoint_auth_method: 'client_secret_basic' }),
  ])
  const opsPort = await findFreePort()
  const settings = {
    TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
    TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
    TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
    TLSBOUND_CLIENTS_FILE: 'clients.json',
    TLSBOUND_WEBHOOKS_FILE: 'webhooks.json',
    TLSBOUND_OPS_PORT: String(opsPort),
    TLSBOUND_LOG_LEVEL: 'debug',
    SOME_PASSWORD: plant('a variable of the environment', randomUUID()),
    PGPASSWORD: plant('the password of a database', randomUUID()),
  }
  for (const name of ['server', 'ca', 'alice', 'bob'])
    plant(`the key of ${name}`, readFileSync(at(`certs/${name}.key`), 'utf8').split('\n')[1] as string)

  for (const format of ['plain', 'ecs', 'ocsf']) {
    const server = await startTlsbound(t, folder, {
      ...settings,
      TLSBOUND_AUDIT_FILE: `${format}.jsonl`,
      TLSBOUND_AUDIT_FORMAT: format,
    })
    const name = (what: string) => `${what} (${format})`
    const opsToken = plant('the ops token', readFileSync(at('data/ops-token'), 'utf8').trim())
    const jwks = JSON.parse(readFileSync(at('data/signing-keys.json'), 'utf8'))
    plant('the private number of the signing key', jwks.keys[0].d)
    const ops = `http://127.0.0.1:${opsPort}`
    const live = await openStream({ ops: { url: ops, token: opsToken } })
    const [alice, bob] = [await server.connect('alice'), await server.connect('bob', { ALPNProtocols: ['h2'] })]
    for (const [who, { socket }] of Object.entries({ alice, bob }))
      for (const label of ['EXPORTER-Channel-Binding', 'EXPORTER-oauth-tls-session-bound'])
        plant(name(`${label} of ${who}`), socket.exportKeyingMaterial(32, label, Buffer.alloc(0)))

    for (const { socket } of [alice, bob])
      thumbprints.push(
        hash('sha256', socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)), 'base64url'),
      )

    // successes, thefts, a leak, a refresh token that is used twice, a secret, a query, an invalid body
    const bound = plantToken(name('a connection-bound token'), await alice.token())
    const proven = plantToken(name('a token with proof'), await alice.token({ token_binding: 'proof' }))
    const proof = plantToken(name('a proof'), alice.prove(proven))
    t.match(await alice.get('/api/whoami', bound), { status: 200 })
    t.match(await alice.get('/api/whoami', proven, proof), { status: 200 })
    const grant = await startGrant(alice, { token_binding: 'certificate' })
    const other = await startGrant(bob)
    for (const [what, { access, refresh: next }] of Object.entries({ 'a grant': grant, 'an opaque grant': other })) {
      plantToken(name(`the access token of ${what}`), access)
      plantToken(name(`the refresh token of ${what}`), next)
    }
    t.match(await bob.get('/api/whoami', grant.access), { status: 401 })
    t.match(await bob.get('/api/whoami', bound), { status: 401 })
    const second = await refresh(bob, other.refresh, { client_id: 'bob' })
    plantToken(name('the next refresh token'), second.body.refresh_token)
    const third = await refresh(bob, second.body.refresh_token, { client_id: 'bob' })
    plantToken(name('the one after that'), third.body.refresh_token)
    t.match(await refresh(bob, other.refresh, { client_id: 'bob' }), { body: { reason: 'refresh_reused' } })
    const last = await startGrant(bob)
    plantToken(name('a token that ends its grant'), last.access)
    plantToken(name('the refresh token of that grant'), last.refresh)
    t.match(await alice.get('/api/whoami', last.access), { status: 401 })
    t.match(await revoke(alice, bound), { status: 200 })
    const reporter = await alice.token({ scope: 'leaks:report' })
    const places = { url: `https://x/?${grant.access}`, source: other.access, type: grant.refresh }
    const report = JSON.stringify([{ token: grant.refresh, ...places }])
    const headers = { 'content-type': 'application/json' }
    t.match(await alice.call('/leaks', { method: 'POST', headers, body: report, token: reporter }), { status: 204 })
    plantToken(name('the token of the reporter'), reporter)
    const query = plant(name('a token in a query'), randomUUID())
    const hostile = plant(name('a header of a client'), randomUUID())
    t.match(await alice.get(`/api/whoami?access_token=${query}`), { status: 400 })
    t.match(await alice.call('/nothing', { headers: { 'user-agent': hostile, cookie: hostile } }), { status: 404 })
    const password = plant(name('the secret of a client'), randomUUID())
    const basic = `Basic ${Buffer.from(`carol:${password}`).toString('base64')}`
    const form = { authorization: basic, 'content-type': 'application/x-www-form-urlencoded' }
    t.match(
      await alice.call('/oauth/token', { method: 'POST', headers: form, body: 'grant_type=client_credentials' }),
      { status: 401 },
    )
    const secret = await runTlsbound(['clients', 'add-secret', 'carol', '--ops', ops, '--json'], folder)
    t.equal(secret.code, format === 'ocsf' ? 1 : 0, 'two secrets are good at once')
    if (secret.code === 0) plant(name('a generated secret'), JSON.parse(secret.stdout).secret)

    for (const path of ['/', '/health', '/ready', '/metrics'])
      keep(`ops ${path}`, await fetch(ops + path).then(answer => answer.text()))
    for (const path of ['/', '/binding', '/oauth/jwks', '/.well-known/oauth-authorization-server'])
      keep(`the page ${path}`, (await alice.call(path, { headers: { accept: 'text/html' } })).text)
    for (const args of [
      ...(format === 'plain'
        ? [
            ['clients', 'show', 'carol', '--ops', ops],
            ['keys', 'list'],
          ]
        : []),
      ['audit', 'verify', `${format}.jsonl`],
      ['revoke', '--all', '--ops', ops],
    ]) {
      const { stdout, stderr } = await runTlsbound(args, folder)
      keep(`tlsbound ${args[0]}`, stdout + stderr)
    }
    await until(() => receiver.delivered.some(({ json }) => json.type === 'token.leaked'))
    keep('the command line of the process', readFileSync(`/proc/${server.child.pid}/cmdline`, 'utf8'))
    await live.next(line => JSON.stringify(line).includes('refresh_reused'))
    keep('the live page', live.text())
    live.close()
    const { stdout, stderr } = await server.end('SIGTERM')
    keep('stdout and the log', stdout + stderr)
    keep(`events, ${format}`, readFileSync(at(`${format}.jsonl`), 'utf8'))
  }
  keep('webhooks', JSON.stringify(receiver.delivered.map(({ body, headers }) => [body, headers])))
})

t.test('shows no token or key in the output of a scan that finds them', async () => {
  write('found.txt', [...secrets].map(([name, [secret]]) => `${name}: ${secret}`).join('\n'))
  const { stdout, stderr } = await runTlsbound(['scan', 'found.txt', 'certs'], folder)
  const json = await runTlsbound(['scan', '--json', 'found.txt', 'certs'], folder)
  keep('tlsbound scan', stdout + stderr + json.stdout + json.stderr)
})

t.test('stores no token, in files that only the server can read', async t => {
  for (const name of readdirSync(at('data'))) {
    t.equal(statSync(at(`data/${name}`)).mode & 0o077, 0, name)
    if (name.startsWith('tlsbound.db')) keep('the state', readFileSync(at(`data/${name}`), 'latin1'))
  }
})

t.test('writes none of forty secrets to any output (I4, LK01)', async t => {
  const planted = [...secrets.values()].filter(spellings => spellings.every(spelling => spelling.length > 8))
  t.ok(planted.length >= 40, `${planted.length} secrets`)
  t.ok(outputs.size >= 18, `${outputs.size} outputs`)
  for (const [place, text] of outputs) {
    t.ok(text.length > 10, `${place} is not empty`)
    const found = [...secrets].filter(([, spellings]) => spellings.some(spelling => text.includes(spelling)))
    t.same(
      found.map(([name]) => name),
      [],
      place,
    )
  }
  const everything = [...outputs.values()].join('')
  t.ok(thumbprints.length >= 6)
  for (const thumbprint of thumbprints) t.ok(everything.includes(thumbprint), 'control: expected text is found')
  for (const id of ['alice', 'theft.suspected', 'token.leaked', 'refresh.reused'])
    t.ok(everything.includes(id), `control: ${id} is there`)
})
