// The parser of PEM files: reads what OpenSSL reads, and rejects everything else with the line, what was found and the command
// that converts it. Real files, made by the openssl command and by Node.
import { spawnSync } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { FileProblem } from '../../src/files/file-problem.ts'
import { parseCertificates, parsePrivateKey, parseRevocationLists, renderRevocationList } from '../../src/files/pem.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { issueCrl } from '../../src/pki/crl.ts'

const folder = mkdtempSync(join(tmpdir(), 'pem-'))
t.teardown(() => rmSync(folder, { recursive: true }))

/** Runs a command in the folder, and returns its stdout. */
function run(command: string, ...args: string[]): Buffer {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
  return stdout
}
const read = (name: string) => readFileSync(join(folder, name))
const text = (name: string) => read(name).toString()

const ca = issueCertificate({ ca: true, subject: [['CN', 'authority']] })
const other = issueCertificate({ ca: true, subject: [['CN', 'Müller']] })
const list = issueCrl({ issuer: ca, revoked: [ca.x509] })
const [A, B] = [ca.certificate.trim(), other.certificate.trim()]
for (const [name, content] of Object.entries({ 'a.pem': A, 'b.pem': B, 'key.pem': ca.key, 'list.pem': list }))
  writeFileSync(join(folder, name), content)
run('openssl', 'x509', '-in', 'a.pem', '-outform', 'DER', '-out', 'a.der')
run('openssl', 'crl', '-in', 'list.pem', '-outform', 'DER', '-out', 'list.der')
run('openssl', 'pkey', '-in', 'key.pem', '-outform', 'DER', '-out', 'key.der')
run('openssl', 'pkey', '-in', 'key.pem', '-traditional', '-out', 'sec1.pem')
run('openssl', 'pkey', '-in', 'key.pem', '-pubout', '-out', 'public.pem')
run('openssl', 'pkey', '-in', 'key.pem', '-aes256', '-passout', 'pass:correct horse', '-out', 'encrypted.pem')
run(
  'openssl',
  'pkcs8',
  '-topk8',
  '-in',
  'key.pem',
  '-v2',
  'aes256',
  '-passout',
  'pass:x',
  '-outform',
  'DER',
  '-out',
  'encrypted.der',
)
run('openssl', 'ec', '-in', 'key.pem', '-aes128', '-passout', 'pass:correct horse', '-out', 'old.pem')
run(
  'openssl',
  'pkcs8',
  '-topk8',
  '-in',
  'key.pem',
  '-v1',
  'PBE-MD5-DES',
  '-provider',
  'legacy',
  '-provider',
  'default',
  '-passout',
  'pass:correct horse',
  '-out',
  'weak.pem',
)
run('openssl', 'x509', '-in', 'a.pem', '-trustout', '-addreject', 'clientAuth', '-out', 'trusted.pem')
run('openssl', 'req', '-new', '-key', 'key.pem', '-subj', '/CN=x', '-out', 'request.pem')
run('openssl', 'req', '-in', 'request.pem', '-outform', 'DER', '-out', 'request.der')
run('openssl', 'crl2pkcs7', '-nocrl', '-certfile', 'a.pem', '-certfile', 'b.pem', '-out', 'bundle.p7b')
run('openssl', 'crl2pkcs7', '-nocrl', '-certfile', 'a.pem', '-outform', 'DER', '-out', 'bundle.p7c')
run('openssl', 'pkcs12', '-export', '-in', 'a.pem', '-inkey', 'key.pem', '-passout', 'pass:', '-out', 'both.p12')
run('openssl', 'pkcs12', '-in', 'both.p12', '-passin', 'pass:', '-nodes', '-out', 'both.pem')
run('openssl', 'x509', '-in', 'a.pem', '-text', '-out', 'explained.pem')
run('openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-out', 'with-parameters.pem')
run('ssh-keygen', '-q', '-t', 'ecdsa', '-N', '', '-f', 'ssh')
const utf16 = (content: string, isBigEndian: boolean, isMarked: boolean) => {
  const octets = Buffer.from(`${isMarked ? '\ufeff' : ''}${content}`, 'utf16le')
  return isBigEndian ? octets.swap16() : octets
}
const jwk = JSON.stringify(ca.privateKey.export({ format: 'jwk' }))
const subjects = (content: Buffer | string) => parseCertificates(content, 'ca.pem').map(({ x509 }) => x509.subject)
const both = ['CN=authority', 'CN=Müller']

