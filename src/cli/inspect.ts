// tlsbound inspect: explains a token, and whether a new connection would be accepted with it; or how to register a
// client certificate.
import { existsSync } from 'node:fs'
import { type Identity, readIdentityFiles } from '../client/client.ts'
import { readCredentials } from '../client/identity.ts'
import { loadCertificates, renderCertificates } from '../files/pem-files.ts'
import { httpsUrl } from '../settings/forms.ts'
import { decodeToken } from '../text/describe-token.ts'
import { buildCertificateReport } from './certificate-report.ts'
import { type Command, UsageError, type Values } from './command.ts'
import { findIdentity, identityOptions } from './identity-options.ts'
import { readInput } from './input.ts'
import type { Access } from './issuer.ts'
import { type Signature, verifySignature } from './judge-token.ts'
import { buildOpaqueReport } from './opaque-report.ts'
import { createOptionReader, jsonOption } from './option.ts'
import { writeResult } from './output.ts'
import { issuer } from './token-options.ts'
import { buildReport, describeReport, type TokenReport } from './token-report.ts'

/** The maximum length of a token in characters. */
const longest = 65_536

export const command: Command = {
  usage: ['TOKEN [OPTIONS]', '- [OPTIONS]', 'CERTIFICATE-FILE [--json]'],
  description: [
    'Decodes a token, explains each claim, and reports whether a new connection with the given certificate would be accepted with it, and what could not be verified.',
    'Use - and give the token on stdin: other users of the machine can read the arguments of a command.',
    'The keys that verify the signature are fetched from the issuer. The token is not sent anywhere.',
    'With the PEM file of a client certificate, prints its names in the form in which a client is registered, and its thumbprint.',
  ],
  positionals: { value: 'TOKEN|CERTIFICATE-FILE' },
  options: [
    { ...issuer, help: 'The required issuer', fallback: 'the one that the token names', group: 'Options' },
    { name: 'offline', help: 'Fetches nothing; the signature is not verified' },
    jsonOption,
    ...identityOptions,
  ],
  groupNotes: {
    'Client identity':
      'Without any of these files the command uses alice of the demo, if certs/ contains the files of the demo. Without --cert no certificate is compared. Without --ca the authorities of Node are trusted.',
  },
  failure: 'the token would be rejected, or the input is not a token',
  examples: ['tlsbound token https://localhost:8443 | tlsbound inspect -', 'tlsbound inspect - --offline < token.txt'],
  async run(values, [word, ...others]) {
    if (word === undefined || others.length > 0)
      throw new UsageError('expected one token, - for stdin, or a certificate file')
    if (word !== '-' && existsSync(word)) {
      const { report, words } = buildCertificateReport(word)
      writeResult(values, report, words)
      return
    }
    const token = (word === '-' ? (await readInput('-')).toString() : word).trim()
    const { report, words } = buildOpaqueReport(token) ?? (await inspectSigned(token, values))
    writeResult(values, report, words)
    if (report.accepted === false) process.exitCode = 1
  },
}

/** Builds the report as data and as text. Rejects with a one-line error when it is not a token. */
export async function inspectSigned(token: string, values: Values): Promise<{ report: TokenReport; words: string }> {
  const decoded = token.length > longest ? undefined : decodeToken(token)
  if (decoded === undefined)
    throw new Error(
      'neither a token nor a file; expected a JWT of three parts, a PASETO that begins with v4.public, tlsbound_at_… or tlsbound_rt_…',
    )
  const expected = createOptionReader(values, process.env)(issuer)
  const { files, caFile } = findIdentity(values)
  const identity = files && readIdentityFiles(files)()
  const signature = values.offline
    ? ({ verified: false, why: '--offline was given' } as const)
    : await verify(token, expected ?? decoded.claims.iss, openAccess(identity, caFile))
  const certificate = identity && readCredentials(identity).certificate
  const now = Math.floor(Date.now() / 1000)
  const report = buildReport(token, decoded, { issuer: expected, signature, certificate, now }, files?.certFile)
  return { report, words: describeReport(report) }
}

function openAccess(identity: Identity | undefined, caFile: string | undefined): Access {
  if (identity !== undefined) return { identity }
  if (caFile === undefined) return { ca: undefined }
  return { ca: renderCertificates(loadCertificates(caFile)), trusted: caFile }
}

async function verify(token: string, from: unknown, access: Access): Promise<Signature> {
  const known = typeof from === 'string' ? httpsUrl.parse(from) : undefined
  if (known === undefined) return { verified: false, why: 'the token names no issuer to fetch keys from' }
  return verifySignature(token, known, access)
}
