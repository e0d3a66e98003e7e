// Every security event, from a real server over real TLS, as it was recorded.
import type { Test } from 'tap'
import type { SecurityEvent } from '../../../src/audit/event.ts'
import { createAudit } from '../../../src/server/record-events.ts'
import { issueCertificate, startTestServer, type TestConnection } from '../../../src/testing/server.ts'
import { claimsOf, introspect, refresh, register, revoke, startGrant, tokensOf } from '../tokens/grants.ts'
import { until } from '../until.ts'
import { at, callOps, identityOf, registrationOf } from './ops.ts'

const clients = [
  register('alice', { theft_response: 'close' }),
  register('bob'),
  register('api', { resource: 'https://api.example' }),
  register('scanner', { scope: 'leaks:report', grant_types: ['client_credentials'] }),
]

/** Returns all events of a run in which each of them happens at least once, oldest first. */
export async function collectEvents(t: Pick<Test, 'teardown'>): Promise<SecurityEvent[]> {
  const server = await startTestServer({ clients, ops: true, closeAfter: 0 })
  const strict = await startTestServer({ clients, tls: { dropUnacceptable: true } })
  t.teardown(() => Promise.all([server.close(), strict.close()]))
  const connect = (name: string) => server.connect(identityOf(server, name), { clientId: name })
  const [alice, bob, api, scanner] = [
    await connect('alice'),
    await connect('bob'),
    await connect('api'),
    await connect('scanner'),
  ] as const

  const first = await startGrant(alice)
  await introspect(api, first.access)
  await introspect(api, 'nothing')
  await useTwice(bob, (await startGrant(bob)).refresh, seconds => (server.clock += seconds))
  const renewed = issueCertificate({
    subject: [['CN', 'bob']],
    issuer: server.pki.ca,
    extendedKeyUsage: ['clientAuth'],
  })
  await refresh(await server.connect(renewed, { clientId: 'bob' }), (await startGrant(bob)).refresh)
  await revoke(alice, (await startGrant(alice)).access)
  await (await server.connect(null)).get('/api/whoami')
  await bob.requestToken({ scope: 'everything' })
  await bob.requestToken({ client_id: 'nobody' })
  const token = await scanner.token()
  const leak = JSON.stringify([
    { token: await bob.token(), type: 'tlsbound', url: 'https://git.example/a', source: 'commit' },
  ])
  await scanner.call('/leaks', { method: 'POST', headers: { 'content-type': 'application/json' }, body: leak, token })

  await callOps(server, 'PUT', at('carol'), {
    body: registrationOf('carol', { token_endpoint_auth_method: 'client_secret_basic' }),
  })
  await callOps(server, 'POST', at('carol', '/secrets'))
  await callOps(server, 'DELETE', at('carol'))
  await callOps(server, 'POST', '/admin/revocations', { body: { kind: 'token', value: 'x' } })
  await callOps(server, 'GET', '/admin/clients', { headers: { authorization: 'Bearer x' } })

  const stolen = await startGrant(alice, { token_binding: 'certificate' })
  await bob.get('/api/whoami', stolen.access)
  await until(() => !alice.isOpen())
  await until(() =>
    server.events.some(({ event, value }) => event === 'token.revoked' && value === claimsOf(stolen.access).grant),
  )
  await (await strict.connect(null)).get('/api/whoami').catch(() => {}) // it is dropped, before or after its request

  return [...server.events, ...server.alarms, ...strict.events, ...recordOthers()]
}

/** Uses a refresh token again after its successor was used. */
async function useTwice(client: TestConnection, token: string, wait: (seconds: number) => void): Promise<void> {
  const second = tokensOf(await refresh(client, token))
  wait(2)
  await refresh(client, second.refresh)
  wait(2)
  await refresh(client, token)
}

/** Causes the events without a request, with the functions that the server calls for them. */
function recordOthers(): SecurityEvent[] {
  const events: SecurityEvent[] = []
  const audit = createAudit(event => void events.push(event))
  const kid = '_lbrIqpxNEtYjLgKJfpdiyDHAVFAq8fOz-CW5j7RgnaI'
  for (const change of ['added', 'changed', 'rescheduled', 'removed', 'present'] as const)
    audit.keyRotated({ kid, nbf: 1_795_506_354 }, change)
  audit.keyRotated({ kid }, 'added')
  audit.settingsUnsafe('TLSBOUND_UNSAFE_TOKEN_COOKIE')
  const source = {
    'x5t#S256': kid.slice(-43),
    peer: '192.0.2.7',
    peer_port: 40_000,
    came_with: 'other_certificate',
  } as const
  const signal = { time: '', event: 'token.refused', outcome: 'refused', ...source } as const
  audit.proxySuspected(signal, { clients: 5, count: 5 })
  audit.proxySuspected({ ...signal, 'x5t#S256': undefined, came_with: 'no_certificate' }, { clients: 12, count: 1 })
  audit.workerChanged('started', 1, 'EhZJVerFz9C_')
  audit.workerChanged('stopped', 1, 'EhZJVerFz9C_', 'qwt03bI8hl5cQR7Rz_QxcY5H52NkYwf4aBJ4r-0FYcE')
  audit.workerChanged('crashed', 2, 'SbkOgNFhdYeo')
  const about = { type: 'theft.suspected', client_id: 'alice', jti: '597bfc72-81fd-45c4-871f-5d1ae48907b6' }
  const problem = { attempts: 9, problem: 'the receiver answers 500' }
  audit.notificationFailed({
    reason: 'given_up',
    receiver: 'siem.example',
    notification: 'msg_1',
    ...about,
    ...problem,
  })
  audit.notificationFailed({ reason: 'event_malformed', type: 'token.leaked' })
  return events
}
