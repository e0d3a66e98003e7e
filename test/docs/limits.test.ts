// Compares the numbers of docs/reference/limits.md with the constants of the source.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { mostKinds, written, writtenInAll } from '../../src/audit/flood.ts'
import { longestSignedStream } from '../../src/client/signing/collect.ts'
import { mostSignedPaths } from '../../src/client/signing/signature-demands.ts'
import { maximumReport } from '../../src/core/leak-report.ts'
import { longestFooter } from '../../src/core/paseto.ts'
import { signatureLimits, signatureWindow } from '../../src/core/signed-request.ts'
import { revocationLimit } from '../../src/core/theft.ts'
import { mostListOctets, mostPemOctets } from '../../src/files/pem.ts'
import { mostPassphraseOctets } from '../../src/files/pem-files.ts'
import { assertionLifetime } from '../../src/gateway/assertion.ts'
import { mostAnswers } from '../../src/gateway/introspection.ts'
import { defaultTimeout, mostRoutes } from '../../src/gateway/routes.ts'
import { tunnelLimits } from '../../src/gateway/tunnels.ts'
import { upstreamLimits } from '../../src/gateway/upstream.ts'
import { remoteLimits } from '../../src/keys/remote-document.ts'
import { outboxLimit } from '../../src/notify/outbox.ts'
import { deliveryTimeout } from '../../src/notify/sender.ts'
import { largestDocument } from '../../src/outgoing/document.ts'
import { mostInterim, requestDeadlines } from '../../src/outgoing/request.ts'
import { mostJsonOctets } from '../../src/process/files.ts'
import { mostHints } from '../../src/relay/relay.ts'
import { unreadLimits } from '../../src/relay/unread.ts'
import { maximumForm, maximumParameter } from '../../src/server/bodies.ts'
import { settingsTable } from '../../src/settings/settings.ts'
import { notesLimit } from '../../src/store/notes.ts'
import { serverLifetime } from '../../src/store/servers.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { rememberedClients } from '../../src/tls/forwarding.ts'
import { floodBudget, resetLimits } from '../../src/tls/http2-floods.ts'
import { defaultTimeouts, maxConcurrentStreams } from '../../src/tls/listener-options.ts'
import { longestHeader, longestLine } from '../../src/tls/proxy-header.ts'
import { maximumRemembered } from '../../src/tls/verified-tokens.ts'
import { issuerTimeout } from '../../src/verify/issuer-keys.ts'
import { maximumProven, maximumUsed } from '../../src/verify/proofs.ts'

const { handshake, headers, request, idle, retirement, retirementGrace, revoked } = defaultTimeouts
const { connect, handshake: outgoingHandshake, head, whole } = requestDeadlines
const server = await startTestServer()
t.teardown(() => server.close())
const { bodyLimit, routerOptions } = server.app.initialConfig

/** Thousands are grouped from five digits on. */
const grouped = (number: number | undefined) =>
  Number(number) < 10_000 ? String(number) : String(number).replaceAll(/\B(?=(?:\d{3})+$)/g, ' ')
const octets = (number: number | undefined) => `${grouped(number)} octets`
const seconds = (milliseconds: number) => `${milliseconds / 1000} s`
const checked = `checked every ${Math.min(request, idle) / 4} s`