/** Returns the message of the problem of a parser. */
function problemOf(parse: () => unknown): string {
  try {
    parse()
  } catch (error) {
    if (error instanceof FileProblem) return error.message
    throw error
  }
  return 'no problem'
}

t.test('reads every certificate of a file with any separators, indentation and text in between', t => {
  const accepted: Record<string, Buffer | string> = {
    consecutive: `${A}\n${B}\n`,
    'without a final line end': `${A}\n${B}`,
    'concatenated without a line end': A + B,
    'separated by a space': `${A} ${B}`,
    'line ends of Windows': `${A}\n${B}\n`.replaceAll('\n', '\r\n'),
    'line ends of classic Mac OS': `${A}\n${B}\n`.replaceAll('\n', '\r'),
    'a UTF-8 byte-order mark': `\ufeff${A}\n${B}\n`,
    'a byte-order mark in the middle, as of files concatenated on Windows': `${A}\r\n\ufeff${B}\r\n`,
    'blank lines and spaces at line ends': `\n\n${A.replaceAll('\n', ' \n')}\n\n\t\n${B.replaceAll('\n', '\n\n')}\n`,
    'indented, as in YAML': `${A}\n${B}\n`.replace(/^/gm, '    '),
    'a note after END': `${A} # first\n${B} # second\n`,
    'text in between': `Müller's authorities\n${A}\nthe other one: -- CERTIFICATE --\n${B}\nend`,
    'text in between in Latin-1': Buffer.from(`Bag Attributes\n  friendlyName: Müller\n${A}\n${B}`, 'latin1'),
    'output of openssl x509 -text': `${text('explained.pem')}${B}`,
    'the old label X509 CERTIFICATE': `${A.replaceAll(' CERTIFICATE', ' X509 CERTIFICATE')}\n${B}`,
    'one long line each': [A, B].map(pem => pem.replace(/\n(?!-)/g, '').replace(/E-----(?=M)/, 'E-----\n')).join('\n'),
    'ignores a block in comments': `${A}\n${A.replace(/^/gm, '# ')}\n${B}\n`,
    'a comment that mentions blocks': `# --- BEGIN internal CAs ---\n${A}\n# -----BEGIN CERTIFICATE----- was here\n${B}`,
  }
  for (const [name, content] of Object.entries(accepted)) {
    t.same(subjects(content), both, name)
    const rendered = parseCertificates(content, 'x').map(({ x509 }) => x509.toString())
    writeFileSync(join(folder, 'rendered.pem'), rendered.join(''))
    t.match(run('openssl', 'storeutl', '-noout', '-certs', 'rendered.pem').toString(), 'Total found: 2', name)
  }
  t.same(
    parseCertificates(`x\r\ny\n${A}${B}`, 'x').map(({ line }) => line),
    [3, 3 + A.split('\n').length - 1],
    'with the line of each BEGIN',
  )
  t.end()
})

