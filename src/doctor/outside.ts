// A running server as clients see it: TLS versions, resumption, renegotiation, client certificates, metadata and clock.
// Sends only handshakes and GET requests.
import type { TLSSocket } from 'node:tls'
import { connect } from '../client/connect.ts'
import type { Identity } from '../client/identity.ts'
import { endpointOf, type Metadata, metadataUrl, verifyMetadata } from '../client/metadata.ts'
import { readDocument } from '../client/read-document.ts'
import { describeKey } from '../core/issuer-key.ts'
import { type ConnectTlsOptions, connectTls } from '../outgoing/connect.ts'
import { parseDocument, requireDocument } from '../outgoing/document.ts'
import { quote } from '../outgoing/failure.ts'
import { checkEnd, type Finding, failure, failuresOf, good, warning } from './finding.ts'
import { type ClockReading, fetchDocument } from './remote-json.ts'

export interface Outside {
  /** The issuer, at whose origin the server is. */
  readonly url: string
  /** The identity to connect with; undefined: none, with these authorities or Node's defaults. */
  readonly identity: Identity | undefined
  readonly ca: string | undefined
  /** Milliseconds since 1970. */
  readonly now: number
}

/** Days before the expiry of the server certificate. */
const warningDays = 30

/** The timeout after a handshake, in milliseconds. */
const answerTimeout = 5000

/** Examines the TLS of the server. Rejects with an OutgoingError without a connection. */
export async function checkTls(outside: Outside): Promise<Finding[]> {
  const open = (options: Partial<ConnectTlsOptions>) => connectTls({ ...addressOf(outside), ...options })
  const socket = await open({})
  const certificate = socket.getPeerX509Certificate()
  const [protocol, cipher] = [socket.getProtocol(), socket.getCipher().standardName]
  socket.destroy()
  const end = certificate?.validToDate.getTime()
  const isOld = (await accepts(open, 'TLSv1.1')) || (await accepts(open, 'TLSv1'))
  const hasTls12 = await accepts(open, 'TLSv1.2')
  const hasTls13 = await accepts(open, 'TLSv1.3')
  return [
    good(`connected with ${protocol}, ${cipher}`),
    checkEnd('the server certificate', end, outside.now, warningDays, 'renew it'),
    hasTls13 ? good('TLS 1.3 is accepted') : failure('TLS 1.3 is not accepted', 'enable it'),
    hasTls12
      ? warning(
          'TLS 1.2 is accepted: without the extended master secret it offers no channel binding',
          'disable it if no client needs it',
        )
      : good('TLS 1.2 is not accepted'),
    isOld
      ? failure('TLS 1.1 or TLS 1.0 is accepted', 'disable both (RFC 8996)')
      : good('TLS 1.1 and TLS 1.0 are not accepted'),
    await checkResumption(open, new URL(outside.url).host),
    hasTls12 ? await checkRenegotiation(open) : good('renegotiation is not possible: TLS 1.3 does not have it'),
  ]
}

type Open = (options: Partial<ConnectTlsOptions>) => Promise<TLSSocket>
type Version = NonNullable<ConnectTlsOptions['minVersion']>

async function accepts(open: Open, version: Version): Promise<boolean> {
  // The oldest versions require OpenSSL's security level 0.
  const ciphers = version < 'TLSv1.2' ? { ciphers: 'DEFAULT:@SECLEVEL=0' } : {}
  return open({ minVersion: version, maxVersion: version, ...ciphers }).then(
    socket => socket.destroy() !== undefined,
    () => false,
  )
}

/** Checks whether a session can be resumed: the server then skips the client certificate. */
async function checkResumption(open: Open, host: string): Promise<Finding> {
  const first = await open({})
  const isTls13 = first.getProtocol() === 'TLSv1.3'
  let ticket: Buffer | undefined
  first.on('session', session => {
    ticket = session
  })
  await exchange(first, `GET /binding HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`) // TLS 1.3 sends tickets late
  const session = isTls13 ? ticket : (ticket ?? first.getSession())
  first.destroy()
  if (session === undefined) return good('sessions are not resumed: the server issues no tickets')
  const second = await open({ session, ...(!isTls13 && { maxVersion: 'TLSv1.2' }) })
  const isReused = second.isSessionReused()
  second.destroy()
  if (!isReused) return good('sessions are not resumed')
  return failure(
    'sessions are resumed: with a stolen ticket, an attacker needs no private key',
    'disable session tickets',
  )
}

