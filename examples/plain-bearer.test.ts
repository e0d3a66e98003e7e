// Tests of a route that accepts bearer tokens. bound.test.ts shows what to change.
// Run it: npx node --test examples/plain-bearer.test.ts
import assert from 'node:assert/strict'
import { test } from 'node:test'
import jwt from '@fastify/jwt'
import Fastify, { type FastifyInstance } from 'fastify'

function routes(app: FastifyInstance): void {
  app.get('/notes', async request => `notes of ${(request.user as { client_id: string }).client_id}\n`)
}

test('serves the notes of the client', async () => {
  const server = Fastify()
  await server.register(jwt, { secret: 'only for this test' })
  server.addHook('onRequest', request => request.jwtVerify())
  routes(server)
  const token = server.jwt.sign({ client_id: 'alice' })
  const get = (url: string) => server.inject({ url, headers: { authorization: `Bearer ${token}` } })
  assert.equal((await get('/notes')).body, 'notes of alice\n')
  await server.close()
})
