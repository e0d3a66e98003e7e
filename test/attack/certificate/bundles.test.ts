// Files of several certificates or lists, joined in every common way: OpenSSL uses each one that was counted, or the file is
// refused. OpenSSL itself stops silently at the first line that it cannot parse.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import t from 'tap'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { type Identity, issueCertificate, issueCrl, startTestServer } from '../../../src/testing/server.ts'
import { buildTlsOptions, parseMaterial } from '../../../src/tls/options.ts'

/** Ways to join PEM blocks. */
const joins: Record<string, (blocks: readonly string[]) => string> = {
  'one after the other': blocks => blocks.join(''),
  'without a line end between': blocks => blocks.map(block => block.trim()).join(''),
  'without one at the end': blocks => blocks.join('').trim(),
  'with CRLF': blocks => blocks.join('').replaceAll('\n', '\r\n'),
  'with empty lines': blocks => blocks.join('\n\n\n'),
  'with text between': blocks => blocks.map(block => `subject=CN = somebody\nissuer=CN = other\n${block}`).join('\n'),
  'with notes behind': blocks => blocks.map(block => `${block.trim()} # a note\n`).join(''),
  'with something at the end': blocks => `${blocks.join('')}\nthe end`,
  'with a mark at the beginning': blocks => `\ufeff${blocks.join('')}`,
  'with one long line each': blocks => blocks.map(oneLine).join('\n'),
  'with blanks at line ends': blocks => blocks.join('').replaceAll('\n', ' \n'),
}

function oneLine(block: string): string {
  const [begin = '', ...lines] = block.trim().split('\n')
  return `${begin}\n${lines.slice(0, -1).join('')}\n${lines.at(-1)}\n`
}

/** Refused as a whole; never loaded in part. */
const broken: Record<string, (blocks: readonly string[]) => string> = {
  'with one that is cut off': blocks => blocks.join('').slice(0, -100),
  'with one whose end is missing': ([first = '', ...others]) =>
    first.replace(/-----END [^-]+-----\n/, '') + others.join(''),
  'with one of nothing': blocks => blocks.join('').replace(/(-----BEGIN [^-]+-----\n)[^-]+/, '$1'),
  'with a key among them': blocks => blocks.join(makeDemoPki().alice.key),
  'with a line of garbage in one': blocks => blocks.join('').replace(/(BEGIN [^-]+-----\n)/, '$1!!! no base64 !!!\n'),
}

const authority = (name: string, issuer?: Identity) =>
  issueCertificate({ subject: [['CN', name]], ca: true, ...(issuer && { issuer }) })
const clientOf = (issuer: Identity, name = 'alice') =>
  issueCertificate({ subject: [['CN', name]], issuer, extendedKeyUsage: ['clientAuth'] })

const pki = makeDemoPki()
const authorities = [pki.ca, authority('second'), authority('third')] as const
const clients = authorities.map(issuer => clientOf(issuer))
const certificates = authorities.map(({ certificate }) => certificate)

t.test('trusts every authority of a file, however its certificates are joined', async t => {
  for (const [name, join] of Object.entries(joins)) {
    const server = await startTestServer({ pki, tls: { ca: join(certificates) } })
    for (const who of clients) {
      const connection = await server.connect(who)
      t.match(await connection.requestToken(), { status: 200 }, name)
      connection.close()
    }
    await server.close()
  }
  for (const [name, join] of Object.entries(broken))
    await t.rejects(startTestServer({ pki, tls: { ca: join(certificates) } }), name)
})

t.test('applies every list of a file, however they are joined', async t => {
  const lists = authorities.map((issuer, index) => {
    const revoked = issueCertificate({ subject: [['CN', 'alice']], issuer, extendedKeyUsage: ['clientAuth'] })
    return { revoked, list: issueCrl({ issuer, revoked: [revoked.x509], number: index + 1 }) }
  })
  const texts = lists.map(({ list }) => list)
  for (const [name, join] of Object.entries(joins)) {
    const server = await startTestServer({ pki, tls: { ca: certificates.join(''), crl: join(texts) } })
    for (const [index, { revoked }] of lists.entries()) {
      const [good, bad] = [await server.connect(clients[index] as Identity), await server.connect(revoked)]
      t.match(await good.requestToken(), { status: 200 }, name)
      t.match(await bad.requestToken(), { status: 401, body: { reason: 'certificate_revoked' } }, name)
      for (const connection of [good, bad]) connection.close()
    }
    await server.close()
  }
  for (const [name, join] of Object.entries(broken))
    await t.rejects(startTestServer({ pki, tls: { ca: certificates.join(''), crl: join(texts) } }), name)
})

t.test('sends every certificate of its chain, however they are joined', async t => {
  const root = authority('root')
  const sub = authority('sub', root)
  const subSub = authority('sub sub', sub)
  const leaf = issueCertificate({
    subject: [['CN', 'localhost']],
    issuer: subSub,
    altNames: [{ dns: 'localhost' }],
    extendedKeyUsage: ['serverAuth'],
  })
  const chain = [leaf, subSub, sub].map(({ certificate }) => certificate)
  const verdict = async (cert: string) => {
    const material = parseMaterial({ cert, key: leaf.key, ca: pki.ca.certificate })
    const server = createServer(buildTlsOptions(material, 'TLSv1.3'), socket => socket.on('error', () => {}))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const client: TLSSocket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: root.certificate })
    const outcome = await once(client, 'secureConnect').then(
      () => 'trusted',
      (error: NodeJS.ErrnoException) => error.code,
    )
    client.destroy()
    server.close()
    return outcome
  }
  for (const [name, join] of Object.entries(joins)) t.equal(await verdict(join(chain)), 'trusted', name)
  t.equal(await verdict(chain.slice(0, 2).join('')), 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'control')
  for (const [name, join] of Object.entries(broken)) await t.rejects(verdict(join(chain)), name)
})