t.test('rejects ambiguous, truncated and edited files, and names the line', t => {
  const lines = A.split('\n')
  const length = lines.length
  const without = (index: number) => lines.toSpliced(index, 1).join('\n')
  const withLine = (index: number, line: string) => lines.toSpliced(index, 0, line).join('\n')
  const two = (first: string) => `${first}\n${B}\n`
  const twice = Buffer.concat([ca.x509.raw, other.x509.raw]).toString('base64').replace(/.{64}/g, '$&\n')
  const refused: Record<string, readonly [content: string, says: RegExp]> = {
    'END is missing': [
      two(without(length - 1)),
      new RegExp(`^ca.pem, line ${length}: a block begins before the one of line 1`),
    ],
    'END is missing at the end of the file': [
      without(length - 1),
      /line 1: the CERTIFICATE block has no END line; the file was truncated/,
    ],
    'BEGIN is missing': [without(0), new RegExp(`line ${length - 1}: END CERTIFICATE has no BEGIN line before it`)],
    'only BEGIN is in a comment': [
      two(`# ${A}`),
      new RegExp(`line ${length}: END CERTIFICATE has no BEGIN line before it`),
    ],
    'only END is in a comment': [
      withLine(length - 1, '#').replace('#\n', '#'),
      new RegExp(`line ${length}: this line of the CERTIFICATE block is not base64`),
    ],
    'a note before BEGIN': [`${A}\nsecond: ${B}\n`, new RegExp(`line ${length + 1}: there is text before BEGIN`)],
    'a quoted message': [`> ${A}`, /line 1: there is text before BEGIN/],
    'a note between END and BEGIN': [`${A} and ${B}`, new RegExp(`line ${length}: there is text before BEGIN`)],
    'a note after BEGIN': [
      A.replace('E-----\n', 'E----- # first\n'),
      /line 1: this line of the CERTIFICATE block is not base64/,
    ],
    'END of another type': [
      A.replace('END CERTIFICATE', 'END X509 CRL'),
      new RegExp(`line ${length}: END X509 CRL closes the CERTIFICATE block of line 1`),
    ],
    'an invalid character in the base64': [
      withLine(3, 'Müller'),
      /line 4: this line of the CERTIFICATE block is not base64/,
    ],
    'a comment in the base64': [withLine(2, '# line'), /line 3: this line of the CERTIFICATE block is not base64/],
    'a missing character': [A.replace(/\n(.)/, '\n'), /the base64 of the CERTIFICATE block is truncated/],
    'a missing line': [
      without(4),
      /line 1: this CERTIFICATE block does not contain a certificate that OpenSSL can read/,
    ],
    'an empty block': [
      '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n',
      /line 1: the CERTIFICATE block is empty/,
    ],
    'two certificates in one block': [
      `-----BEGIN CERTIFICATE-----\n${twice}\n-----END CERTIFICATE-----`,
      /line 1: this CERTIFICATE block does not contain/,
    ],
    'line ends written as \\n': [
      A.replaceAll('\n', '\\n'),
      /line 1: this block contains \\n instead of line ends; convert it: printf '%b' "\$\(cat ca\.pem\)" > NEW\.pem$/,
    ],
    'lower case': [
      two(A.replaceAll('CERTIFICATE', 'certificate').replace('BEGIN', 'begin').replace('END', 'end')),
      /line 1: this looks like the first line of a block, but is not/,
    ],
    'a label in lower case': [
      A.replaceAll('CERTIFICATE', 'certificate'),
      /line 1: this is a block of the type certificate, a CERTIFICATE block is needed/,
    ],
    'four hyphens': [
      `\n${A.replace('-----BEGIN CERTIFICATE-----', '----BEGIN CERTIFICATE----')}`,
      /line 2: this looks like the first line of a block/,
    ],
    'a missing hyphen at the end': [
      A.replace('CERTIFICATE-----\n', 'CERTIFICATE----\n'),
      /line 1: this looks like the first line of a block/,
    ],
    'typographic dashes': [A.replaceAll('-----', '—–—'), /line 1: this looks like the first line of a block/],
    'spaces around BEGIN': [
      A.replace('-----BEGIN CERTIFICATE-----', '----- BEGIN CERTIFICATE -----'),
      /line 1: this looks like the first line of a block/,
    ],
    'a label that is a property of every object': [
      '-----BEGIN constructor-----\nAAAA\n-----END constructor-----\n',
      /line 1: this is a block of the type constructor/,
    ],
  }
  for (const [name, [content, says]] of Object.entries(refused)) {
    t.match(
      problemOf(() => subjects(content)),
      says,
      name,
    )
    t.same(subjects(`${A}\n${B}`), both, 'control')
  }
  t.end()
})

