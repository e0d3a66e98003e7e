// The only function that opens TLS connections: which servers it accepts, and its errors for the others. RFC 9525.
import { once } from 'node:events'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { readChannelBindings } from '../../src/core/channel-binding.ts'
import { type ConnectTlsOptions, connectTls } from '../../src/outgoing/connect.ts'
import { OutgoingError, type OutgoingProblem, outgoingProblems } from '../../src/outgoing/failure.ts'
import { type Identity, issueCertificate } from '../../src/pki/certificate.ts'
import type { AltName } from '../../src/pki/names.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { authority, drip, serverIdentity, startTcpServer, startTlsServer } from '../helpers/tls/tls-server.ts'

const ca = authority.certificate
const hour = 3_600_000

/** The result of a connection attempt: the socket, which the test closes, or the error. */
async function open(t: { teardown(end: () => unknown): void }, options: ConnectTlsOptions): Promise<TLSSocket | Error> {
  try {
    const socket = await connectTls(options)
    t.teardown(() => socket.destroy())
    return socket
  } catch (error) {
    return error as Error
  }
}

t.test('accepts a certificate only by its alternative names, and reports them on a mismatch', async t => {
  const rows: [altNames: AltName[], host: string, accepted: boolean][] = [
    [[{ dns: 'localhost' }], 'localhost', true],
    [[{ dns: 'localhost' }], 'LOCALHOST', true],
    [[{ dns: 'localhost' }], 'localhost.', true],
    [[{ dns: 'a.example' }, { dns: 'b.example' }], 'b.example', true],
    [[{ dns: '*.b.example' }], 'a.b.example', true],
    [[{ dns: 'xn--bcher-kva.example' }], 'xn--bcher-kva.example', true],
    [[{ ip: '127.0.0.1' }], '127.0.0.1', true],
    [[{ ip: '::1' }], '::1', true],
    [[{ ip: '::1' }], '0:0:0:0:0:0:0:1', true],
    [[], 'localhost', false],
    [[], 'server', false], // its common name
    [[{ uri: 'https://localhost' }], 'localhost', false],
    [[{ email: 'a@localhost' }], 'localhost', false],
    [[{ dns: 'other.example' }], 'localhost', false],
    [[{ dns: 'localhost.other.example' }], 'localhost', false],
    [[{ dns: 'localhost\0.other.example' }], 'localhost', false],
    [[{ dns: '*' }], 'localhost', false],
    [[{ dns: '*.example' }], 'b.example', false], // possibly a public suffix
    [[{ dns: '*.b.example' }], 'b.example', false],
    [[{ dns: '*.b.example' }], 'x.a.b.example', false],
    [[{ dns: 'a*.b.example' }], 'ab.b.example', false],
    [[{ dns: 'a.*.example' }], 'a.b.example', false],
    [[{ dns: '127.0.0.1' }], '127.0.0.1', false],
    [[{ ip: '127.0.0.2' }], '127.0.0.1', false],
    [[{ ip: '0:0:0:0:0:0:0:2' }], '::1', false],
  ]
  for (const [altNames, servername, accepted] of rows) {
    const port = await startTlsServer(t, () => {}, { identity: serverIdentity({ altNames }) })
    const found = await open(t, { host: '127.0.0.1', port, servername, ca })
    const name = `${JSON.stringify(altNames)} for ${servername}`
    t.equal(!(found instanceof Error), accepted, name)
    if (accepted) continue
    t.match(found, { name: 'OutgoingError', code: 'name_mismatch', address: `127.0.0.1:${port}` }, name)
    t.match((found as Error).message, `not for ${servername.replace(/\.$/, '')}; `)
    for (const names of altNames.slice(0, 1).flatMap(Object.values))
      t.match((found as Error).message, String(names).split('\0')[0] as string, 'the message lists its names')
  }
})

const byLookup = (problem: string): ConnectTlsOptions['lookup'] => {
  return (hostname, _options, callback) =>
    callback(Object.assign(new Error(problem), { code: problem, hostname }), [] as never)
}

const later = new Date(Date.now() + hour)
const before = new Date(Date.now() - hour)
const past = { notBefore: new Date(Date.now() - 2 * hour), notAfter: before }
const expiredAuthority = issueCertificate({
  subject: [['CN', 'expired authority']],
  ca: true,
  issuer: authority,
  ...past,
})

