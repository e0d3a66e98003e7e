// The scenarios about tokens, proofs, refresh tokens and HTTP catch a server with their fault, in cases that broken.test.ts
// does not cover. CB20, JW05, JW11, I6.
import { createPublicKey, verify } from 'node:crypto'
import { get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Http2SecureServer, Http2ServerRequest } from 'node:http2'
import t from 'tap'
import { verifyBindingProof } from '../../src/core/binding-proof.ts'
import { confirm } from '../../src/core/confirmation.ts'
import type { Presenter } from '../../src/core/presenter.ts'
import { generateTokenKey } from '../../src/keys/token-keys.ts'
import { scenarios } from '../../src/lab/catalog.ts'
import { readToken } from '../../src/lab/forge.ts'
import { describeSetting, type Run } from '../../src/lab/matrix.ts'
import { spellings } from '../../src/lab/spellings.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { startTestServer, type TestServer } from '../../src/testing/server.ts'
import { connectionOf } from '../../src/tls/connection.ts'
import { labClients, playLab } from '../helpers/lab/lab.ts'
import { type FaultName, startBrokenServer } from '../helpers/server/broken-server.ts'
import { forgeToken, signatureOf } from '../helpers/tokens/forge-token.ts'

t.setTimeout(120_000)

const signingKey = await generateTokenKey('ES256')
const find = (...wanted: readonly string[]) => scenarios.filter(({ id }) => wanted.includes(id))

/** Returns the outcome and evidence of each scenario of a run; the evidence explains a failed test. */
const outcomes = ({ findings }: Pick<Run, 'findings'>) =>
  findings.map(({ scenario: { id }, outcome, evidence }) => ({ id, outcome, evidence }))

/** broken.test.ts runs each of them at one level over HTTP/1.1; these run at other levels as well. */
const caught: readonly (readonly [string, FaultName, ...Run['level'][]])[] = [
  ['token-in-query', 'takesTokensFromQuery', 'certificate'],
  ['two-authorization-headers', 'believesSecondHeader', 'certificate'],
  ['ambiguous-token', 'believesSecondHeader', 'proof'],
  ['forged-certificate-headers', 'trustsCertificateHeader', 'proof', 'connection'],
  ['other-request', 'skipsHead', 'certificate', 'proof'],
  ['changed-claims', 'ignoresSignatures', 'certificate'],
  ['broken-confirmation', 'acceptsMissingConfirmation', 'certificate', 'proof'],
  ['unknown-confirmation', 'acceptsUnknownMembers', 'proof'],
  ['unsigned-proof', 'acceptsProofsOfOtherKeys', 'proof'],
  ['stolen-proof', 'readsNoProof', 'proof'],
  ['exchanged-token', 'ignoresConnection', 'connection'],
  ['revoked-token', 'readsLoosely', 'certificate'],
]

t.test('catches the fault of each scenario over HTTP/2 as well', async t => {
  for (const [id, fault, ...levels] of caught) {
    const server = await startBrokenServer(fault)
    for (const run of await playLab(server, find(id), { levels, http: ['h2'], signingKey: server.signingKey }))
      t.match(outcomes(run), [{ id, outcome: 'failed', evidence: /^accepted: / }], `${fault}, ${describeSetting(run)}`)
    await server.close()
  }
})

t.test('reports what level certificate does not promise, and does not count it as a failure', async t => {
  for (const [id, fault] of [
    ['ambiguous-token', 'believesSecondHeader'],
    ['unknown-confirmation', 'acceptsUnknownMembers'],
  ] as const) {
    const server = await startBrokenServer(fault)
    const [run] = await playLab(server, find(id), { levels: ['certificate'], signingKey: server.signingKey })
    t.match(outcomes(run as Run), [
      { outcome: 'accepted, not promised', evidence: /does not promise to stop this; .*: 200$/ },
    ])
    await server.close()
  }
})

t.test('respells a token with the same octets, or with an equivalent signature', t => {
  for (let time = 0; time < 8; time++) {
    const token = forgeToken({ jwk: signingKey, claims: { time } })
    const [input, signature] = [token.slice(0, token.lastIndexOf('.')), signatureOf(token)]
    const { 'with a trailing dot': dotted, 'with the equivalent s': other = '', ...same } = spellings(token)
    t.equal(dotted, `${token}.`)
    for (const [what, text] of Object.entries(same)) {
      t.not(text, token)
      t.ok(text.startsWith(`${input}.`) && signatureOf(text).equals(signature), what)
    }
    t.ok(Object.keys(same).includes('with trailing bits set'))
    const key = { key: createPublicKey({ key: signingKey, format: 'jwk' }), dsaEncoding: 'ieee-p1363' } as const
    t.ok(verify('sha256', Buffer.from(input), key, signatureOf(other)) && !signatureOf(other).equals(signature))
  }
  t.end()
})

