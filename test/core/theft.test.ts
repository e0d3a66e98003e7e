// The response to a signal of theft, and its limits.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { cameWith } from '../../src/core/came-with.ts'
import { theftResponses } from '../../src/core/client.ts'
import { details } from '../../src/core/details.ts'
import { reuseRevokesGrant, reuseSignals, type Signal, signals, suspect, TheftWatch } from '../../src/core/theft.ts'

const certain = { suspicion: 'certain', ignored: 0, most: 'close' } as const
const possible = { suspicion: 'possible', ignored: 0, most: 'revoke_token' } as const
const repeatable = { suspicion: 'possible', ignored: 2, most: 'revoke_token' } as const
const alert = { suspicion: 'possible', ignored: 0, most: 'alert' } as const

t.test('never classifies a certificate renewal or reconnect of an honest client as certain theft', async t => {
  for (const [what, reason, detail, came, expected] of [
    [
      'a renewed certificate with an old token',
      'certificate_mismatch',
      'other_certificate',
      'renewed_certificate',
      repeatable,
    ],
    [
      'a refresh with a renewed certificate',
      'refresh_certificate_mismatch',
      'other_certificate',
      'renewed_certificate',
      repeatable,
    ],
    [
      'an exchange with a renewed certificate',
      'subject_token_invalid',
      'other_certificate',
      'renewed_certificate',
      repeatable,
    ],
    ['a reconnect', 'connection_mismatch', 'other_connection', 'own_certificate', repeatable],
    ['an exchange after a reconnect', 'subject_token_invalid', 'other_connection', 'own_certificate', repeatable],
    ['a withdrawn authority', 'certificate_untrusted', 'not_verified', 'own_certificate', undefined],
    [
      'a renewal by an authority that is not trusted yet',
      'certificate_untrusted',
      'not_verified',
      'perhaps_renewed_certificate',
      possible,
    ],
    ['a renewal under another name', 'client_mismatch', 'other_name', 'perhaps_renewed_certificate', possible],
    ['an expired certificate', 'certificate_expired', 'ended', 'own_certificate', undefined],
    ['a revoked certificate', 'certificate_revoked', 'listed', 'own_certificate', undefined],
    ['another resource server', 'wrong_audience', 'aud', 'own_certificate', undefined],
    ['a wrong secret', 'client_mismatch', 'secret', 'own_certificate', undefined],
    ['a clock that is behind', 'not_yet_valid', 'in_the_future', 'own_certificate', undefined],
    ['two clients with one certificate', 'client_mismatch', 'other_owner', 'own_certificate', possible],
  ] as const)
    t.same(suspect(reason, detail, came), expected, what)
  t.same(
    suspect('client_mismatch', 'not_a_resource', 'other_certificate'),
    alert,
    'a resource server that is not registered as one introspects the tokens that clients send it',
  )
  for (const came of ['own_certificate', 'renewed_certificate', 'perhaps_renewed_certificate'] as const)
    for (const [reason, entries] of Object.entries(details))
      for (const detail of Object.keys(entries))
        t.not(suspect(reason, detail, came)?.suspicion, 'certain', `${reason} ${detail} ${came}`)
})

t.test('classifies a valid token with the certificate of another client, or none, as certain theft', async t => {
  for (const came of ['other_certificate', 'no_certificate'] as const)
    for (const [reason, detail] of [
      ['no_certificate', 'not_sent'],
      ['certificate_untrusted', 'not_verified'],
      ['certificate_expired', 'ended'],
      ['certificate_revoked', 'listed'],
      ['certificate_mismatch', 'other_certificate'],
      ['wrong_audience', 'aud'],
      ['client_mismatch', 'other_owner'],
      ['client_mismatch', 'other_name'],
      ['unknown_client', 'not_registered'],
      ['refresh_unknown', 'other_client'],
      ['subject_token_invalid', 'other_certificate'],
      ['subject_token_invalid', 'other_client'],
    ] as const)
      t.same(suspect(reason, detail, came), certain, `${reason} ${detail} ${came}`)
})

t.test('ignores refusals that do not show who has the token, whatever the certificate', async t => {
  for (const came of cameWith)
    for (const [reason, detail] of [
      ['expired', 'ended'],
      ['revoked', 'revoked'],
      ['bad_signature', 'wrong_signature'],
      ['scope_missing', 'scope'],
      ['proof_invalid', 'other_connection'],
      ['refresh_unknown', 'not_stored'],
      ['refresh_revoked', 'revoked'],
      ['subject_token_invalid', 'own_token'],
      ['subject_token_invalid', 'claim'],
      ['nothing', 'nothing'],
      ['toString', 'length'],
    ] as const)
      t.equal(suspect(reason, detail, came), undefined, `${reason} ${detail} ${came}`)
  const reuse = { suspicion: 'possible', ignored: 0, most: 'revoke_grant' }
  t.same(reuseSignals, { reused: reuse, answer_lost: reuse }, 'by its own certificate')
  t.same(theftResponses.map(reuseRevokesGrant), [false, false, false, true, true])
})