t.test('names what was found instead of certificates, and the command that converts it', t => {
  const found: Record<string, readonly [content: Buffer | string, says: RegExp]> = {
    'a private key': [
      `${A}\n${ca.key}`,
      /^ca\.pem, line \d\d: this is a private key, a CERTIFICATE block is needed here; store a private key in a separate file/,
    ],
    'an EC private key': [text('sec1.pem'), /line 1: this is a private key, /],
    'an encrypted private key': [text('encrypted.pem'), /line 1: this is an encrypted private key, /],
    'TRUSTED CERTIFICATE': [
      text('trusted.pem'),
      /line 1: this is a certificate with OpenSSL's own trust settings.*; convert it: openssl x509 -in ca\.pem -out NEW\.pem$/,
    ],
    'a certificate request': [
      text('request.pem'),
      /line 1: this is a certificate request, .*; use the certificate that an authority issues/,
    ],
    'a revocation list': [
      `${A}\n${list}`,
      /line \d\d: this is a revocation list, .*; store revocation lists in a separate file/,
    ],
    'a public key': [text('public.pem'), /line 1: this is a public key, a CERTIFICATE/],
    'PKCS#7': [
      text('bundle.p7b'),
      /line 1: this is a PKCS#7 bundle, .*; convert it: openssl pkcs7 -print_certs -in ca\.pem -out NEW\.pem$/,
    ],
    'PKCS#7 in DER': [
      read('bundle.p7c'),
      /this is a PKCS#7 bundle in DER, .*; convert it: openssl pkcs7 -inform DER -print_certs -in ca\.pem -out NEW\.pem$/,
    ],
    'PKCS#12': [
      read('both.p12'),
      /this is a PKCS#12 store in DER, .*; convert it: openssl pkcs12 -in ca\.pem -nokeys -out NEW\.pem$/,
    ],
    DER: [
      read('a.der'),
      /^ca\.pem: this is a certificate in DER, a CERTIFICATE block in PEM is needed here; convert it: openssl x509 -inform DER -in ca\.pem -out NEW\.pem$/,
    ],
    'a revocation list in DER': [read('list.der'), /this is a revocation list in DER, [^;]*$/],
    'a key in DER': [read('key.der'), /this is a private key in DER, [^;]*$/],
    'a request in DER': [read('request.der'), /this is a certificate request in DER/],
    'base64 without BEGIN and END': [
      read('a.der').toString('base64'),
      /a certificate in base64 without BEGIN and END lines, .*; convert it: openssl base64 -d -A -in ca\.pem \| openssl x509 -inform DER -out NEW\.pem$/,
    ],
    'an OpenSSH private key': [text('ssh'), /line 1: this is an OpenSSH private key, /],
    'an SSH public key': [text('ssh.pub'), /this is an SSH public key, /],
    'a JSON Web Key': [jwk, /this is a JSON Web Key, /],
    JSON: ['[]', /this is JSON, /],
    'a web page': ['<!DOCTYPE html><html>', /this is a web page/],
    'a Java keystore': [
      Buffer.from('feedfeed00000002', 'hex'),
      /this is a Java keystore, .*keytool -importkeystore -srckeystore ca\.pem/,
    ],
    'UTF-16, little-endian': [
      utf16(A, false, true),
      /this is UTF-16 text, UTF-8 is needed; convert it: iconv -f UTF-16 -t UTF-8 ca\.pem > NEW-FILE$/,
    ],
    'UTF-16, big-endian': [utf16(A, true, true), /iconv -f UTF-16 -t UTF-8/],
    'UTF-16 without a byte-order mark, little-endian': [utf16(A, false, false), /iconv -f UTF-16LE -t UTF-8/],
    'UTF-16 without a byte-order mark, big-endian': [utf16(A, true, false), /iconv -f UTF-16BE -t UTF-8/],
    'an empty file': ['', /^ca\.pem: the file is empty, a CERTIFICATE block is needed here$/],
    'white space': [' \r\n\t\n', /the file is empty/],
    'other text': ['hello', /there is no PEM block in this file, /],
    noise: [
      Buffer.from(Array.from({ length: 999 }, (_, index) => (index * 37) & 0xff)),
      /there is no PEM block in this file, /,
    ],
    'a revocation list labelled as a certificate': [
      list.replaceAll('X509 CRL', 'CERTIFICATE'),
      /line 1: this CERTIFICATE block contains a revocation list/,
    ],
    'another type': [
      '-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----',
      /line 1: this is a block of the type DH PARAMETERS, /,
    ],
  }
  for (const [name, [content, says]] of Object.entries(found))
    t.match(
      problemOf(() => subjects(content)),
      says,
      name,
    )
  t.match(
    problemOf(() => parseCertificates(read('a.der'), "-it's mine")),
    /-in '\.\/-it'\\''s mine' /,
    'as a single shell word',
  )
  t.end()
})