type Hook = (request: IncomingMessage & Http2ServerRequest, response: ServerResponse) => void

/** Handles requests before the server does. */
const spy = (server: TestServer, hook: Hook) =>
  (server.app.server as unknown as Http2SecureServer).prependListener('request', hook as never)

t.test('catches a server that requests a URL of the thief, even if it then rejects the token (JW05)', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  spy(server, ({ headers }) => {
    const header = Buffer.from(/^Bearer ([^.]+)/.exec(headers.authorization ?? '')?.[1] ?? '', 'base64url').toString()
    const address = /"jku":"([^"]+)"/.exec(header)?.[1]
    if (address !== undefined) get(address, answer => answer.resume())
  })
  const [run] = await playLab(server, find('key-in-header'), { levels: ['connection'] })
  t.match(outcomes(run as Run), [{ outcome: 'failed', evidence: /^accepted: the URL of the thief: requested/ }])
})

t.test('catches a server that accepts a valid proof instead of the connection of a token (CB20)', async t => {
  const server = await startTestServer({ signingKeys: [signingKey] })
  t.teardown(() => server.close())
  spy(server, request => {
    const token = request.headers.authorization?.slice('Bearer '.length) ?? ''
    const { presenter } = connectionOf(request.socket) as { presenter: Presenter }
    const proof = request.headers['session-binding-proof']
    if (proof === undefined) return
    try {
      verifyBindingProof(String(proof), { token, method: 'GET', target: request.url ?? '' }, presenter, server.clock)
    } catch {
      return
    }
    const claims = { ...readToken(token).claims, cnf: confirm(presenter, 'certificate') }
    request.headers.authorization = `Bearer ${forgeToken({ jwk: signingKey, claims })}`
  })
  const [run] = await playLab(server, find('forged-binding-headers'), { levels: ['connection'] })
  t.match(outcomes(run as Run), [{ outcome: 'failed', evidence: 'accepted: Session-Binding-Proof of the thief: 200' }])
})

t.test('catches a server that checks a refresh token before it marks it, so that two uses succeed (I6)', async t => {
  const store = openSqlite(':memory:')
  const { rotateRefreshToken } = store
  store.rotateRefreshToken = async (hash, successor, now) => {
    const seen = await store.findRefreshToken(hash)
    const found = await rotateRefreshToken.call(store, hash, successor, now)
    return seen?.state === 'unused' ? { outcome: 'rotated', grant: seen.grant } : found
  }
  const server = await startTestServer({ clients: labClients, store })
  t.teardown(() => server.close())
  const [run] = await playLab(server, find('refresh-token-race'), { levels: ['connection'] })
  t.match(outcomes(run as Run), [{ outcome: 'failed' }])
})

t.test('does not count a server as rejecting garbage if it no longer responds', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  let silent = false
  spy(server, ({ headers, socket }) => {
    silent ||= headers.authorization === 'Bearer ....'
    if (silent) socket.destroy()
  })
  const [run] = await playLab(server, find('garbage-token'), { levels: ['connection'] })
  t.match(outcomes(run as Run), [{ outcome: 'failed', evidence: /the client, after these texts/ }])
})

t.test('repeats an attempt on another connection if the server closes one with each refusal', async t => {
  const server = await startTestServer({ clients: labClients, signingKeys: [signingKey] })
  t.teardown(() => server.close())
  spy(server, (request, response) => {
    const { writeHead } = response
    response.writeHead = ((status: number, ...rest: []) => {
      if (status >= 400 && request.httpVersionMajor === 2) request.stream.session?.close()
      if (status >= 400 && request.httpVersionMajor === 1) response.setHeader('connection', 'close')
      return writeHead.call(response, status, ...rest)
    }) as never
  })
  const scenarios = find('token-elsewhere', 'empty-signature', 'two-authorization-headers', 'garbage-token')
  for (const run of await playLab(server, scenarios, {
    levels: ['connection'],
    http: ['http/1.1', 'h2'],
    signingKey,
  })) {
    const found = outcomes(run)
    t.same(
      found,
      found.map(finding => ({ ...finding, outcome: 'passed' })),
      describeSetting(run),
    )
    t.notMatch(JSON.stringify(run), /no response/, 'each attempt received a response')
  }
})
