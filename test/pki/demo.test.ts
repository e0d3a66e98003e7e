// The demo PKI in memory and on disk.

import { chmodSync, existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { DEMO_MARKER, isDemoCertificate, makeDemoPki, writeDemoPki } from '../../src/pki/demo.ts'
import { verifyChain } from './openssl.ts'

const pki = makeDemoPki()
const clients = ['alice', 'bob', 'mallory', 'stranger'] as const
const names = ['ca', 'server', ...clients]
const mode = (path: string) => statSync(path).mode & 0o777

t.test('the demo CA issued all certificates except the stranger’s', async t => {
  for (const name of clients) {
    t.equal(pki[name].x509.subject, `CN=${name}`)
    t.equal(verifyChain(pki[name], pki.ca, [], '-purpose', 'sslclient').ok, name !== 'stranger', name)
  }
  t.match(verifyChain(pki.server, pki.ca, [], '-purpose', 'sslserver'), { ok: true })
  t.match(verifyChain(pki.alice, pki.ca, [], '-purpose', 'sslserver'), { ok: false })
})

t.test('the demo server certificate is for localhost and both loopback addresses', async t => {
  const { x509 } = pki.server
  t.equal(x509.checkHost('localhost'), 'localhost')
  t.equal(x509.checkIP('127.0.0.1'), '127.0.0.1')
  t.equal(x509.checkIP('::1'), '::1')
})

t.test('can issue RSA keys', async t => {
  const { ca, alice } = makeDemoPki({ keyType: 'rsa' })
  t.equal(alice.publicKey.asymmetricKeyDetails?.modulusLength, 2048)
  t.match(verifyChain(alice, ca), { ok: true })
})

t.test('recognizes every demo certificate, anywhere in a bundle', async t => {
  const real = issueCertificate({ subject: [['CN', DEMO_MARKER]], ca: true }).certificate
  t.notOk(isDemoCertificate(real), 'the marker counts only as an organization')
  t.notOk(isDemoCertificate(''))
  for (const { certificate, key } of Object.values(pki)) {
    t.ok(isDemoCertificate(certificate))
    t.ok(isDemoCertificate(`${real}${key}# a comment\r\n${certificate.replaceAll('\n', '\r\n')}${real}`))
    t.ok(isDemoCertificate(certificate.replaceAll(' CERT', ' TRUSTED CERT')))
    t.ok(isDemoCertificate(certificate.replaceAll(' CERT', ' X509 CERT')))
  }
  t.throws(() => isDemoCertificate('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'))
})

t.test('writes a certificate and a private key per name, and only the owner can read the keys', async t => {
  const folder = join(t.testdir(), 'new', 'certs')
  const written = writeDemoPki(folder)
  t.same(readdirSync(folder).sort(), names.flatMap(name => [`${name}.crt`, `${name}.key`]).sort())
  t.same(
    written.map(({ path }) => path).sort(),
    readdirSync(folder)
      .map(file => join(folder, file))
      .sort(),
  )
  t.ok(written.every(({ expires }) => expires.getTime() > Date.now()))
  for (const name of names) {
    t.equal(mode(join(folder, `${name}.key`)), 0o600)
    t.equal(mode(join(folder, `${name}.crt`)), 0o644 & ~process.umask())
    t.match(readFileSync(join(folder, `${name}.key`), 'utf8'), /^-----BEGIN [P]RIVATE KEY-----/)
  }
})

t.test('writes nothing when a file exists, and names the file and the remedy', async t => {
  const folder = t.testdir({ 'mallory.key': 'precious' })
  t.throws(() => writeDemoPki(folder), { message: /mallory\.key exists, nothing was written; --force/ })
  t.same(readdirSync(folder), ['mallory.key'])
  t.equal(readFileSync(join(folder, 'mallory.key'), 'utf8'), 'precious')
})

t.test('force replaces a file instead of writing into it', async t => {
  const folder = t.testdir({ 'alice.key': 'readable by all' })
  const [key, link, target] = ['alice.key', 'bob.key', 'elsewhere'].map(file => join(folder, file)) as [
    string,
    string,
    string,
  ]
  chmodSync(key, 0o666)
  symlinkSync(target, link)
  t.throws(() => writeDemoPki(folder), /exists, nothing was written/)
  writeDemoPki(folder, { force: true })
  t.equal(mode(key), 0o600)
  t.notOk(existsSync(target), 'a key is not written through a symbolic link')

  writeFileSync(join(folder, 'unrelated'), '')
  writeDemoPki(folder, { force: true })
  t.ok(existsSync(join(folder, 'unrelated')))
})
