// When security events cannot be written, requests that need one fail, all others succeed, and the server recovers by itself
// (RE07, I7). A file size limit on the running server simulates a full disk.
import { spawnSync } from 'node:child_process'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openEventFile } from '../../../src/audit/file.ts'
import { writeDemoPki } from '../../../src/pki/demo.ts'
import type { Answer } from '../../../src/testing/connection.ts'
import { findFreePort } from '../../../src/testing/free-port.ts'
import { type RunningServer, startTlsbound } from '../../helpers/process/process.ts'
import { refresh, register, revoke, startGrant } from '../../helpers/tokens/grants.ts'

t.setTimeout(120_000)
const unwritten = {
  status: 503,
  headers: { 'retry-after': '1', 'cache-control': 'no-store' },
  body: { error: 'temporarily_unavailable', reason: 'store_unavailable' },
}

function limitFiles({ child }: RunningServer, size: number | 'unlimited'): void {
  const { error, status, stderr } = spawnSync('prlimit', [`--pid=${child.pid}`, `--fsize=${size}:`], {
    encoding: 'utf8',
  })
  if (error || status !== 0) throw new Error(`prlimit of the Debian package util-linux failed: ${error ?? stderr}`)
}

/** Repeats the request until it succeeds, for at most five seconds. */
async function untilGood(ask: () => Promise<Answer>): Promise<Answer> {
  const end = performance.now() + 5000
  let answer = await ask()
  while (answer.status !== 200 && performance.now() < end) answer = await ask()
  return answer
}

t.test('issues and refuses nothing while events cannot be written, and serves everything else', async t => {
  const folder = t.testdir()
  const path = join(folder, 'audit.jsonl')
  writeDemoPki(join(folder, 'certs'))
  writeFileSync(join(folder, 'clients.json'), JSON.stringify([register('alice')]))
  writeFileSync(path, 'x')
  truncateSync(path, 50_000_000) // far above all other files of the server, which must stay writable
  const opsPort = await findFreePort()
  const server = await startTlsbound(t, folder, {
    TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
    TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
    TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
    TLSBOUND_CLIENTS_FILE: 'clients.json',
    TLSBOUND_AUDIT_FILE: path,
    TLSBOUND_OPS_PORT: String(opsPort),
  })
  const [alice, mallory] = await Promise.all([server.connect('alice'), server.connect('mallory')])
  const [first, second] = [await startGrant(alice), await startGrant(alice)]
  t.match(await mallory.requestToken(), { status: 401 }, 'control')
  const whole = statSync(path).size

  limitFiles(server, whole + 100) // the first line beyond the limit is cut
  for (const [name, answer] of Object.entries({
    token: await alice.requestToken(),
    refresh: await refresh(alice, first.refresh),
    revoke: await revoke(alice, second.access),
    'an unknown client': await mallory.requestToken(),
    'an invalid token': await alice.get('/api/whoami', 'x'),
    'no token': await alice.get('/api/whoami'),
    'an unmatched path': await alice.get('/nothing'),
    'an undecodable path': await alice.get('/%'),
  })) {
    t.match(answer, unwritten, name)
    t.same(Object.keys(answer.body).sort(), ['error', 'error_description', 'reason'], 'and nothing else')
  }
  const admin = (headers: Record<string, string>) =>
    fetch(`http://127.0.0.1:${opsPort}/admin/clients`, { headers }).then(({ status }) => status)
  t.equal(await admin({}), 503)
  const authorization = `Bearer ${readFileSync(join(folder, 'data/ops-token'), 'utf8').trim()}`
  t.equal(await admin({ authorization }), 200)
  t.match(await alice.get('/api/whoami', first.access), { status: 200 }, 'existing tokens stay valid')
  t.match(await alice.get('/oauth/jwks'), { status: 200 })
  t.equal(statSync(path).size, whole + 100)

  limitFiles(server, 'unlimited')
  t.match(await alice.requestToken(), { status: 200 }, 'recovers by itself')
  t.match(
    await untilGood(() => refresh(alice, first.refresh)),
    { status: 200 },
    'the request whose response was lost, once more',
  )
  t.match(await alice.get('/api/whoami', second.access), { status: 401, body: { reason: 'revoked' } })
  const { stderr } = await server.end('SIGTERM')
  for (const alert of [
    /"level":50[^\n]*EFBIG[^\n]*security events cannot be written/g,
    /security events are written again/g,
  ])
    t.equal(stderr.match(alert)?.length, 1, 'reported once')

  const lines = readFileSync(path).subarray(whole).toString().split('\n')
  t.equal(lines[0]?.length, 100, 'the cut line stays a line of its own')
  const events = lines.slice(1, -1).map(line => JSON.parse(line))
  const issued = events.filter(({ event }) => event === 'token.issued')
  t.equal(issued.length, 2, 'no event of a request that failed')
})

t.test('issues no token once no process reads the events', async t => {
  const server = await startTlsbound(t, t.testdir())
  const alice = await server.connect('alice')
  t.match(await alice.requestToken(), { status: 200 }, 'control')
  server.child.stdout?.destroy()
  t.match(await alice.requestToken(), unwritten)
  t.match(await alice.requestToken(), unwritten, 'no token later either')
  t.match(server.stderr(), /EPIPE/)
  t.match(await server.end('SIGTERM'), { code: 0 })
})

t.test('starts a new line after one that was cut by a crash', async t => {
  const path = join(t.testdir(), 'logs/audit.jsonl')
  const append = (line: string) => openEventFile(path, () => t.fail('no write fails')).write(line)
  append('{"a":1}\n')
  append('{"b":2}\n')
  writeFileSync(path, '{"c":', { flag: 'a' })
  append('{"d":4}\n')
  t.equal(readFileSync(path, 'utf8'), '{"a":1}\n{"b":2}\n{"c":\n{"d":4}\n')
})
