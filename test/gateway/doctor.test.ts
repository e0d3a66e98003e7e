// What `tlsbound doctor` and `serve --check` find about the routes of the gateway.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkGateway } from '../../src/doctor/gateway.ts'
import { parseSettings } from '../../src/settings/settings.ts'
import { startUpstream } from '../helpers/server/gateway.ts'

t.test('names where each route leads, and with a connection whether it can be reached', async t => {
  const upstream = await startUpstream(t)
  const file = join(t.testdir(), 'routes.json')
  const write = (routes: unknown) => writeFileSync(file, JSON.stringify(routes))
  const settings = parseSettings({ TLSBOUND_GATEWAY_FILE: file })
  write([
    { path: '/a', upstream: upstream.address },
    { path: '/b', upstream: 'unix:/nowhere/x.sock', public: true },
  ])
  t.match(await checkGateway(settings, false), [
    { verdict: 'good', found: `/a: is forwarded to ${upstream.address}` },
    { verdict: 'good', found: '/b: is forwarded to unix:/nowhere/x.sock, without a token' },
  ])
  t.match(await checkGateway(settings, true), [
    { verdict: 'good', found: /\/a: .*; it can be reached$/ },
    { verdict: 'failure', found: /unix:\/nowhere\/x\.sock/ },
  ])
  t.equal(upstream.seen.length, 0, 'no request is sent')
  t.match(await checkGateway(parseSettings({}), true), [{ verdict: 'good', found: /^not configured/ }])
  write([{ path: '/a' }])
  await t.rejects(checkGateway(settings, false), /routes\.json:\n.*route number 1 \("\/a"\): upstream must/)
})
