// Certificates that are renewed while a client works: the short form of `npm run renewals`. RFC 8705 §7.1.
import t from 'tap'
import { runRenewals } from '../helpers/client/renewal-run.ts'

t.test('refuses nothing and raises no alarm while SPIFFE certificates are renewed every two seconds', async t => {
  const folder = t.testdir()
  const result = await runRenewals(t, { seconds: 10, every: 2, rate: 20, folder })
  t.same(result.refused, [])
  t.equal(result.renewals, 12, 'three clients, four times')
  t.equal(result.certificates, 15, 'each certificate was used')
  const { accepted, events } = result
  for (const kind of ['library', 'sidecar'] as const) t.ok(accepted[kind] >= 150, `${kind}: ${accepted[kind]}`)
  t.ok(accepted.refresh >= 40, `${accepted.refresh} refreshes`)
  t.equal(accepted['refreshed token'], accepted.refresh / 2)
  t.same(Object.keys(events).sort(), ['refresh.rebound', 'refresh.rotated', 'token.issued'])
  t.ok((events['refresh.rebound'] ?? 0) >= 4, `${events['refresh.rebound']} times rebound`)
})