const limits: Readonly<Record<string, string>> = {
  'footer of a PASETO': `${longestFooter} characters`,
  routes: grouped(mostRoutes),
  'connections to one upstream, not counting those of WebSockets and of requests with trailers': grouped(
    upstreamLimits.connections,
  ),
  'requests under way to one upstream, those that wait for a connection or have trailers too': `${grouped(upstreamLimits.requests)}; further ones get 503`,
  'time without progress until the response begins': `\`timeout\` of the route, ${defaultTimeout} s`,
  'open WebSockets, accepted by the upstream or not yet': `${grouped(tunnelLimits.open)}; further ones get 503`,
  'end of a WebSocket whose token is no longer valid': seconds(tunnelLimits.recheck),
  'lifetime of an assertion': `${assertionLifetime.most} s`,
  'answers of an issuer about tokens that are remembered': `${grouped(mostAnswers)}; the oldest is asked for again`,
  'TCP connection without a completed handshake': `${handshake} s`,
  'head of a request over HTTP/1.1': `${headers} s`,
  'whole request over HTTP/1.1': `${request} s`,
  'whole request over HTTP/2': `${request} s, ${checked}`,
  'connection over HTTP/1.1 without requests': `${idle} s`,
  'connection over HTTP/2 without an octet in either direction': `${idle} s, ${checked}`,
  'response that the peer does not read, over HTTP/1.1': `${idle} s`,
  'response that the peer does not read, over HTTP/2': `${idle} s, ${checked}`,
  'age of a connection': `\`TLSBOUND_CONNECTION_MAX_AGE\`, ${settingsTable.connectionMaxAge.fallback} s`,
  'connection whose certificate a newly loaded revocation list names': `${revoked} s`,
  'other connection, after a change of authorities or lists, or after the end of one of them': `${retirement} s; ${retirement + retirementGrace} s at most`,
  'the same, if its certificate was refused or missing before the change': `0 s; ${retirementGrace} s at most`,
  'closed connection over HTTP/2 whose peer does not close its end': `${idle} s without an octet, ${checked}`,
  'resets of any kind, with those of answered requests': `${resetLimits.streamResetBurst} at once; ${resetLimits.streamResetRate} per second`,
  'rest of a request body after an early response of the sidecar, or of the upstream of a gateway, over HTTP/1.1': `${seconds(unreadLimits.time)}, ${octets(unreadLimits.octets)}`,
  'name resolution and TCP connection': seconds(connect),
  'TLS handshake': seconds(outgoingHandshake),
  'head of a document': seconds(head),
  'whole document with its connection': seconds(whole),
  'keys of an issuer': seconds(issuerTimeout),
  'answer of an issuer about a token, with the wait for a connection (`tlsbound gateway --introspect`)':
    seconds(issuerTimeout),
  'notification with its response': seconds(deliveryTimeout),
  'size of a document: metadata, keys, response of a token endpoint': octets(largestDocument),
  'early hints of one response': grouped(mostHints),
  'interim responses before the final one': grouped(mostInterim),
  'stream that the client library collects to sign it': `${octets(longestSignedStream)}; a longer one fails with \`body_too_long_to_sign\``,
  'paths that the client library remembers because they ask for signed requests': grouped(mostSignedPaths),
  redirects: 'none', // test/outgoing/document.test.ts
  'fetches of an issuer’s keys because of an unknown key id': `one in ${seconds(remoteLimits.cooldown)}`,
  'concurrent requests on one connection over HTTP/2': grouped(maxConcurrentStreams),
  'resets, PING and SETTINGS frames on one connection over HTTP/2': `${floodBudget.burst} at once, without an accepted certificate ${floodBudget.burstWithoutCertificate}; ${floodBudget.perSecond} per second`,
  'PROXY protocol header, version 1': octets(longestLine),
  'PROXY protocol header, version 2': octets(longestHeader),
  'file of certificates, or with a key': octets(mostPemOctets),
  'file of revocation lists': octets(mostListOctets),
  'file of JSON': octets(mostJsonOctets),
  'file with a passphrase, or with the password of the database': octets(mostPassphraseOctets),
  form: octets(maximumForm),
  'parameter of a form that is not a token': `${grouped(maximumParameter)} characters`,
  'JSON body': octets(bodyLimit),
  'path parameter': `${routerOptions?.maxParamLength} characters`,
  'verified tokens remembered on one connection': grouped(maximumRemembered),
  'clients remembered on one connection of a proxy': grouped(rememberedClients),
  'verified proofs remembered on one connection': grouped(maximumProven),
  'ids of single-use proofs and nonces of signatures remembered on one connection': grouped(maximumUsed),
  'fields `Signature`, `Signature-Input` and `Content-Digest`, each': `${signatureLimits.characters} characters`,
  'signatures of one request': grouped(signatureLimits.labels),
  'time from `created` to `expires` of a signature': `${signatureWindow.lifetime} s`,
  'time until `created` of a signature': `${signatureWindow.future} s`,
  'equal refusals written to the audit log one by one': `${written} per second`,
  'refusals of all kinds written one by one': `${grouped(writtenInAll)} per second`,
  'kinds of refusals told apart beyond that': grouped(mostKinds),
  'report of leaked tokens': octets(maximumReport),
  'notes of one client of the demo': `${notesLimit.count}, and ${octets(notesLimit.octets)} as JSON`,
  'notifications waiting for one receiver': grouped(outboxLimit),
  'record of a server in a shared database, after its end without a signal': seconds(serverLifetime),
  'automatic revocations for one client': `${revocationLimit.most} in ${revocationLimit.within} s`,
}

t.test('documents every limit of the source with its value', async t => {
  const [text = ''] = readFileSync('docs/reference/limits.md', 'utf8').split('## Measurements')
  const rows = [...text.matchAll(/^\| (?!what \|)(.+?) \|(?:.*\|)? (.+?) \|$/gm)]
  const documented = Object.fromEntries(rows.map(([, what = '', limit]) => [what.replaceAll("'", '’'), limit]))
  t.same(documented, limits)
})
