// The report of `tlsbound inspect` about a token, as data and as text.

import { levelOf } from '../core/access-token.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import { type Reason, reasons } from '../core/errors.ts'
import { escapeForDisplay } from '../core/escape-for-display.ts'
import { isPaseto } from '../core/paseto.ts'
import { type DecodedToken, type Explanation, explainClaims, levels } from '../text/describe-token.ts'
import { type Circumstances, findRefusal, type Signature } from './judge-token.ts'

export interface TokenReport extends DecodedToken {
  readonly type: 'jwt' | 'paseto'
  readonly explanations: readonly Explanation[]
  /** null when cnf has none of the known forms. */
  readonly level: TokenBinding | null
  readonly signature: Signature
  /** The certificate to present it with, if given, and whether it is the one that the token names. */
  readonly certificate: { readonly file: string; readonly 'x5t#S256': string; readonly named: boolean } | null
  /** Whether a new connection would be accepted; null: that depends on its certificate. */
  readonly accepted: boolean | null
  readonly reason: Reason | null
  readonly not_verified: readonly string[]
}

/** Builds the report; `certFile` is the file of the certificate. */
export function buildReport(
  token: string,
  { header, claims }: DecodedToken,
  circumstances: Circumstances,
  certFile: string | undefined,
): TokenReport {
  const { signature, certificate, now } = circumstances
  const refusal = findRefusal(token, claims, circumstances)
  const confirmed = (claims.cnf as Readonly<Record<string, unknown>> | null | undefined)?.['x5t#S256']
  const known =
    certificate === undefined || certFile === undefined
      ? null
      : { file: certFile, 'x5t#S256': certificate.thumbprint, named: certificate.thumbprint === confirmed }
  return {
    type: isPaseto(token) ? 'paseto' : 'jwt',
    header,
    claims,
    explanations: explainClaims(claims, now).map(explanation => annotate(explanation, known)),
    level: levelOf(claims.cnf) ?? null,
    signature,
    certificate: known,
    accepted: refusal !== undefined ? false : known !== null ? true : null,
    reason: refusal ?? null,
    not_verified: [
      ...(signature.verified ? [] : [`the signature: ${signature.why}`]),
      'whether the token or its certificate was revoked, or its client disabled',
      'whether the token is for the resource, and which scope and level the resource requires',
    ],
  }
}

function annotate(explanation: Explanation, certificate: TokenReport['certificate']): Explanation {
  if (certificate === null || explanation.name !== 'cnf x5t#S256') return explanation
  const { file, named } = certificate
  return { ...explanation, words: `${explanation.words}: ${named ? '' : 'not '}that of ${file}` }
}

/** Renders the report as text, several lines. */
export function describeReport(report: TokenReport): string {
  const { type, header, explanations, level, signature } = report
  const described = Object.entries(header).map(([name, value]) =>
    escapeForDisplay(`${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`),
  )
  const width = Math.max(...explanations.map(({ name }) => name.length))
  const valueWidth = Math.min(44, Math.max(...explanations.map(({ value }) => value.length)))
  return [
    `A signed token (${type.toUpperCase()}): ${described.join(', ')}`,
    '',
    ...explanations.map(({ name, value, words }) => `  ${name.padEnd(width)}  ${value.padEnd(valueWidth)}  ${words}`),
    '',
    level === null ? 'Its cnf claim has no form that tlsbound issues.' : `Level ${level}: valid ${levels[level]}.`,
    ...(signature.verified
      ? [
          `The signature is ${signature.good ? 'valid: verified with a key of' : 'INVALID: it matches no key of'} ${signature.keys}.`,
        ]
      : []),
    describeVerdict(report),
    '',
    'Not verified:',
    ...report.not_verified.map(item => `- ${item}`),
  ].join('\n')
}

function describeVerdict({ certificate, accepted, reason, level }: TokenReport): string {
  const which = certificate === null ? 'Any new connection' : `A new connection with ${certificate.file}`
  if (reason !== null) return `${which} would be rejected: ${reason}. ${reasons[reason]}`
  if (accepted === null) return 'Whether a new connection would be accepted depends on its certificate; add --cert.'
  return `${which} would be accepted${level === 'proof' ? ', with a proof' : ''}, as far as could be verified.`
}
