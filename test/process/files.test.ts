// The files of the settings: OpenSSL receives exactly the certificates that were counted, for every file and every reader;
// keys may be encrypted; and each list reports all of its problems.
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { connect, readIdentityFiles } from '../../src/client/client.ts'
import { type Identity, issueCertificate } from '../../src/pki/certificate.ts'
import { issueCrl } from '../../src/pki/crl.ts'
import {
  readClientsFile,
  readOpsToken,
  readTlsFiles,
  readTrustedIssuersFile,
  readWebhooksFile,
} from '../../src/process/files.ts'
import { parseSettings } from '../../src/settings/settings.ts'
import { type RunningServer, runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { register } from '../helpers/tokens/grants.ts'

t.setTimeout(300_000)
const authority = (name: string, issuer?: Identity) =>
  issueCertificate({ ca: true, subject: [['CN', name]], ...(issuer && { issuer }) })
const client = (name: string, issuer: Identity) =>
  issueCertificate({ issuer, subject: [['CN', name]], extendedKeyUsage: ['clientAuth'] })
const [first, second] = [authority('first'), authority('second')]
const root = authority('root of servers')
const upper = authority('upper', root)
const lower = authority('lower', upper)
const server = issueCertificate({
  issuer: lower,
  subject: [['CN', 'localhost']],
  altNames: [{ dns: 'localhost' }, { ip: '127.0.0.1' }],
  extendedKeyUsage: ['serverAuth'],
})
const clients = { alice: client('alice', first), bob: client('bob', second) }
const pem = (identity: Identity) => identity.certificate.trim()
const env = {
  TLSBOUND_TLS_CERT_FILE: 'server.crt',
  TLSBOUND_TLS_KEY_FILE: 'server.key',
  TLSBOUND_TLS_CLIENT_CA_FILE: 'ca.crt',
  TLSBOUND_CLIENTS_FILE: 'clients.json',
}

/** A folder with all files of a server; its two authorities and its chain are each joined in one line. */
function makeFolder(t: Test) {
  const folder = t.testdir()
  const put = (name: string, content: string, mode = 0o600) =>
    writeFileSync(join(folder, name), content, { mode, flush: true })
  put('ca.crt', pem(first) + pem(second))
  put('server.crt', pem(server) + pem(lower) + pem(upper))
  put('server.key', server.key)
  put('clients.json', JSON.stringify([register('alice'), register('bob')]))
  put('roots.crt', `${pem(second)}${pem(root)}`)
  for (const [name, { certificate, key }] of Object.entries(clients)) {
    put(`${name}.crt`, certificate)
    put(`${name}.key`, key)
  }
  return { folder, put, path: (name: string) => join(folder, name) }
}

/** Connects as a client and requests a token. */
async function ask(server: RunningServer, folder: string, name: string, keyPassphraseFile?: string) {
  const path = (file: string) => join(folder, file)
  const files = { certFile: path(`${name}.crt`), keyFile: path(`${name}.key`), caFile: path('roots.crt') }
  const identity = readIdentityFiles({ ...files, keyPassphraseFile })()
  const channel = await connect(`https://localhost:${server.port}`, identity, {
    issuer: `https://localhost:${server.port}`,
  })
  try {
    return await channel.token().then(
      () => 'a token',
      (error: { reason?: string }) => error.reason,
    )
  } finally {
    channel.destroy()
  }
}

t.test('reads each of the authorities, chains and --ca files that are joined without a line end', async t => {
  const { folder, put } = makeFolder(t)
  const running = await startTlsbound(t, folder, env)
  for (const name of ['alice', 'bob']) t.equal(await ask(running, folder, name), 'a token', name)

  const reload = async (expected: RegExp) => {
    const since = running.stderr().length
    running.child.kill('SIGHUP')
    await running.seen(expected, since)
  }
  put('ca.crt', `${pem(first)}\nsecond: ${pem(second)}\n`)
  await reload(/"level":50,[^\n]*certificates[^\n]* stay as they were: ca\.crt, line \d+: there is text before BEGIN/)
  for (const name of ['alice', 'bob']) t.equal(await ask(running, folder, name), 'a token', `${name}, as before`)
  put('ca.crt', `${pem(first)} # the first\r\n\ufeff${pem(second)} # the second`)
  await reload(/"level":30,[^\n]*certificates[^\n]* were loaded again/)
  for (const name of ['alice', 'bob']) t.equal(await ask(running, folder, name), 'a token', name)
  put('ca.crt', pem(second))
  await reload(/"level":30,[^\n]*certificates[^\n]* were loaded again/)
  t.equal(
    await ask(running, folder, 'alice'),
    'certificate_untrusted',
    'control: a client of another authority is not trusted',
  )
  t.equal(await ask(running, folder, 'bob'), 'a token')
})

t.test('reads each of the joined revocation lists', async t => {
  const { folder, put } = makeFolder(t)
  put('ca.crt', [first, second].map(pem).join('\n'))
  const empty = issueCrl({ issuer: first, revoked: [] })
  const full = issueCrl({ issuer: second, revoked: [clients.bob.x509] })
  put('lists.crl', empty.trim() + full.trim())
  const running = await startTlsbound(t, folder, { ...env, TLSBOUND_TLS_CLIENT_CRL_FILE: 'lists.crl' })
  t.equal(await ask(running, folder, 'alice'), 'a token')
  t.equal(await ask(running, folder, 'bob'), 'certificate_revoked')
})

/** Encrypts a key with the openssl command, in either of its forms. */
function encrypt(key: string, passphrase: string, old = false): string {
  const form = old ? ['ec', '-aes128'] : ['pkey', '-aes256']
  const { stdout, stderr } = spawnSync('openssl', [...form, '-passout', `pass:${passphrase}`], { input: key })
  if (stdout.length === 0) throw new Error(String(stderr))
  return stdout.toString()
}

t.test('loads an encrypted key with a passphrase file, at the start and at each reload', async t => {
  const { folder, put, path } = makeFolder(t)
  const passphrase = { ...env, TLSBOUND_TLS_KEY_PASSPHRASE_FILE: 'passphrase' }
  const fails = (says: RegExp, isGiven = true) => {
    const settings = {
      ...parseSettings({}),
      tlsCertFile: path('server.crt'),
      tlsKeyFile: path('server.key'),
      tlsClientCaFile: path('ca.crt'),
      tlsKeyPassphraseFile: isGiven ? path('passphrase') : undefined,
    }
    const problem = t.throws(() => readTlsFiles(settings), { message: says }) as Error
    t.notMatch(problem.message, /correct|battery/, 'no passphrase is shown')
  }
  put('passphrase', 'correct horse\n')
  fails(/^\S+\/server\.key, line 1: this private key is not encrypted, and TLSBOUND_TLS_KEY_PASSPHRASE_FILE gives/)
  put('server.key', encrypt(server.key, 'correct horse'))
  fails(
    /^\S+\/server\.key, line 1: this private key is encrypted, and its passphrase is missing; set TLSBOUND_TLS_KEY_PASSPHRASE_FILE to a file with the passphrase, or decrypt the key: openssl pkey -in /,
    false,
  )
  put('passphrase', 'battery staple\n')
  fails(/^\S+\/server\.key, line 1: the passphrase in \S+ does not decrypt this private key/)
  put('passphrase', '')
  fails(/^\S+\/passphrase: the file is empty, a passphrase is needed/)
  put('passphrase', 'correct horse\nbattery staple\n')
  fails(/^\S+\/passphrase: the file has several lines, a passphrase of one line is needed/)
  put('passphrase', 'correct horse\n')
  chmodSync(path('passphrase'), 0o640)
  fails(/^\S+\/passphrase: others can read this secret \(mode 640\); chmod 600 /)

  chmodSync(path('passphrase'), 0o600)
  const running = await startTlsbound(t, folder, passphrase)
  t.equal(await ask(running, folder, 'alice'), 'a token')
  for (const [old, end] of [
    [true, ''],
    [false, '\r\n'],
  ] as const) {
    put('server.key', encrypt(server.key, 'another one', old))
    put('passphrase', `another one${end}`)
    const since = running.stderr().length
    running.child.kill('SIGHUP')
    await running.seen(/"level":30,[^\n]*certificates[^\n]* were loaded again/, since)
    t.equal(await ask(running, folder, 'alice'), 'a token')
  }
})

t.test('loads an encrypted key with a passphrase file in clients and commands', async t => {
  const { folder, put, path } = makeFolder(t)
  const running = await startTlsbound(t, folder, env)
  put('alice.key', encrypt(clients.alice.key, 'correct horse'))
  put('passphrase', 'correct horse\n')
  t.equal(await ask(running, folder, 'alice', path('passphrase')), 'a token')
  await t.rejects(ask(running, folder, 'alice'), {
    code: 'identity_unusable',
    message:
      /alice\.key, line 1: this private key is encrypted, .* set keyPassphraseFile \(--key-passphrase\) to a file with the passphrase/,
  })
  await t.rejects(ask(running, folder, 'bob', path('passphrase')), { message: /bob\.key, line 1: .* is not encrypted/ })

  const options = ['--ca', 'roots.crt', '--cert', 'alice.crt', '--key', 'alice.key', '--binding', 'certificate']
  const token = (more: readonly string[], variables = {}) =>
    runTlsbound(['token', `https://localhost:${running.port}`, ...options, ...more], folder, variables)
  t.match(await token(['--key-passphrase', 'passphrase']), { code: 0, stdout: /^eyJ/ })
  t.match(await token([], { TLSBOUND_KEY_PASSPHRASE_FILE: 'passphrase' }), { code: 0, stdout: /^eyJ/ })
  t.match(await token([]), { code: 1, stdout: '', stderr: /alice\.key, line 1: this private key is encrypted/ })
  put('passphrase', 'battery staple\n')
  t.match(await token(['--key-passphrase', 'passphrase']), {
    code: 1,
    stderr: /passphrase does not decrypt this private key/,
  })
})

t.test('re-encodes the given certificates, without the text around them', t => {
  const { folder, put, path } = makeFolder(t)
  const settings = {
    ...parseSettings({}),
    tlsCertFile: path('server.crt'),
    tlsKeyFile: path('server.key'),
    tlsClientCaFile: path('ca.crt'),
  }
  put('ca.crt', `# a note\r\n${pem(first)}\r\n${pem(second)}`)
  const { cert, ca, crl } = readTlsFiles(settings)
  t.equal(ca, first.certificate + second.certificate)
  t.equal(cert, server.certificate + lower.certificate + upper.certificate)
  t.equal(crl, undefined)
  cpSync(path('server.key'), join(folder, 'copy.key'))
  put('server.crt', pem(server) + readFileSync(path('copy.key'), 'utf8'))
  t.throws(() => readTlsFiles(settings), {
    message: /server\.crt, line \d+: there is text before BEGIN|this is a private key/,
  })
  put('server.crt', `${pem(lower)}\n${pem(server)}\n`)
  t.throws(() => readTlsFiles(settings), {
    message: /server\.crt, line \d+: the certificate of the key in .* is not the first/,
  })
  t.end()
})

t.test('reports every invalid entry of a list, and the position of invalid JSON', t => {
  const { put, path } = makeFolder(t)
  const entry = { issuer: 'https://idp.example', audience: 'x' }
  put(
    'list.json',
    JSON.stringify([register('alice'), { ...register('bob'), scope: ' ' }, { ...register('carol'), what: 1 }]),
  )
  t.throws(() => readClientsFile(path('list.json')), {
    message: /list\.json:\n {2}- client "bob": scope must be .*\n {2}- client "carol": what is not known/,
  })
  put('list.json', '[\n {"client_id": "alice",\n  "client_id": "bob"}]')
  t.throws(() => readClientsFile(path('list.json')), {
    message: /list\.json, line 3, column 3: this member occurs twice/,
  })
  put('list.json', '{}')
  t.throws(() => readClientsFile(path('list.json')), {
    message: /the outermost value is an object, an array is needed/,
  })
  put('ca.der', 'x')
  put('list.json', JSON.stringify([{ ...entry, jwks_uri: 'https://idp.example/jwks', ca_file: 'ca.der' }]))
  t.throws(() => readTrustedIssuersFile(path('list.json'), 'https://x.example'), {
    message: /list\.json:\n {2}- issuer "https:\/\/idp\.example": .*ca\.der: there is no PEM block/,
  })
  put('ca.pem', pem(first) + pem(second))
  put('list.json', JSON.stringify([{ ...entry, jwks_uri: 'https://idp.example/jwks', ca_file: 'ca.pem' }]))
  t.match(readTrustedIssuersFile(path('list.json'), 'https://x.example'), [
    { keys: { ca: first.certificate + second.certificate } },
  ])
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = publicKey.export({ format: 'jwk' })
  put('list.json', JSON.stringify([{ ...entry, jwks_file: 'keys.json', algorithms: ['ES256'] }]))
  const keys = [
    [{ kid: 'a', use: 'enc' }, 'key number 1 (kid "a"): its use is not sig'],
    [{ kid: 'b', key_ops: ['sign'] }, 'key number 2 (kid "b"): its key_ops do not contain verify'],
    [{ kid: 'c', alg: 'ES384' }, 'key number 3 (kid "c"): it is for none of the allowed algorithms'],
    [
      { ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }), kid: 'd' },
      'key number 4 (kid "d"): it is for none of the allowed algorithms',
    ],
  ] as const
  const put4 = (more: readonly object[]) =>
    put(
      'keys.json',
      JSON.stringify({
        keys: [...keys.map(([changes]) => ({ ...(!('kty' in changes) && jwk), ...changes })), ...more],
      }),
    )
  put4([])
  t.throws(
    () => readTrustedIssuersFile(path('list.json'), 'https://x.example'),
    {
      message: new RegExp(
        `keys\\.json: none of its keys can verify access tokens; ${keys.map(([, why]) => why.replace(/[()]/g, '\\$&')).join('; ')}; give algorithms`,
      ),
    },
    'a key set without a usable key, with the reason for each',
  )
  put4([{ ...jwk, kid: 'e' }])
  t.match(readTrustedIssuersFile(path('list.json'), 'https://x.example'), [{ keys: { keys: Array(5).fill({}) } }])
  const webhook = { url: 'https://hooks.example', secret: `whsec_${Buffer.alloc(32, 7).toString('base64')}` }
  put('list.json', JSON.stringify([{ ...webhook, ca_file: 'ca.pem' }]))
  t.match(readWebhooksFile(path('list.json')), [{ ca: first.certificate + second.certificate }])
  put('list.json', `[${JSON.stringify(webhook).replace('"}', '')}`)
  t.throws(() => readWebhooksFile(path('list.json')), {
    message: /^(?!.*BwcH).*list\.json, line 1, column \d+: this string has no closing quote/,
  })
  put('token', 'too short\n')
  t.throws(() => readOpsToken(path('token')), {
    message: /token: this is not an ops token: .*; let the server create one: rm /,
  })
  t.end()
})