/** Servers of each kind that is rejected, with their errors. */
const refused: Readonly<Record<string, [OutgoingProblem, RegExp, (t: never) => Promise<Partial<ConnectTlsOptions>>]>> =
  {
    'an unknown host name': [
      'host_unknown',
      /^nosuch\.example:1: the name nosuch\.example has no address \(ENOTFOUND\); check its spelling/,
      async () => ({ host: 'nosuch.example', port: 1, lookup: byLookup('ENOTFOUND') }),
    ],
    'an unreachable DNS': [
      'host_unknown',
      /\(EAI_AGAIN\)/,
      async () => ({ host: 'nosuch.example', port: 1, lookup: byLookup('EAI_AGAIN') }),
    ],
    'a closed port': [
      'refused',
      /: nothing accepts connections there \(ECONNREFUSED\); check the port/,
      async () => ({ port: await findFreePort() }),
    ],
    'a name whose lookup never ends': [
      'timed_out',
      /: no TCP connection within 50 ms; check network/,
      async () => ({ host: 'slow.example', port: 1, lookup: () => {}, deadlines: { connect: 50 } }),
    ],
    'a silent server': [
      'timed_out',
      /: no TLS handshake within 100 ms; check network/,
      async t => ({ port: await startTcpServer(t, () => {}), deadlines: { handshake: 100 } }),
    ],
    'a server that sends half a record, octet by octet': [
      'timed_out',
      /: no TLS handshake within 300 ms;/,
      async t => ({
        port: await startTcpServer(t, socket => {
          socket.write(Buffer.of(22, 3, 3, 64, 0))
          drip(socket, '\x02\x00\x3f\xfc')
        }),
        deadlines: { handshake: 300 },
      }),
    ],
    'a server that closes connections': [
      'closed',
      /: the server closed the connection before it was done \(ECONNRESET\); check/,
      async t => ({ port: await startTcpServer(t, socket => socket.once('data', () => socket.end())) }),
    ],
    'a server that resets the connection': [
      'closed',
      /\(ECONNRESET\)/,
      async t => ({ port: await startTcpServer(t, socket => socket.once('data', () => socket.resetAndDestroy())) }),
    ],
    'plain HTTP': [
      'not_tls',
      /: the response is not TLS \(wrong version number\) but plain HTTP or another protocol; check scheme and port/,
      async t => ({
        port: await startTcpServer(t, socket =>
          socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
        ),
      }),
    ],
    'a mail server': [
      'not_tls',
      /is not TLS/,
      async t => ({ port: await startTcpServer(t, socket => void socket.write('220 mail.example ESMTP\r\n')) }),
    ],
    'only TLS 1.2 where 1.3 is required': [
      'version',
      /: the server accepts none of the offered TLS versions \(tlsv1 alert protocol version\); enable TLS 1\.3/,
      async t => ({ port: await startTlsServer(t, () => {}, { maxVersion: 'TLSv1.2' }), minVersion: 'TLSv1.3' }),
    ],
    'no cipher in common': [
      'handshake_failed',
      /: TLS failed \(.*handshake failure\); check versions, ciphers/,
      async t => ({
        port: await startTlsServer(t, () => {}, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }),
        ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305',
        maxVersion: 'TLSv1.2',
      }),
    ],
    'a server that requires a certificate (TLS 1.2)': [
      'own_certificate_refused',
      /: the server rejected the client certificate \(.*\); use one that it accepts/,
      async t => ({
        port: await startTcpServer(
          t,
          socket => void socket.once('data', () => socket.write(Buffer.of(21, 3, 3, 0, 2, 2, 42))),
        ),
      }),
    ],
    'another authority': [
      'untrusted',
      /: the server certificate is not trusted by ca\.crt: unable to verify the first certificate \(UNABLE_TO_VERIFY_LEAF_SIGNATURE\), subject CN=server, issuer CN=other; configure the authority/,
      async t => {
        const other = issueCertificate({ subject: [['CN', 'other']], ca: true })
        return {
          port: await startTlsServer(t, () => {}, { identity: serverIdentity({ issuer: other }) }),
          trusted: 'ca.crt',
        }
      },
    ],
    'a self-signed certificate': [
      'untrusted',
      /not trusted by the configured authorities: self-signed certificate \(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
      async t => ({ port: await startTlsServer(t, () => {}, { identity: selfSigned() }) }),
    ],
    'an authority that is not configured': [
      'untrusted',
      /not trusted by Node's default authorities: /,
      async t => ({ port: await startTlsServer(t, () => {}), ca: undefined }),
    ],
    'a certificate for clients': [
      'untrusted',
      /\(INVALID_PURPOSE\), .*; replace this certificate of the chain/,
      async t => ({
        port: await startTlsServer(t, () => {}, { identity: serverIdentity({ extendedKeyUsage: ['clientAuth'] }) }),
      }),
    ],
    'an expired certificate': [
      'outside_validity',
      new RegExp(
        `: the server certificate expired at ${before.toISOString().slice(0, 16)}.*, subject CN=server, .*; renew it`,
      ),
      async t => ({ port: await startTlsServer(t, () => {}, { identity: serverIdentity(past) }) }),
    ],
    'a certificate that is not valid yet': [
      'outside_validity',
      new RegExp(`is not valid before ${later.toISOString().slice(0, 16)}`),
      async t => ({ port: await startTlsServer(t, () => {}, { identity: serverIdentity({ notBefore: later }) }) }),
    ],
    'an expired authority': [
      'outside_validity',
      /the certificate of an authority of the server has expired, but not the server certificate itself/,
      async t => {
        const identity = serverIdentity({ issuer: expiredAuthority })
        const cert = identity.certificate + expiredAuthority.certificate
        return { port: await startTlsServer(t, () => {}, { identity, cert }) }
      },
    ],
    'invalid authorities': [
      'own_files_unusable',
      /the certificate, private key or authorities of the client are invalid/,
      async t => ({ port: await startTlsServer(t, () => {}), cert: 'no PEM', key: 'no PEM' }),
    ],
    'a caller that cancelled before': [
      'cancelled',
      /the connection was cancelled/,
      async t => ({ port: await startTlsServer(t, () => {}), signal: AbortSignal.abort() }),
    ],
    'a caller that cancels': [
      'cancelled',
      /the connection was cancelled/,
      async t => {
        const ending = new AbortController()
        return {
          port: await startTcpServer(t, socket => socket.once('data', () => ending.abort())),
          signal: ending.signal,
        }
      },
    ],
  }

