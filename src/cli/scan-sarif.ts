// The findings of a scan in SARIF 2.1.0 (OASIS), which code hosts show beside the code. Like every report it contains no token.
import { escapeForDisplay } from '../core/escape-for-display.ts'
import type { Finding } from '../scan/scan.ts'

/** What a report is about. */
export interface ScanReport {
  readonly findings: readonly Finding[]
  /** The number of places that are not listed. */
  readonly dropped: number
  readonly problems: readonly string[]
  readonly version: string
}

interface Rule {
  readonly id: string
  readonly kind: Finding['kind']
  readonly meaning: string
}

const rules: readonly Rule[] = [
  {
    id: 'refresh-token',
    kind: 'refresh token',
    meaning:
      'A refresh token of tlsbound is in a file or in the history. Only the client that it is bound to can use it.',
  },
  {
    id: 'opaque-access-token',
    kind: 'opaque access token',
    meaning:
      'An opaque access token of tlsbound is in a file or in the history. Only the client that it is bound to can use it.',
  },
  {
    id: 'signed-access-token',
    kind: 'signed access token',
    meaning:
      'A signed access token that is bound to a certificate is in a file or in the history. Only the owner of the key can use it.',
  },
]

const help =
  'Report the token to its server (tlsbound scan --report), which revokes it. If the private key was found too, revoke the certificate. Then remove the token from the file and find out how it got there.'

/** Scores of CVSS, by which GitHub sorts: without its key a bound token is worthless. */
const severity = '3.0'

/** Builds the log as an object. */
export function buildSarif({ findings, dropped, problems, version }: ScanReport): object {
  const notifications = [
    ...problems.map(problem => notify('error', problem)),
    ...(dropped > 0 ? [notify('warning', `${dropped} more places were found and are not listed`)] : []),
  ]
  return {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'tlsbound scan', version, rules: rules.map(describeRule) } },
        invocations: [{ executionSuccessful: problems.length === 0, toolExecutionNotifications: notifications }],
        results: findings.map(describeFinding),
      },
    ],
  }
}

function notify(level: 'error' | 'warning', text: string): object {
  return { level, message: { text: plain(text) } }
}

function describeRule({ id, kind, meaning }: Rule): object {
  return {
    id,
    name: `leaked ${kind}`,
    shortDescription: { text: `Leaked ${kind}` },
    fullDescription: { text: meaning },
    help: { text: help },
    defaultConfiguration: { level: 'warning' },
    properties: { tags: ['security'], 'security-severity': severity },
  }
}

function describeFinding({ path, line, kind, begins, hash, remark, column, ...facts }: Finding): object {
  const ruleIndex = rules.findIndex(rule => rule.kind === kind)
  return {
    ruleId: rules[ruleIndex]?.id,
    ruleIndex,
    level: facts.leaked_certificate === undefined ? 'warning' : 'error',
    message: { text: plain(`${kind} ${begins}…, SHA-256 ${hash.slice(0, 16)}…: ${remark}`) },
    // Columns are octets here, and characters in SARIF: only the line is given.
    locations: [{ physicalLocation: { artifactLocation: { uri: toUri(path) }, region: { startLine: line } } }],
    partialFingerprints: { 'tokenHash/v1': hash },
    properties: { octet: column, ...facts },
  }
}

/** Escapes control characters, and what has a meaning in a message: placeholders and links (SARIF §3.11.5, §3.11.6). */
function plain(text: string): string {
  return escapeForDisplay(text)
    .replaceAll(/[\\[\]]/g, '\\$&')
    .replaceAll(/[{}]/g, '$&$&')
}

/** Returns a path as a URI reference (RFC 3986): a relative path stays relative. */
function toUri(path: string): string {
  const segments = path.replace(/^(\.\/)+/, '').split('/')
  const reference = segments.map(segment => encodeURIComponent(segment.toWellFormed())).join('/')
  return path.startsWith('/') ? `file://${reference}` : reference
}