t.test('names commands that produce an accepted file', t => {
  const cases: readonly (readonly [file: string, parse: (content: Buffer, file: string) => unknown])[] = [
    ['a.der', parseCertificates],
    ['bundle.p7b', parseCertificates],
    ['bundle.p7c', parseCertificates],
    ['trusted.pem', parseCertificates],
    ['bare', parseCertificates],
    ['utf-16', parseCertificates],
    ['escaped', parseCertificates],
    ['list.der', parseRevocationLists],
    ['key.der', parsePrivateKey as never],
    ['jwk', parsePrivateKey as never],
    ['ssh', parsePrivateKey as never],
    ['both.p12', parsePrivateKey as never],
    ['both.p12', parseCertificates],
  ]
  writeFileSync(join(folder, 'bare'), read('a.der').toString('base64'))
  writeFileSync(join(folder, 'utf-16'), utf16(A, true, false))
  writeFileSync(join(folder, 'escaped'), A.replaceAll('\n', '\\n'))
  writeFileSync(join(folder, 'jwk'), jwk)
  for (const [file, parse] of cases) {
    const problem = problemOf(() => (parse as typeof parsePrivateKey)(read(file), file, {}))
    const command = problem.slice(problem.indexOf(': ', problem.indexOf('; convert')) + 2)
    const quiet = command
      .replace('-out NEW.pem', '-passin pass: -out NEW.pem')
      .replace('ssh-keygen -p', "ssh-keygen -q -p -P '' -N ''")
    run('sh', '-c', file.endsWith('12') ? quiet : file === 'ssh' ? quiet : command)
    const made = file === 'ssh' ? 'ssh' : file === 'utf-16' ? 'NEW-FILE' : 'NEW.pem'
    t.equal(
      problemOf(() => (parse as typeof parsePrivateKey)(read(made), made, {})),
      'no problem',
      command,
    )
  }
  t.end()
})

t.test('reads the only private key of a file, in every format that OpenSSL writes', t => {
  const passphrase = { value: Buffer.from('correct horse'), file: 'secret' }
  const keyOf = (content: Buffer | string) => parsePrivateKey(content, 'key.pem', {})
  const crlf = ca.key.replaceAll('\n', '\r\n')
  for (const content of [ca.key, crlf, `\ufeff${ca.key}`, text('sec1.pem'), text('both.pem'), `${A}\n${ca.key}`])
    t.ok(keyOf(content).equals(ca.privateKey))
  t.equal(keyOf(text('with-parameters.pem')).asymmetricKeyType, 'ec', 'EC PARAMETERS before the key')
  for (const [type, options] of [
    ['rsa', { modulusLength: 2048 }],
    ['rsa-pss', { modulusLength: 2048 }],
    ['ed25519', {}],
    ['ed448', {}],
    ['ml-dsa-65', {}],
    ['ec', { namedCurve: 'brainpoolP256r1' }],
    ['ec', { namedCurve: 'secp521r1' }],
  ] as const) {
    const { privateKey } = generateKeyPairSync(type as 'rsa', options as { modulusLength: number })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    t.ok(createPrivateKey(keyOf(pem).export({ type: 'pkcs8', format: 'pem' })).equals(privateKey), type)
  }
  for (const file of ['encrypted.pem', 'old.pem'])
    for (const content of [text(file), text(file).replaceAll('\n', '\r\n')])
      t.ok(parsePrivateKey(content, file, { passphrase }).equals(ca.privateKey), `${file}, decrypted`)
  t.end()
})

