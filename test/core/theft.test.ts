// What follows from a signal of theft, and how often.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { cameWith } from '../../src/core/came-with.ts'
import { theftResponses } from '../../src/core/client.ts'
import { details } from '../../src/core/details.ts'
import { reuseSignals, type Signal, signals, suspect, TheftWatch } from '../../src/core/theft.ts'

const certain = { suspicion: 'certain', patience: 0, most: 'close' } as const
const possible = { suspicion: 'possible', patience: 0, most: 'revoke_token' } as const
const repeatable = { suspicion: 'possible', patience: 2, most: 'revoke_token' } as const
const alert = { suspicion: 'possible', patience: 0, most: 'alert' } as const

t.test('an honest client that renews its certificate or reconnects never causes what is certain', async t => {
  for (const [what, reason, detail, came, expected] of [
    [
      'a renewed certificate with an old token',
      'certificate_mismatch',
      'other_certificate',
      'renewed_certificate',
      repeatable,
    ],
    [
      'a refresh with a renewed one',
      'refresh_certificate_mismatch',
      'other_certificate',
      'renewed_certificate',
      repeatable,
    ],
    ['an exchange with a renewed one', 'subject_token_invalid', 'other_certificate', 'renewed_certificate', repeatable],
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
    ['a certificate that has ended', 'certificate_expired', 'ended', 'own_certificate', undefined],
    ['a certificate that was revoked', 'certificate_revoked', 'listed', 'own_certificate', undefined],
    ['another resource server', 'wrong_audience', 'aud', 'own_certificate', undefined],
    ['a wrong secret', 'client_mismatch', 'secret', 'own_certificate', undefined],
    ['a clock', 'not_yet_valid', 'in_the_future', 'own_certificate', undefined],
    ['two clients with one certificate', 'client_mismatch', 'other_owner', 'own_certificate', possible],
  ] as const)
    t.same(suspect(reason, detail, came), expected, what)
  t.same(
    suspect('client_mismatch', 'not_a_resource', 'other_certificate'),
    alert,
    'a resource server that is not registered as one asks about the tokens that clients send it',
  )
  for (const came of ['own_certificate', 'renewed_certificate', 'perhaps_renewed_certificate'] as const)
    for (const [reason, entries] of Object.entries(details))
      for (const detail of Object.keys(entries))
        t.not(suspect(reason, detail, came)?.suspicion, 'certain', `${reason} ${detail} ${came}`)
})

t.test('a living token with the certificate of another client, or none, is certain wherever it is brought', async t => {
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

t.test('what says nothing about who holds a token is no signal, whoever came', async t => {
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
  t.same(reuseSignals, { reused: certain, answer_lost: possible })
})

t.test('the table in docs/explanation/theft-response.md is the rule', async t => {
  const words = (signal: Signal | undefined) => {
    if (signal === undefined) return 'nothing'
    const { suspicion, patience, most } = signal
    return `${suspicion}${patience === 2 ? ', from the third in a minute' : ''}${most === 'alert' ? ', an alert only' : ''}`
  }
  const rows = Object.entries(signals).map(
    ([came, { certificate, connection, client, question }]) =>
      `| \`${came}\` | ${words(certificate)} | ${words(connection)} | ${words(client)} | ${words(question)} |`,
  )
  const documented = readFileSync('docs/explanation/theft-response.md', 'utf8')
  for (const row of rows) t.ok(documented.includes(row), row)
  t.equal(documented.match(/^\| `\w+_certificate` \|/gm)?.length, rows.length)
})

t.test('the policy of the client decides what follows, and a possible theft never costs a grant', async t => {
  const responses = theftResponses.map(policy => new TheftWatch().judge('1', 'alice', certain, policy, 0)?.response)
  t.same(responses, [undefined, 'alert', 'revoke_token', 'revoke_grant', 'close'])
  const damped = theftResponses.map(policy => {
    const watch = new TheftWatch()
    watch.judge('1', 'alice', repeatable, policy, 0)
    watch.judge('1', 'alice', repeatable, policy, 1)
    return watch.judge('1', 'alice', repeatable, policy, 2)?.response
  })
  t.same(damped, [undefined, 'alert', 'revoke_token', 'revoke_token', 'revoke_token'])
})

t.test('a connection that is another one counts from the third time in a minute', async t => {
  const watch = new TheftWatch()
  const judge = (now: number, token = '1') => watch.judge(token, 'alice', repeatable, 'alert', now)
  t.same([judge(0), judge(30), judge(61)], [undefined, undefined, undefined], 'the third is in the next minute')
  t.same([judge(62), judge(63)], [undefined, { response: 'alert', damped: false, count: 3 }])
  t.equal(judge(64, '2'), undefined, 'another token')
})

t.test('equal signals are one alarm a minute, and the next one says how many there were', async t => {
  const watch = new TheftWatch()
  const judge = (now: number) => watch.judge('1', 'alice', certain, 'alert', now)
  t.match(judge(0), { response: 'alert', count: 1 })
  for (let now = 1; now < 60; now++) t.equal(judge(now), undefined)
  t.match(judge(60), { response: 'alert', count: 60 })
  t.equal(judge(119), undefined)
  t.match(judge(120), { count: 2 })
})

t.test(
  'whoever sprays the stolen tokens of a client takes three of them in ten minutes, and the rest is an alarm',
  async t => {
    const watch = new TheftWatch()
    const judge = (token: number, now: number, client = 'alice') =>
      watch.judge(String(token), client, certain, 'close', now)
    t.same(
      [1, 2, 3, 4, 5].map(token => judge(token, token)),
      [
        ...Array(3).fill({ response: 'close', damped: false, count: 1 }),
        ...Array(2).fill({ response: 'alert', damped: true, count: 1 }),
      ],
    )
    t.match(judge(6, 6, 'bob'), { response: 'close', damped: false }, 'others are not concerned')
    t.match(judge(7, 600), { response: 'alert' })
    t.match(judge(8, 601), { response: 'close' }, 'ten minutes after the first')
    t.match(judge(9, 601), { response: 'alert' }, 'but the second was only then')
  },
)

t.test('a possible theft that no client causes by itself is an alarm at once, and costs a token at most', async t => {
  t.match(new TheftWatch().judge('1', 'alice', possible, 'close', 0), { response: 'revoke_token', count: 1 })
})

t.test('an alarm takes nothing, so it is never held back', async t => {
  const watch = new TheftWatch()
  for (let token = 0; token < 5; token++)
    t.match(watch.judge(String(token), 'alice', certain, 'alert', 0), { response: 'alert', damped: false })
  t.match(watch.judge('5', 'alice', certain, 'close', 0), { response: 'close', damped: false })
})

t.test('what is watched has a bound', async t => {
  const watch = new TheftWatch()
  for (let token = 0; token < 20_000; token++) watch.judge(String(token), 'alice', certain, 'alert', 0)
  t.match(watch.judge('0', 'alice', certain, 'alert', 0), { count: 1 }, 'the oldest was forgotten')
  t.equal(watch.judge('19999', 'alice', certain, 'alert', 0), undefined, 'control: the latest was not')
})

t.test('RE09: a clock that is put back neither keeps an alarm back nor what can be taken', async t => {
  const watch = new TheftWatch()
  const judge = (token: string, now: number) => watch.judge(token, 'alice', certain, 'close', now)
  for (const token of ['1', '2', '3']) t.match(judge(token, 8000), { response: 'close' })
  t.match(judge('4', 8000), { damped: true }, 'control')
  t.equal(judge('1', 8001), undefined, 'control')
  t.match(judge('1', 800), { response: 'close', count: 2 })
})
