// The table of what a refresh token gets, in docs/explanation/theft-response.md and docs/reference/endpoints.md: computed by the
// rotation rule and by the rules of theft.
import { readFileSync } from 'node:fs'
import { theftResponses } from '../../src/core/client.ts'
import { detailOfReuse, judgeRefresh, type RefreshTokenFacts, retryWindow } from '../../src/core/refresh-token.ts'
import { reuseRevokesGrant, reuseSignals, suspect } from '../../src/core/theft.ts'
import { type Files, table } from './generator.ts'

const paths = ['docs/explanation/theft-response.md', 'docs/reference/endpoints.md']
const place =
  /(<!-- refresh rule: written by `node scripts\/generate\.ts refresh-rule` -->\n)[\s\S]*?(<!-- end of the rule -->)/

export function generate(): Files {
  return Object.fromEntries(
    paths.map(path => {
      const page = readFileSync(path, 'utf8')
      if (!place.test(page)) throw new Error(`${path} has no place for the refresh rule`)
      return [path, page.replace(place, (_, start, end) => `${start}${buildTable()}${end}`)]
    }),
  )
}

const first = 1_000_000
const unused: RefreshTokenFacts = { rotation: 'rotate', expires: first, revoked: false, used: undefined }
const used = (successor: 'sealed' | 'used'): RefreshTokenFacts => ({ ...unused, used: { first, successor } })

/** Each state of a token with a moment; states with several moments must have one outcome at all of them. */
const states: readonly (readonly [words: string, facts: RefreshTokenFacts, ...moments: number[]])[] = [
  ['is unused', unused, first, first + 10 * retryWindow],
  ['was used less than a minute ago, and its successor was not', used('sealed'), first, first + retryWindow - 1],
  ['was used a minute ago or earlier, and its successor was not', used('sealed'), first + retryWindow, first * 100],
  ['was used, and so was its successor', used('used'), first, first + retryWindow, first * 100],
  ['does not rotate (`static`)', { ...unused, rotation: 'static' }, first, first + 10 * retryWindow],
  ['belongs to a grant that has ended', used('sealed'), first * 1000],
  ['belongs to a grant that was revoked', { ...unused, revoked: true }, first],
]

function buildTable(): string {
  const header = [
    'the token …',
    'presented by the certificate or client that it is bound to',
    'presented by another party',
  ]
  return table(
    header,
    states.map(([words, facts, ...moments]) => {
      const [outcome, ...others] = new Set(moments.map(now => judgeRefresh(facts, now)))
      if (outcome === undefined || others.length > 0) throw new Error(`the state "${words}" has several outcomes`)
      return [words, describeOwn(outcome, facts), describeOther(outcome)]
    }),
  )
}

function describeOwn(outcome: ReturnType<typeof judgeRefresh>, facts: RefreshTokenFacts): string {
  if (outcome === 'rotated') return 'a new successor'
  if (outcome === 'retried') return 'the same successor again'
  if (outcome === 'static') return 'the same token'
  if (outcome === 'expired') return 'refused: `refresh_expired`'
  if (outcome === 'revoked') return 'refused: `refresh_revoked`'
  const detail = detailOfReuse(facts)
  const revoking = theftResponses.filter(reuseRevokesGrant).map(response => `\`${response}\``)
  const { suspicion } = reuseSignals[detail]
  return `refused: \`refresh_reused\`, detail \`${detail}\`; a *${suspicion}* theft, which ends the grant where \`theft_response\` is ${revoking.join(' or ')}`
}

/** Another certificate is refused before the rule is asked. Only a grant that is still valid can be stolen. */
function describeOther(outcome: ReturnType<typeof judgeRefresh>): string {
  if (outcome === 'expired' || outcome === 'revoked') return 'refused'
  const signals = (['other_certificate', 'no_certificate'] as const).flatMap(came => [
    suspect('refresh_unknown', 'other_client', came)?.suspicion,
    suspect('refresh_certificate_mismatch', 'other_certificate', came)?.suspicion,
  ])
  const [suspicion, ...others] = new Set(signals)
  if (suspicion === undefined || others.length > 0) throw new Error('other certificates have several signals')
  return `refused; a *${suspicion}* theft`
}