async function checkRenegotiation(open: Open): Promise<Finding> {
  const socket = await open({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', secureOptions: 0 })
  const isDone = await new Promise<boolean>(resolve => {
    const timer = setTimeout(() => resolve(false), answerTimeout)
    const finish = (done: boolean) => {
      clearTimeout(timer)
      resolve(done)
    }
    socket.once('error', () => finish(false)).once('close', () => finish(false))
    socket.renegotiate({}, error => finish(error === null))
  })
  socket.destroy()
  if (!isDone) return good('renegotiation is rejected')
  return failure('renegotiation is accepted: the certificate of a connection can change', 'set SSL_OP_NO_RENEGOTIATION')
}

/** Writes a request, and waits for the first octets of the response, or the end of the connection. */
async function exchange(socket: TLSSocket, request: string): Promise<void> {
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, answerTimeout)
    const finish = () => {
      clearTimeout(timer)
      resolve()
    }
    socket.once('data', finish).once('close', finish).once('error', finish)
    socket.write(request)
  })
}

function addressOf({ url, identity, ca }: Outside): ConnectTlsOptions {
  const { hostname, host, port } = new URL(url)
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 443),
    address: host,
    ALPNProtocols: ['http/1.1'],
    ...(identity !== undefined
      ? { cert: identity.certificate, key: identity.key, ca: identity.ca }
      : ca !== undefined && { ca }),
  }
}

/** Checks the metadata and the key set, without a client certificate. Rejects with an OutgoingError without metadata. */
export async function checkMetadata({ url, identity, ca }: Outside, readings: ClockReading[]): Promise<Finding[]> {
  const authorities = identity?.ca ?? ca
  const metadata = verifyMetadata(await fetchDocument(metadataUrl(url), authorities, readings), url)
  const { token_bindings_supported: bindings, tls_client_certificate_bound_access_tokens: isBound } = metadata
  const levels = Array.isArray(bindings) ? bindings.join(', ') : isBound === true ? 'certificate' : undefined
  const endpoints = ['token_endpoint', 'jwks_uri'].map(name => checkEndpoint(metadata, name))
  return [
    good(`the metadata names the issuer ${url}`),
    ...endpoints,
    levels === undefined
      ? failure('the metadata declares no binding of tokens', 'declare it as in RFC 8705 section 3.3')
      : good(`tokens are bound to: ${quote(levels)}`),
    await checkKeys(metadata, authorities, readings),
  ]
}

function checkEndpoint(metadata: Metadata, name: string): Finding {
  try {
    return good(`${name}: ${endpointOf(metadata, name).href}`)
  } catch (error) {
    return failuresOf(error)[0] as Finding
  }
}

async function checkKeys(metadata: Metadata, ca: string | undefined, readings: ClockReading[]): Promise<Finding> {
  try {
    const { keys } = (await fetchDocument(endpointOf(metadata, 'jwks_uri'), ca, readings)) as { keys?: unknown }
    if (!Array.isArray(keys) || keys.length === 0) return failure('the key set contains no keys')
    return good(`keys: ${quote(keys.map(describeKey).join(', '))}`)
  } catch (error) {
    return failuresOf(error)[0] as Finding
  }
}

/** Compares the server's view of a connection with the client's. Rejects with an OutgoingError or ClientError. */
export async function checkBinding({ url, identity }: Outside): Promise<Finding[]> {
  if (identity === undefined)
    return [good('no certificate was presented: pass --cert, --key and --ca to check how the server evaluates it')]
  const channel = await connect(new URL(url).origin, identity)
  try {
    const address = new URL('/binding', url)
    const { status, headers, octets } = await readDocument(channel.dispatcher, address, { method: 'GET' })
    if (status === 404) return [warning(`${address.href}: no such page, so the channel bindings cannot be compared`)]
    requireDocument(address.href, status, headers)
    return describeBinding(parseDocument(address.href, headers, octets), channel.certificate, channel.bindings)
  } finally {
    channel.destroy()
  }
}

function describeBinding(seen: unknown, thumbprint: string, ours: object): Finding[] {
  const { certificate, bindings } = (seen ?? {}) as { readonly certificate?: unknown; readonly bindings?: unknown }
  const binding = sameBindings(bindings, ours)
    ? good('both ends see the same channel bindings')
    : failure('the channel bindings differ: a proxy in between terminates TLS', 'make it forward TCP (layer 4)')
  return [describeCertificate(certificate, thumbprint), binding]
}

function describeCertificate(certificate: unknown, thumbprint: string): Finding {
  if (certificate === null)
    return failure('the server received no client certificate', 'make it request client certificates')
  const { reason, 'x5t#S256': seen, subject } = (certificate ?? {}) as Readonly<Record<string, unknown>>
  if (reason !== undefined) {
    const found = `the server rejects the presented certificate: ${quote(String(reason))}`
    return failure(found, 'read the detail of the refusal in the events of the server')
  }
  if (seen !== thumbprint) return failure('the server received another certificate: a proxy in between terminates TLS')
  return good(`the server accepts the certificate of ${quote(String(subject))}, ${thumbprint}`)
}

function sameBindings(theirs: unknown, ours: object): boolean {
  const names = Object.keys(ours)
  const members = (theirs ?? {}) as Readonly<Record<string, unknown>>
  return names.length > 0 && names.every(name => members[name] === (ours as Readonly<Record<string, unknown>>)[name])
}
