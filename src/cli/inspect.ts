// tlsbound inspect: what a token says, and whether a connection made now would be accepted with it; or how a client
// certificate is registered.
import { existsSync } from 'node:fs'
import { type Identity, readIdentityFiles } from '../client/client.ts'
import { readCredentials } from '../client/identity.ts'
import { loadCertificates, renderCertificates } from '../files/pem-files.ts'
import { httpsUrl } from '../settings/forms.ts'
import { decodeToken } from '../text/describe-token.ts'
import { buildCertificateReport } from './certificate-report.ts'
import { type Command, UsageError, type Values } from './command.ts'
import { findIdentity, identityHelp, identityOptions } from './identity-options.ts'
import type { Access } from './issuer.ts'
import { type Signature, verifySignature } from './judge-token.ts'
import { buildOpaqueReport } from './opaque-report.ts'
import { tell } from './ops.ts'
import { createOptionReader, declareOptions } from './option.ts'
import { readInput } from './read-input.ts'
import { issuer } from './token-options.ts'
import { buildReport, describeReport, type TokenReport } from './token-report.ts'

/** Characters; more is no token. */
const longest = 65_536

export const command: Command = {
  help: `Usage: tlsbound inspect TOKEN|- [OPTIONS]
       tlsbound inspect CERTIFICATE-FILE [--json]

Decodes a token, explains each claim, and says whether a connection made now would be accepted with it, and what of that
was not verified. Give - and the token on stdin: what stands in a command line, everybody on this machine can read.
The keys for its signature are asked of the issuer; the token itself is sent nowhere. Exit 1 if it would be refused.

With the file of a client certificate in PEM, prints its names in the form in which a client is registered, and its
thumbprint.

  --issuer URL            who must have issued it (TLSBOUND_ISSUER, whoever the token names)
  --offline               ask nobody; the signature is then not verified
  --json                  the same as JSON
${identityHelp}
With --ca alone, or none of them, no certificate is judged. Without --ca, Node's own authorities are trusted.
`,
  options: { ...declareOptions([issuer]), offline: { type: 'boolean' }, json: { type: 'boolean' }, ...identityOptions },
  takesWords: true,
  async run(values, [word, ...others]) {
    if (word === undefined || others.length > 0)
      throw new UsageError('inspect takes one token, - for stdin, or the file of a certificate')
    if (word !== '-' && existsSync(word)) {
      const { report, words } = buildCertificateReport(word)
      tell(values, report, words)
      return
    }
    const token = (word === '-' ? (await readInput('-')).toString() : word).trim()
    const { report, words } = buildOpaqueReport(token) ?? (await inspectJwt(token, values))
    tell(values, report, words)
    if (report.accepted === false) process.exitCode = 1
  },
}

/** Builds the report, and the same in words. Rejects with one sentence when it is no token. */
async function inspectJwt(token: string, values: Values): Promise<{ report: TokenReport; words: string }> {
  const decoded = token.length > longest ? undefined : decodeToken(token)
  if (decoded === undefined)
    throw new Error('this is no token and no file: neither the three parts of a JWT nor tlsbound_at_… or tlsbound_rt_…')
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
  const known = typeof from === 'string' ? httpsUrl.read(from) : undefined
  if (known === undefined) return { verified: false, why: 'the token names no issuer that could be asked' }
  return verifySignature(token, known, access)
}