t.test('reports what is wrong with a private key or its passphrase, and quotes neither', t => {
  const right = { value: Buffer.from('correct horse'), file: 'pass.txt' }
  const wrong = { value: Buffer.from('battery staple'), file: 'pass.txt' }
  const passphraseSetting = 'TLSBOUND_TLS_KEY_PASSPHRASE_FILE'
  const refused: Record<string, readonly [content: Buffer | string, says: RegExp, passphrase?: typeof right]> = {
    'a certificate': [A, /^key\.pem, line 1: this is a certificate, a PRIVATE KEY block is needed here$/],
    'a public key': [text('public.pem'), /this is a public key, .*; use the private key that belongs to it$/],
    'a request': [text('request.pem'), /this is a certificate request, /],
    'an SSH public key': [text('ssh.pub'), /this is an SSH public key, .*; use the private key/],
    'two keys': [
      `${ca.key}${other.key}`,
      /line 6: this is a second private key, the first is in line 1; keep only one/,
    ],
    'encrypted, without passphrase': [
      text('encrypted.pem'),
      /line 1: this private key is encrypted, and its passphrase is missing; set TLSBOUND_TLS_KEY_PASSPHRASE_FILE to a file with the passphrase, or decrypt the key: openssl pkey -in key\.pem -out NEW\.pem$/,
    ],
    'encrypted in the traditional format, without passphrase': [
      text('old.pem'),
      /line 1: this private key is encrypted, and its passphrase/,
    ],
    'encrypted, wrong passphrase': [
      text('encrypted.pem'),
      /line 1: the passphrase in pass\.txt does not decrypt this private key/,
      wrong,
    ],
    'encrypted in the traditional format, wrong passphrase': [
      text('old.pem'),
      /the passphrase in pass\.txt does not decrypt/,
      wrong,
    ],
    'not encrypted, with passphrase': [
      ca.key,
      /line 1: this private key is not encrypted, and TLSBOUND_TLS_KEY_PASSPHRASE_FILE gives a passphrase for it; omit TLSBOUND_TLS_KEY_PASSPHRASE_FILE/,
      right,
    ],
    'encrypted with an obsolete algorithm': [
      text('weak.pem'),
      /encrypted with an algorithm that is not supported; encrypt it again: openssl pkey -provider legacy/,
      right,
    ],
    'encrypted, in DER': [
      read('encrypted.der'),
      /this is an encrypted private key in DER, .*; convert it: openssl pkey -inform DER/,
    ],
    'an invalid key': [
      ['-----BEGIN', 'PRIVATE KEY-----\nAAAA\n-----END', 'PRIVATE KEY-----'].join(' '),
      /does not contain a private key that OpenSSL can read/,
    ],
    nothing: ['', /the file is empty, a PRIVATE KEY block is needed here$/],
  }
  const secrets = [ca.key, other.key, text('encrypted.pem'), text('old.pem')].flatMap(pem =>
    pem.split('\n').slice(1, 3),
  )
  for (const [name, [content, says, passphrase]] of Object.entries(refused)) {
    const problem = problemOf(() => parsePrivateKey(content, 'key.pem', { passphrase, passphraseSetting }))
    t.match(problem, says, name)
    for (const secret of [...secrets, 'correct', 'battery'])
      t.notOk(problem.includes(secret), `${name} does not quote it`)
  }
  t.end()
})

