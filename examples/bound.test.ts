// Tests of a route that accepts bound tokens, on real TLS connections. Issuer, certificates and state are in memory.
// Run it: npx node --conditions=tlsbound-source --test examples/bound.test.ts
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { startTestServer } from 'tlsbound/testing'

function routes(app: FastifyInstance): void {
  app.get('/notes', async request => `notes of ${request.token.claims.client_id}\n`)
}

test('serves the notes of the client, and rejects a stolen token', async () => {
  const server = await startTestServer({ routes })
  const alice = await server.connect('alice')
  const token = await alice.token()
  assert.equal((await alice.get('/notes', token)).text, 'notes of alice\n')
  const thief = await server.connect('bob')
  assert.equal((await thief.get('/notes', token)).body?.reason, 'certificate_mismatch')
  await server.close()
})
