// tlsbound token: an access token for this client, and where it may be used. RFC 6749 §4.4, §5.
import { connect, readIdentityFiles, type TokenChannel } from '../client/client.ts'
import { readClientId, readCredentials } from '../client/identity.ts'
import { type TokenBinding, tokenBindings, verifyConfirmation } from '../core/confirmation.ts'
import { decodeToken, levels } from '../core/describe-token.ts'
import { OAuthError, type Reason, reasons } from '../core/errors.ts'
import type { Presenter } from '../core/presenter.ts'
import { httpsUrl } from '../setting-forms.ts'
import { type Command, UsageError } from './command.ts'
import { identityHelp, identityOptions, requireIdentity } from './identity-options.ts'
import { ask, readAddress, readMetadata } from './issuer.ts'
import { say } from './say.ts'
import { readTokenOptions, tokenHelp, tokenOptions } from './token-options.ts'

export const command: Command = {
  help: `Usage: tlsbound token ISSUER-URL [OPTIONS]

Asks an issuer for an access token, prints it on stdout, and says on stderr where it may be used.

  TOKEN=$(tlsbound token https://localhost:8443 --binding certificate)
  curl --cacert certs/ca.crt --cert certs/alice.crt --key certs/alice.key -H "Authorization: Bearer $TOKEN" …
${tokenHelp}
  --json                  the whole answer of the issuer
${identityHelp}`,
  options: { ...tokenOptions, ...identityOptions, json: { type: 'boolean' } },
  takesWords: true,
  async run(values, [word, ...others]) {
    const issuer = word === undefined || others.length > 0 ? undefined : httpsUrl.read(word)
    if (issuer === undefined) throw new UsageError('token takes the address of one issuer, as https://localhost:8443')
    const { tokenBinding: wanted, ...narrower } = readTokenOptions(values)
    const { files, clientId } = requireIdentity(values)
    const identity = readIdentityFiles(files)()
    const form = {
      grant_type: 'client_credentials',
      client_id: clientId ?? readClientId(readCredentials(identity)),
      ...narrower,
      ...(wanted !== undefined && { token_binding: wanted }),
    }
    const metadata = await readMetadata(issuer, { identity })
    // RFC 8705 §5: what a client with a certificate is to prefer.
    const endpoint = readAddress({ ...metadata, ...(metadata.mtls_endpoint_aliases as object) }, 'token_endpoint')
    const channel = await connect(endpoint.origin, identity)
    try {
      const answer = await request(channel, endpoint.pathname + endpoint.search, form)
      const level = readBinding(answer, channel, wanted)
      process.stdout.write(`${values.json === true ? JSON.stringify(answer) : answer.access_token}\n`)
      say(`Level ${level}: good ${levels[level]}.`)
      say(describeUse(level, files.certFile, answer.expires_in))
    } finally {
      channel.destroy()
    }
  },
}

interface Answer {
  readonly access_token: string
  readonly [name: string]: unknown
}

/** Rejects with one sentence when no token is given. */
async function request({ dispatcher }: TokenChannel, path: string, form: Record<string, string>): Promise<Answer> {
  const { status, body } = await ask(dispatcher, {
    path,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: new URLSearchParams(form).toString(),
  })
  const { access_token: token, reason, error } = body ?? {}
  if (status === 200 && typeof token === 'string' && /^[A-Za-z0-9\-._~+/]+=*$/.test(token))
    return { ...body, access_token: token }
  const word = [reason, error].find(isWord) ?? `it answers ${status}`
  throw new Error(
    `the issuer gives no token: ${Object.hasOwn(reasons, word) ? `${word}. ${reasons[word as Reason]}` : word}`,
  )
}

function isWord(text: unknown): text is string {
  return typeof text === 'string' && /^[a-z_]{1,64}$/.test(text)
}

/** The level of a token, which must be good on this very connection. @throws Error when it is for somebody else. */
function readBinding(answer: Answer, channel: TokenChannel, wanted: TokenBinding | undefined): TokenBinding {
  const presenter = { certificate: { thumbprint: channel.certificate }, bindings: channel.bindings } as Presenter
  const claims = decodeToken(answer.access_token)?.claims
  const stated = tokenBindings.find(level => level === answer.token_binding)
  try {
    // A token that says nothing is bound at least to the certificate, or its resource refuses it.
    const level = claims === undefined ? (stated ?? 'certificate') : verifyConfirmation(claims.cnf, presenter, () => {})
    if (wanted !== undefined && level !== wanted) throw new Error(`the issuer gave a token of level ${level} instead`)
    return level
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    throw new Error(
      `the token is not for this certificate and connection (${error.reason}): does a proxy end TLS here?`,
    )
  }
}

function describeUse(level: TokenBinding, certFile: string, lifetime: unknown): string {
  if (level === 'connection')
    return 'That connection has just ended, so it is good for nothing any more. tlsbound call and tlsbound sidecar keep theirs.'
  const limits = `The certificate is ${certFile}${typeof lifetime === 'number' ? `, the token ends in ${lifetime} s` : ''}.`
  const whose =
    level === 'proof' ? 'tlsbound call and tlsbound sidecar sign such proofs' : 'Any HTTP client can use it there'
  return `${limits} ${whose}.`
}