t.test('reads every revocation list of a file, and writes it as OpenSSL reads it', t => {
  const second = issueCrl({ issuer: other, revoked: [] })
  const both = parseRevocationLists(list.trim() + second, 'crl.pem')
  t.same(
    both.map(({ line }) => line),
    [1, list.trim().split('\n').length],
  )
  for (const { der } of both) writeFileSync(join(folder, 'one.pem'), renderRevocationList(der))
  t.equal(text('one.pem'), second, 'unchanged')
  t.match(run('openssl', 'crl', '-in', 'one.pem', '-noout', '-issuer').toString(), /CN ?=/)
  const refused: Record<string, readonly [content: Buffer | string, says: RegExp]> = {
    DER: [
      read('list.der'),
      /^crl\.pem: this is a revocation list in DER, an X509 CRL block in PEM is needed here; convert it: openssl crl -inform DER -in crl\.pem -out NEW\.pem$/,
    ],
    'a certificate': [`${list}${A}`, /line \d\d?: this is a certificate, an X509 CRL block is needed here/],
    'a certificate labelled as a revocation list': [
      A.replaceAll('CERTIFICATE', 'X509 CRL'),
      /line 1: this X509 CRL block contains a certificate/,
    ],
    'a truncated list': [
      list.replace(/\n.{64}\n/, '\n'),
      /line 1: this X509 CRL block does not contain a revocation list/,
    ],
    'an empty file': ['', /the file is empty, an X509 CRL block is needed here/],
  }
  for (const [name, [content, says]] of Object.entries(refused))
    t.match(
      problemOf(() => parseRevocationLists(content, 'crl.pem')),
      says,
      name,
    )
  t.end()
})

t.test('takes time linear in the length of a file, whatever its content', t => {
  const size = 10 << 20
  const fill = (part: string) => part.repeat(Math.ceil(size / part.length))
  const begin = '-----BEGIN CERTIFICATE-----'
  const end = '-----END CERTIFICATE-----'
  const hostile: Record<string, string> = {
    hyphens: fill('-'),
    spaces: fill(' '),
    'line ends': fill('\n'),
    returns: fill('\r'),
    'repeated BEGIN without a label': fill('-----BEGIN '),
    'repeated BEGIN': fill(begin),
    'repeated END': fill(end),
    'BEGIN with four hyphens': fill('----BEGIN '),
    'hyphens in lines': fill('------------\n'),
    'blocks in comments': fill(`#${begin}${end}`),
    'blocks in one comment line': `#${fill(`${begin} `)}`,
    'empty blocks': fill(`${begin}\n${end}\n`),
    'blocks in one line': fill(begin + end),
    'blocks after spaces': `${' '.repeat(size / 2)}${(begin + end).repeat(size / 100)}`,
    'a body of spaces with an invalid character': `${begin}\n${fill(' ')}!\n${end}`,
    'a body of base64': `${begin}\n${fill('A')}\n${end}`,
    open: `${begin}\n${fill('A\n')}`,
    'base64 without BEGIN and END': fill('MIIB'),
    braces: fill('{"kty'),
    'tabs before BEGIN': fill('\t\t\t-'),
  }
  const times: [string, number][] = Object.entries(hostile).flatMap(([name, content]) =>
    [parseCertificates, parsePrivateKey, parseRevocationLists].map(parse => {
      const began = performance.now()
      const problem = problemOf(() => (parse as typeof parsePrivateKey)(content, 'x', {}))
      t.not(problem, 'no problem', name)
      t.ok(problem.length < 400, `${name}: the problem is short`)
      return [name, performance.now() - began] as [string, number]
    }),
  )
  // Quadratic time in 10 MiB would take hours.
  for (const [name, took] of times) t.ok(took < 20_000, `${name}: ${Math.round(took)} ms`)
  t.end()
})

t.test('throws no error other than FileProblem for a changed file', t => {
  let seed = 20261129
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return (seed >>> 8) % below
  }
  const original = Buffer.from(`${A}\n${B}\n`)
  let read = 0
  for (let count = 0; count < 2000; count++) {
    const content = Buffer.from(original)
    for (let changes = random(3); changes >= 0; changes--) content[random(content.length)] = random(256)
    try {
      read += parseCertificates(content, 'x').length
    } catch (error) {
      if (!(error instanceof FileProblem)) throw error
    }
  }
  t.ok(read > 0, 'control: some files are still readable')
  t.end()
})
