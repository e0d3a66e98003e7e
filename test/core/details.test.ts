// The closed list of details: every reason has one, with complete sentences. A description for a client contains only names
// and values that cannot break out of a header.
import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import { classify, type DetailEntry, describeForClient, details, factNames } from '../../src/core/details.ts'
import { OAuthError, type Reason, reasons } from '../../src/core/errors.ts'
import { objections, reuseSignals } from '../../src/core/theft.ts'

t.test('has a detail for every reason, and a cause and a remedy for every detail', async t => {
  t.same(Object.keys(details).sort(), Object.keys(reasons).sort())
  for (const [reason, entries] of Object.entries(details)) {
    t.not(Object.keys(entries).length, 0, reason)
    for (const [detail, entry] of Object.entries(entries)) {
      const { cause, remedy, sentence, isPublic } = entry as DetailEntry
      t.match(detail, /^[a-z][a-z0-9_]*$/, `${reason} ${detail}`)
      t.match(cause, /^[A-Z].*[.]$/, cause)
      t.match(cause + remedy, /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/, `${reason} ${detail} fits in a header (RFC 6749 §5.2)`)
      if (sentence !== undefined) {
        t.match(sentence, /^[A-Z][\x20\x21\x23-\x5b\x5d-\x7e]{10,200}\.$/, sentence)
        t.notOk(isPublic, `${reason} ${detail}: the client receives either the cause or the sentence`)
        t.not(sentence, reasons[reason as Reason], `${reason} ${detail}: differs from the sentence of its reason`)
      }
      for (const [, fact] of `${cause} ${remedy}`.matchAll(/\{(\w+)\}/g))
        t.ok(Object.hasOwn(factNames, fact as string), `${reason} ${detail}: ${fact} is a fact`)
    }
  }
})

t.test('describes details of the client’s own request to the client, and otherwise only the reason', async t => {
  const missing = new OAuthError('invalid_request', 'malformed_request', 'parameter_missing', { parameter: 'scope' })
  t.equal(missing.message, 'The parameter scope is missing. Add it to the form in the request body.')
  const unknown = new OAuthError('invalid_token', 'bad_signature', 'unknown_key', { kid: 'x' })
  t.equal(unknown.message, reasons.bad_signature)
  t.same(unknown.facts, { kid: 'x' })
})

t.test('sends the sentence of a detail to the client where that of the reason is false', async t => {
  const rows = [
    ['no_certificate', 'not_mutual_tls', /^The server does not terminate the TLS connection/],
    ['binding_unavailable', 'no_channel_binding', /TLS 1\.3/],
    ['binding_unavailable', 'not_mutual_tls', /^The server does not terminate the TLS connection/],
    ['binding_unavailable', 'no_proof_algorithm', /^The key type of the client certificate/],
    ['bad_signature', 'not_stored', /does not store the token/],
    ['bad_signature', 'ops_token', /not the ops token/],
    ['client_mismatch', 'other_owner', /belongs to another client/],
    ['scope_denied', 'wider_than_granted', /more scope than was granted/],
    ['binding_not_allowed', 'weaker_than_subject', /weaker than that of the subject token/],
    ['target_unknown', 'other_than_granted', /for another resource/],
  ] as const
  for (const [reason, detail, sentence] of rows)
    t.match(describeForClient(reason, detail, {}), sentence, `${reason} ${detail}`)
  // These would help an attacker: which key, which revocation, which list, or whether a secret was checked.
  for (const [reason, detail] of [
    ['bad_signature', 'unknown_key'],
    ['bad_signature', 'wrong_algorithm'],
    ['certificate_untrusted', 'list_ended'],
    ['certificate_revoked', 'authority_listed'],
    ['revoked', 'client_disabled'],
    ['client_mismatch', 'secret_delayed'],
    ['refresh_unknown', 'other_client'],
  ] as const)
    t.equal(describeForClient(reason, detail, {}), undefined, `${reason} ${detail}: only the sentence of the reason`)
})

t.test('marks the details that raise an alarm as signs of an attack, and names who acts', async t => {
  for (const detail of Object.keys(reuseSignals)) t.equal(classify('refresh_reused', detail).sign, 'attack', detail)
  const alarms = Object.entries(objections).flatMap(([reason, objection]) =>
    typeof objection === 'object'
      ? Object.entries(objection).flatMap(([detail, cause]) => (cause === 'certificate' ? [] : [[reason, detail]]))
      : [],
  )
  t.not(alarms.length, 0)
  for (const [reason, detail] of [
    ...alarms,
    ['certificate_mismatch', 'other_certificate'],
    ['connection_mismatch', 'other_connection'],
    ['proof_invalid', 'used_already'],
  ] as [Reason, string][])
    t.equal(classify(reason, detail).sign, 'attack', `${reason} ${detail}`)
  t.same(classify('expired', 'ended'), { actor: 'client', sign: 'routine' })
  t.same(classify('store_unavailable', 'full'), { actor: 'operator', sign: 'fault' })
  t.same(
    classify('no_certificate', 'not_mutual_tls'),
    { actor: 'developer', sign: 'fault' },
    'its own, not of the reason',
  )
  t.same(classify('no_certificate', 'not_sent'), { actor: 'client', sign: 'fault' })
})

t.test('omits a fact that could break out of a header from the description for the client', async t => {
  for (const parameter of ['a"b', 'a\\b', 'a\r\nb', '\u00e9', 'x'.repeat(201), ''])
    t.equal(
      describeForClient('malformed_request', 'parameter_missing', { parameter }),
      'The parameter is missing. Add it to the form in the request body.',
    )
})

t.test('has a test for each detail', async t => {
  const sources = globSync('test/**/*.test.ts').map(file => readFileSync(file, 'utf8'))
  const missing = Object.entries(details).flatMap(([reason, entries]) => {
    const about = sources.filter(source => new RegExp(`'${reason}'|\\b${reason}:|details\\.${reason}\\b`).test(source))
    // Quoted, or the key of a table row.
    const isExpected = (detail: string) => about.some(source => new RegExp(`'${detail}'|[{ ]${detail}: `).test(source))
    return Object.keys(entries)
      .filter(detail => !isExpected(detail))
      .map(detail => `${reason} ${detail}`)
  })
  t.same(
    missing,
    [],
    'add a row for each, as CONTRIBUTING.md says: to test/server/malformed-requests.test.ts, or to a provokeEach table',
  )
})
