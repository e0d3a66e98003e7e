// npm run demo: shows in one run what a stolen token is worth, against a real server over real TLS connections. README.md
// shows this output, and a test compares the two; so the output is the same in each run.
import { startTestServer, type TestConnection } from '../src/testing/server.ts'

let wrong = 0
const server = await startTestServer()
const connect = server.connect.bind(server)

tell('alice opens a TLS connection with her certificate and requests a token.')
const alice = await connect('alice')
const issued = await alice.requestToken()
show('alice requests a token', issued, 200, `bound to ${issued.body.token_binding}`)
const token: string = issued.body.access_token
await use('alice uses it on this connection', alice, 200)

tell('The token leaks. A thief presents it on other connections:')
await use('with the certificate of bob', await connect('bob'), 401, 'certificate_mismatch')
await use('with that of mallory, not registered', await connect('mallory'), 401, 'certificate_mismatch')
await use('with one of an untrusted authority', await connect('stranger'), 401, 'certificate_untrusted')
await use('without any certificate', await connect(null), 401, 'no_certificate')

tell("The thief has stolen alice's certificate and private key as well:")
await use('on a second connection as alice', await connect('alice'), 401, 'connection_mismatch')
await use('on a connection over HTTP/2', await connect('alice', { ALPNProtocols: ['h2'] }), 401, 'connection_mismatch')
const ticket = alice.socket.getSession()
const resumed = await connect('alice', ticket ? { session: ticket } : {})
await use('resuming her TLS connection', resumed, 401, 'connection_mismatch')
tell(
  `(the server does not resume connections: this was a ${resumed.socket.isSessionReused() ? 'resumed' : 'full'} handshake)`,
)

tell('The thief changes the token, or requests one:')
await use('cnf removed from the token', alice, 401, 'bad_signature', withoutConfirmation(token))
const mallory = await connect('mallory')
show('mallory requests one as alice', await mallory.requestToken({ client_id: 'alice' }), 401, 'client_mismatch')
show('mallory requests one as mallory', await mallory.requestToken(), 401, 'unknown_client')

tell('A token bound to the certificate only (RFC 8705) works on every connection of its certificate:')
const portable = await alice.token({ token_binding: 'certificate' })
await use('on a second connection as alice', await connect('alice'), 200, undefined, portable)
await use('with the certificate of bob', await connect('bob'), 401, 'certificate_mismatch', portable)

tell('Meanwhile alice continues to work, until her token expires:')
await use('alice uses it on her connection', alice, 200)
server.clock += 300
await use('alice uses it five minutes later', alice, 401, 'expired')

await server.close()
tell(wrong === 0 ? 'Everything went as it should.' : `${wrong} answers were not as they should be.`)
process.exitCode = wrong === 0 ? 0 : 1

async function use(
  what: string,
  by: TestConnection,
  status: number,
  reason?: string,
  presented = token,
): Promise<void> {
  show(what, await by.get('/api/whoami', presented), status, reason)
}

function show(what: string, answer: { status: number; body: { reason?: string } }, status: number, note = ''): void {
  const as = answer.status === status && (answer.body.reason === undefined || answer.body.reason === note)
  if (!as) wrong++
  console.log(
    `  ${what.padEnd(40)} ${answer.status}  ${answer.body.reason ?? note}${as ? '' : '  <- not expected'}`.trimEnd(),
  )
}

function tell(sentence: string): void {
  console.log(`${sentence.startsWith('(') ? '  ' : '\n'}${sentence}`)
}

/** Returns the token without its cnf claim, with the original signature. */
function withoutConfirmation(jwt: string): string {
  const [header, payload = '', signature] = jwt.split('.')
  const { cnf: _, ...claims } = JSON.parse(Buffer.from(payload, 'base64url').toString())
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
}
