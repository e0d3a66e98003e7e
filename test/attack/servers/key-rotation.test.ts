// Several processes rotate signing keys at once under load: two servers that share the file and rotate it by age, and two
// command lines (RE11). No token is refused, no key is lost, and each will sign when it is due.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createKeyRing } from '../../../src/keys/key-ring.ts'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { writeDemoPki } from '../../../src/pki/demo.ts'
import { importKeysFile, readKeysFile } from '../../../src/process/signing-keys.ts'
import type { TestConnection } from '../../../src/testing/connection.ts'
import { runTlsbound, startTlsbound } from '../../helpers/process/process.ts'
import { claimsOf } from '../../helpers/tokens/grants.ts'
import { patience } from '../../helpers/until.ts'

t.setTimeout(120_000)
const rotations = 2

t.test('accepts every token and loses no key while several processes rotate keys (RE11)', async t => {
  const folder = t.testdir()
  const path = join(folder, 'data/signing-keys.json')
  const now = Math.floor(Date.now() / 1000)
  writeDemoPki(join(folder, 'certs'))
  mkdirSync(join(folder, 'data'))
  const first = { ...(await generateTokenKey('ES256')), nbf: now - 7200 } // older than its lifetime
  writeFileSync(path, JSON.stringify({ keys: [first] }), { mode: 0o600 })
  const start = (name: string) =>
    startTlsbound(t, folder, {
      TLSBOUND_ISSUER: 'https://localhost:8443',
      TLSBOUND_STATE_URL: `sqlite:data/${name}.db`,
      TLSBOUND_SIGNING_KEY_MAX_AGE: '3600',
    })
  const servers = await Promise.all([start('one'), start('other')])

  // Their states are new and the keys are not, so each has revoked all earlier tokens, and neither knows the other's mark.
  const issuers = await Promise.all(servers.map(server => server.connect('alice')))
  const areMarked = async () => {
    const tokens = await Promise.all(issuers.map(issuer => issuer.token()))
    return tokens.some(token => 'issued_after' in claimsOf(token))
  }
  t.ok(await areMarked(), 'control')
  for (const end = performance.now() + patience; (await areMarked()) && performance.now() < end; );

  let running = true
  let uses = 0
  const work = async () => {
    const connect = () => Promise.all(servers.map(server => server.connect('alice')))
    const [issuing, using] = [await connect(), await connect()]
    for (let round = 0; running; round++) {
      const token = await (issuing[round % 2] as TestConnection).token({ token_binding: 'certificate' })
      for (const connection of using) {
        const { status, body } = await connection.get('/api/whoami', token)
        if (status !== 200) throw new Error(`refused: ${status} ${body.reason}`)
        uses++
      }
    }
  }
  const working = work()

  for (const { child } of servers) child.kill('SIGHUP') // both find its key too old
  const rotate = async () => {
    const kids: string[] = []
    for (let round = 0; round < rotations; round++) {
      const { code, stdout, stderr } = await runTlsbound(['keys', 'rotate', '--json'], folder)
      if (code === 0) kids.push(JSON.parse(stdout).kid)
      else t.match({ code, stderr }, { code: 1, stderr: /is being changed by another process/ })
    }
    return kids
  }
  const byHand = (await Promise.all([rotate(), rotate()])).flat()
  t.ok(byHand.length >= rotations, 'at least one of two concurrent rotations succeeds')

  const inFile = readKeysFile(path).map(({ kid }) => kid)
  for (const { child } of servers) child.kill('SIGHUP')
  for (const server of servers) {
    const connection = await server.connect(null)
    const limit = performance.now() + patience
    const published = async () => (await connection.get('/oauth/jwks')).body.keys.map((key: { kid: string }) => key.kid)
    while ((await published()).length < inFile.length && performance.now() < limit);
    t.same(await published(), inFile, 'each server knows all keys')
  }
  running = false
  await t.resolves(working, 'no token is refused')
  t.ok(uses > 0, `control: ${uses} uses`)

  const ended = await Promise.all(servers.map(server => server.end('SIGTERM')))
  const added: string[] = ended
    .flatMap(({ stdout }) => stdout.trim().split('\n'))
    .map(line => JSON.parse(line))
    .filter(({ event, change }) => event === 'key.rotated' && change === 'added')
    .map(({ kid }) => kid)
  for (const kid of byHand) t.equal(added.filter(each => each === kid).length, 2, 'both servers recorded it')
  const byAge = new Set(added.filter(kid => !byHand.includes(kid)))
  t.ok(byAge.size <= 1, 'old keys are rotated by one of the servers')
  t.same(inFile.toSorted(), [first.kid, ...byAge, ...byHand].toSorted(), 'the file has every key that was made')

  const ring = createKeyRing(await importKeysFile(path), now)
  for (const time of [now, now + 400, now + 86_000]) {
    const token = ring.sign({}, time)
    const { kid } = JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString())
    t.ok(
      ring.published(time).some(key => key.kid === kid),
      'the signing key is published',
    )
    t.ok(ring.find(kid, time)?.verify(token))
    t.equal(kid === first.kid, time === now, 'the next one signs once every server knows it')
  }
})