function selfSigned(): Identity {
  return issueCertificate({ subject: [['CN', 'server']], altNames: [{ dns: 'localhost' }] })
}

t.test('reports the address, the finding and the remedy for a rejected server', async t => {
  await Promise.all(
    Object.entries(refused).map(async ([name, [code, message, build]]) => {
      const options = { host: '127.0.0.1', servername: 'localhost', ca, ...(await build(t as never)) }
      const found = await open(t, options as ConnectTlsOptions)
      t.ok(found instanceof OutgoingError, name)
      t.match(found, { code, message }, name)
      t.ok(Object.hasOwn(outgoingProblems, code))
      t.notMatch((found as Error).message, /[\n\r]|error:0A/, 'in one line, without OpenSSL’s error string')
    }),
  )
})

t.test('limits and escapes text of a server in messages', async t => {
  const subject = [['CN', `red \x1b[31m\u202e${'x'.repeat(5000)}`]] as const
  const identity = issueCertificate({ subject, altNames: [{ dns: `\x07.${'a'.repeat(5000)}` }] })
  for (const [issuer, options] of [
    [undefined, {}],
    [authority, {}],
  ] as const) {
    const port = await startTlsServer(t, () => {}, {
      identity:
        issuer === undefined ? identity : serverIdentity({ subject, altNames: [{ dns: `\x07.${'a'.repeat(5000)}` }] }),
    })
    const { message } = (await open(t, { host: '127.0.0.1', port, servername: 'localhost', ca, ...options })) as Error
    t.ok(message.length < 1000, `${message.length} characters`)
    t.notMatch(message, /[\p{Cc}\p{Cf}]/u)
  }
})

t.test('no environment variable disables verification', async t => {
  const { NODE_TLS_REJECT_UNAUTHORIZED: before } = process.env
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  t.teardown(() => {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
  })
  const port = await startTlsServer(t, () => {}, { identity: selfSigned() })
  t.match(await open(t, { host: '127.0.0.1', port, servername: 'localhost', ca }), { code: 'untrusted' })
  t.match(
    await open(t, { host: '127.0.0.1', port, servername: 'localhost', ca, rejectUnauthorized: undefined as never }),
    { code: 'untrusted' },
    'nor does an undefined option',
  )
  const found = await open(t, { host: '127.0.0.1', port, servername: 'other', ca, rejectUnauthorized: false })
  t.notOk(found instanceof Error, 'only the caller can')
})

t.test('an error after the handshake ends only its connection, with or without a listener', async t => {
  const sockets: Socket[] = []
  const relay = createServer(socket => {
    sockets.push(socket.on('error', () => {}))
    const onward = connectTcp(target, '127.0.0.1').on('error', () => {})
    sockets.push(onward)
    socket.pipe(onward).pipe(socket)
  })
  const target = await startTlsServer(t, () => {})
  await once(relay.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    relay.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = relay.address() as { port: number }
  for (const end of [
    (socket: Socket) => socket.resetAndDestroy(),
    (socket: Socket) => socket.write('no TLS at all, but much of it: '.repeat(20)),
    (socket: Socket) => socket.end(),
  ]) {
    const found = (await open(t, { host: '127.0.0.1', port, servername: 'localhost', ca })) as TLSSocket
    const closed = new Promise(resolve => found.once('close', resolve))
    found.resume()
    end(sockets.at(-2) as Socket)
    await closed
    t.ok(found.destroyed)
  }
})

t.test('refuses renegotiation with a TLS 1.2 server', async t => {
  const port = await startTlsServer(
    t,
    socket => {
      socket.renegotiate({}, () => {})
      socket.write('after')
    },
    { maxVersion: 'TLSv1.2' },
  )
  const found = (await open(t, {
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    ca,
    minVersion: 'TLSv1.2',
  })) as TLSSocket
  const bindings = readChannelBindings(found, 'client')
  found.write('now')
  t.equal(String((await once(found, 'data'))[0]), 'after')
  t.same(readChannelBindings(found, 'client'), bindings)
})

t.test('the server certificate can be read repeatedly, and its chain never', async t => {
  const port = await startTlsServer(t, () => {})
  const found = (await open(t, { host: '127.0.0.1', port, servername: 'localhost', ca })) as TLSSocket
  t.equal(found.getPeerX509Certificate()?.subject, 'CN=server')
  t.equal(found.getPeerX509Certificate()?.subject, 'CN=server')
  t.same(Object.keys(found.getPeerCertificate(true)), ['raw', 'subjectaltname', 'subject'], 'the chain is not in it')
})