t.test('follows the table in docs/explanation/theft-response.md', async t => {
  const words = (signal: Signal | undefined) => {
    if (signal === undefined) return 'nothing'
    const { suspicion, ignored, most } = signal
    return `${suspicion}${ignored === 2 ? ', from the third in a minute' : ''}${most === 'alert' ? ', an alert only' : ''}`
  }
  const rows = Object.entries(signals).map(
    ([came, { certificate, connection, client, question }]) =>
      `| \`${came}\` | ${words(certificate)} | ${words(connection)} | ${words(client)} | ${words(question)} |`,
  )
  const documented = readFileSync('docs/explanation/theft-response.md', 'utf8')
  for (const row of rows) t.ok(documented.includes(row), row)
  t.equal(documented.match(/^\| `\w+_certificate` \|/gm)?.length, rows.length)
})

t.test('responds by the policy of the client, and revokes no grant for a possible theft', async t => {
  const responses = theftResponses.map(policy => new TheftWatch().evaluate('1', 'alice', certain, policy, 0)?.response)
  t.same(responses, [undefined, 'alert', 'revoke_token', 'revoke_grant', 'close'])
  const damped = theftResponses.map(policy => {
    const watch = new TheftWatch()
    watch.evaluate('1', 'alice', repeatable, policy, 0)
    watch.evaluate('1', 'alice', repeatable, policy, 1)
    return watch.evaluate('1', 'alice', repeatable, policy, 2)?.response
  })
  t.same(damped, [undefined, 'alert', 'revoke_token', 'revoke_token', 'revoke_token'])
})

t.test('responds to another connection from the third time in a minute', async t => {
  const watch = new TheftWatch()
  const evaluate = (now: number, token = '1') => watch.evaluate(token, 'alice', repeatable, 'alert', now)
  t.same(
    [evaluate(0), evaluate(30), evaluate(61)],
    [undefined, undefined, undefined],
    'the third is in the next minute',
  )
  t.same([evaluate(62), evaluate(63)], [undefined, { response: 'alert', damped: false, count: 3 }])
  t.equal(evaluate(64, '2'), undefined, 'another token')
})

t.test('raises one alarm a minute for equal signals, and counts them in the next', async t => {
  const watch = new TheftWatch()
  const evaluate = (now: number) => watch.evaluate('1', 'alice', certain, 'alert', now)
  t.match(evaluate(0), { response: 'alert', count: 1 })
  for (let now = 1; now < 60; now++) t.equal(evaluate(now), undefined)
  t.match(evaluate(60), { response: 'alert', count: 60 })
  t.equal(evaluate(119), undefined)
  t.match(evaluate(120), { count: 2 })
})

t.test('revokes at most three stolen tokens of a client in ten minutes, and raises alarms for the rest', async t => {
  const watch = new TheftWatch()
  const evaluate = (token: number, now: number, client = 'alice') =>
    watch.evaluate(String(token), client, certain, 'close', now)
  t.same(
    [1, 2, 3, 4, 5].map(token => evaluate(token, token)),
    [
      ...Array(3).fill({ response: 'close', damped: false, count: 1 }),
      ...Array(2).fill({ response: 'alert', damped: true, count: 1 }),
    ],
  )
  t.match(evaluate(6, 6, 'bob'), { response: 'close', damped: false }, 'other clients are not affected')
  t.match(evaluate(7, 600), { response: 'alert' })
  t.match(evaluate(8, 601), { response: 'close' }, 'ten minutes after the first')
  t.match(evaluate(9, 601), { response: 'alert' }, 'the second one was less than ten minutes ago')
})

t.test('responds at once to a possible theft that no client causes alone, and revokes at most a token', async t => {
  t.match(new TheftWatch().evaluate('1', 'alice', possible, 'close', 0), { response: 'revoke_token', count: 1 })
})

t.test('never limits alarms, which revoke nothing', async t => {
  const watch = new TheftWatch()
  for (let token = 0; token < 5; token++)
    t.match(watch.evaluate(String(token), 'alice', certain, 'alert', 0), { response: 'alert', damped: false })
  t.match(watch.evaluate('5', 'alice', certain, 'close', 0), { response: 'close', damped: false })
})

t.test('limits the number of watched tokens', async t => {
  const watch = new TheftWatch()
  for (let token = 0; token < 20_000; token++) watch.evaluate(String(token), 'alice', certain, 'alert', 0)
  t.match(watch.evaluate('0', 'alice', certain, 'alert', 0), { count: 1 }, 'the oldest was removed')
  t.equal(watch.evaluate('19999', 'alice', certain, 'alert', 0), undefined, 'control: the newest was not removed')
})

t.test('raises alarms and revokes tokens after the clock was set back (RE09)', async t => {
  const watch = new TheftWatch()
  const evaluate = (token: string, now: number) => watch.evaluate(token, 'alice', certain, 'close', now)
  for (const token of ['1', '2', '3']) t.match(evaluate(token, 8000), { response: 'close' })
  t.match(evaluate('4', 8000), { damped: true }, 'control')
  t.equal(evaluate('1', 8001), undefined, 'control')
  t.match(evaluate('1', 800), { response: 'close', count: 2 })
})
