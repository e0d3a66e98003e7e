// A client is identified by exactly one name in its certificate, the registered one: PK03 … PK09, PK26, N-21, N-22. All
// certificates here are valid and of a trusted CA; they differ only in their names.
import t, { type TAP } from 'tap'
import type { CertificateOrder } from '../../../src/pki/certificate.ts'
import type { AltName, DistinguishedName } from '../../../src/pki/names.ts'
import { type Identity, issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { openssl } from '../../pki/openssl.ts'

const rules = {
  dn: { tls_client_auth_subject_dn: 'CN=alice' },
  long: {
    tls_client_auth_subject_dn: 'CN=Alice \\+ Bob\\, \\C3\\84rzte+UID=7,OU=\\ notes\\ ,O=Example \\"Inc\\",C=CH',
  },
  dns: { tls_client_auth_san_dns: 'alice.example' },
  uri: { tls_client_auth_san_uri: 'urn:example:alice' },
  ip: { tls_client_auth_san_ip: '192.0.2.1' },
  ip6: { tls_client_auth_san_ip: '2001:db8::1' },
  email: { tls_client_auth_san_email: 'alice@example.com' },
}
type ClientId = keyof typeof rules
const names = Object.keys(rules) as ClientId[]
const server = await startTestServer({
  clients: names.map(name => ({ client_id: name, token_endpoint_auth_method: 'tls_client_auth', ...rules[name] })),
})
t.teardown(() => server.close())
const { ca } = server.pki
const { privateKey, publicKey } = server.pki.alice

const certificate = (order: Partial<CertificateOrder>) =>
  issueCertificate({
    subject: [['CN', 'mallory']],
    issuer: ca,
    extendedKeyUsage: ['clientAuth'],
    keyPair: { privateKey, publicKey },
    ...order,
  })

/** Checks which clients a certificate identifies; for every other client it must be a mismatch. */
async function acceptedAs(identity: Identity): Promise<ClientId[]> {
  const connection = await server.connect(identity)
  const accepted: ClientId[] = []
  for (const clientId of names) {
    const answer = await connection.requestToken({ client_id: clientId })
    if (answer.status === 200) accepted.push(clientId)
    else if (
      answer.status !== 401 ||
      answer.body.error !== 'invalid_client' ||
      answer.body.reason !== 'client_mismatch'
    )
      throw new Error(`${clientId}: ${answer.status} ${answer.text}`)
  }
  connection.close()
  return accepted
}
const shown = (value: unknown) => JSON.stringify(value).replaceAll('\u202e', '\\u202e')
const bySubject = async (t: Pick<TAP, 'same'>, subject: DistinguishedName, expected: ClientId[]) =>
  t.same(await acceptedAs(certificate({ subject })), expected, shown(subject))
const byAltNames = async (
  t: Pick<TAP, 'same'>,
  altNames: AltName[],
  expected: ClientId[],
  subject?: DistinguishedName,
) =>
  t.same(await acceptedAs(certificate({ altNames, ...(subject && { subject }) })), expected, shown([altNames, subject]))

t.test('identifies clients by each of the five rules, and each name by one rule only (N-22)', async t => {
  await bySubject(t, [['CN', 'alice']], ['dn'])
  const values = { dns: 'alice.example', uri: 'urn:example:alice', ip: '192.0.2.1', email: 'alice@example.com' }
  for (const [type, value] of Object.entries(values))
    await byAltNames(t, [{ [type]: value } as AltName], [type as ClientId])
  await byAltNames(t, [{ ip: '2001:DB8:0:0:0:0:0:1' }], ['ip6'])
  const everything = Object.entries(values).map(([type, value]) => ({ [type]: value }) as AltName)
  await byAltNames(t, everything, ['dn', 'dns', 'uri', 'ip', 'email'], [['CN', 'alice']])
  await byAltNames(t, [{ dns: 'x.example' }, { dns: 'alice.example' }], ['dns'])
})

t.test('ignores a name in another field than the registered one (PK03)', async t => {
  const values = ['alice', 'alice.example', 'urn:example:alice', '192.0.2.1', 'alice@example.com', 'CN=alice']
  for (const value of values) {
    await bySubject(t, [['CN', value]], value === 'alice' ? ['dn'] : [])
    await byAltNames(t, [{ dns: value }], value === 'alice.example' ? ['dns'] : [])
    await byAltNames(t, [{ uri: value }], value === 'urn:example:alice' ? ['uri'] : [])
    await byAltNames(t, [{ email: value }], value === 'alice@example.com' ? ['email'] : [])
    await byAltNames(
      t,
      [{ dns: 'mallory.example' }, { email: 'mallory@example.com' }],
      value === 'alice' ? ['dn'] : [],
      [['CN', value]],
    )
  }
  await bySubject(t, [['emailAddress', 'alice@example.com']], [])
  await bySubject(t, [['UID', 'alice']], [])
  await bySubject(t, [['O', 'alice']], [])
})

t.test('rejects common names that resemble or contain alice (PK05, PK07, PK09)', async t => {
  const insertions = [
    'alice\0',
    '\0alice',
    'alice\0.evil',
    'alice\n',
    'mallory\nCN=alice',
    'mallory/CN=alice',
    'mallory, CN=alice',
    'mallory,CN=alice',
    'mallory+CN=alice',
    'alice,O=x',
    'CN=alice',
    'alice"',
    '\\alice',
    'alice\\',
    '#0c05616c696365',
  ]
  const alike = [
    'Alice',
    'ALICE',
    ' alice',
    'alice ',
    'a lice',
    '\u0430lice',
    'al\u0131ce',
    '\uff41lice',
    'alice\u200b',
    '\ufeffalice',
    '\u202eecila',
    'alic\u0065\u0301',
    'a'.repeat(64),
    'alic',
    'alicee',
    '',
  ]
  for (const name of [...insertions, ...alike]) await bySubject(t, [['CN', name]], [])
})

t.test('requires exactly the registered parts of a subject, in their order (N-22)', async t => {
  const subjects: DistinguishedName[] = [
    [],
    [
      ['CN', 'alice'],
      ['CN', 'mallory'],
    ],
    [
      ['CN', 'mallory'],
      ['CN', 'alice'],
    ],
    [
      ['CN', 'alice'],
      ['CN', 'alice'],
    ],
    [
      ['CN', 'alice'],
      ['O', 'x'],
    ],
    [
      ['O', 'x'],
      ['CN', 'alice'],
    ],
    [
      ['CN', 'alice'],
      ['emailAddress', 'alice@example.com'],
    ],
  ]
  for (const subject of subjects) await bySubject(t, subject, [])
})

t.test('compares names of hosts, resources, addresses and people by their type (N-22)', async t => {
  const dns = [
    '*.example',
    '*',
    'alice.*',
    '.alice.example',
    'alice.example.',
    'x.alice.example',
    'xalice.example',
    'alice.example.evil',
    'alice.example\0',
    'alice.example\0.evil',
    '\0alice.example',
    'alice.exampl',
    '',
  ]
  for (const value of dns) await byAltNames(t, [{ dns: value }], [])
  await byAltNames(t, [{ dns: 'ALICE.Example' }], ['dns'])
  const uri = [
    'URN:example:alice',
    'urn:example:Alice',
    'urn:example:alice/',
    'urn:example:alice#',
    'urn:example:alice\0',
    'urn:example:%61lice',
    ' urn:example:alice',
    'urn:example:alic',
    '',
  ]
  for (const value of uri) await byAltNames(t, [{ uri: value }], [])
  for (const ip of ['192.0.2.10', '192.0.2.0', '::ffff:192.0.2.1', '::192.0.2.1', '2001:db8::', '2001:db8::1:1'])
    await byAltNames(t, [{ ip }], [])
  const email = [
    'Alice@example.com',
    'alice@example.com\0',
    'alice@example.com\0.evil',
    'x.alice@example.com',
    'alice@x.example.com',
    '@example.com',
    'example.com',
    'alice@example.co',
    ' alice@example.com',
    '"alice"@example.com',
    '',
  ]
  for (const value of email) await byAltNames(t, [{ email: value }], [])
  await byAltNames(t, [{ email: 'alice@EXAMPLE.com' }], ['email'])
})

t.test('accepts registered names with several parts, escapes and multi-valued parts', async t => {
  server.clock = Math.floor(Date.now() / 1000) + 60 // certificates of openssl are valid from now on
  const made = makeWithOpenssl('/C=CH/O=Example "Inc"/OU= notes /CN=Alice \\+ Bob, Ärzte+UID=7')
  t.same(await acceptedAs(made), ['long'])
  const turned = makeWithOpenssl('/C=CH/O=Example "Inc"/OU= notes /UID=7+CN=Alice \\+ Bob, Ärzte')
  t.same(await acceptedAs(turned), ['long'], 'the attributes of one part have no order')
  const others = [
    '/C=CH/O=Example "Inc"/OU= notes /CN=Alice \\+ Bob, Ärzte',
    '/C=CH/O=Example "Inc"/OU= notes /CN=Alice \\+ Bob, Ärzte/UID=7',
    '/C=CH/O=Example "Inc"/OU=notes/CN=Alice \\+ Bob, Ärzte+UID=7',
    '/C=ch/O=Example "Inc"/OU= notes /CN=Alice \\+ Bob, Ärzte+UID=7',
    '/O=Example "Inc"/C=CH/OU= notes /CN=Alice \\+ Bob, Ärzte+UID=7',
    '/C=CH/O=Example "Inc"/OU= notes /CN=Alice \\+ Bob, Arzte+UID=7',
    '/C=CH/O=Example "Inc"/OU= notes /CN=Alice \\+ Bob, Ärzte+UID=7+UID=8',
  ]
  for (const subject of others) t.same(await acceptedAs(makeWithOpenssl(subject)), [], subject)
  t.same(await acceptedAs(makeWithOpenssl('/CN=alice', 'nombstr')), ['dn'], 'as PrintableString it is the same text')
})

t.test('identifies a client by its certificate, not by its request (PK26, N-21)', async t => {
  const connection = await server.connect('alice')
  t.equal((await connection.requestToken({ client_id: 'dn' })).status, 200)
  t.match(await connection.requestToken({ client_id: 'dns' }), refusal('client_mismatch', 'invalid_client'))
  const unknown = [
    'alice',
    'mallory',
    'DN',
    'dn ',
    ' dn',
    'CN=alice',
    '__proto__',
    'constructor',
    'size',
    '*',
    'x'.repeat(8000),
  ]
  for (const clientId of unknown)
    t.match(
      await connection.requestToken({ client_id: clientId }),
      refusal('unknown_client', 'invalid_client'),
      shown(clientId).slice(0, 60),
    )
  for (const parameters of [
    { client_id: '' },
    { client_id: 'dn\0' },
    { client_id: 'x'.repeat(10_000) },
    { client_id: 'dn', client_secret: 'x' },
    { client_id: 'dn', client_assertion: 'x' },
  ])
    t.match(await connection.requestToken(parameters), {
      status: 400,
      body: { error: 'invalid_request', reason: 'malformed_request' },
    })
  t.match(
    await (await server.connect('mallory')).requestToken({ client_id: 'mallory' }),
    refusal('unknown_client', 'invalid_client'),
    'a certificate of the trusted CA alone does not identify a client',
  )
})

/** Creates a client certificate with the openssl command: multi-valued parts, and other string types. */
function makeWithOpenssl(subject: string, stringMask = 'utf8only'): Identity {
  const files = {
    key: server.pki.alice.key,
    ca: ca.certificate,
    'ca.key': ca.key,
    config: `[req]\ndistinguished_name=dn\nstring_mask=${stringMask}\n[dn]\n[client]\nextendedKeyUsage=clientAuth\n`,
  }
  const pem = (output: string, label: string) => {
    const block = new RegExp(`-----BEGIN ${label}-----.*-----END ${label}-----\n`, 's').exec(output)?.[0]
    if (block === undefined) throw new Error(`openssl made no ${label}: ${output}`)
    return block
  }
  const request = openssl(
    files,
    'req',
    '-new',
    '-utf8',
    '-config',
    'config',
    '-key',
    'key',
    '-subj',
    subject,
    '-multivalue-rdn',
  )
  const signed = openssl(
    { ...files, request: pem(request.output, 'CERTIFICATE REQUEST') },
    'x509',
    '-req',
    '-in',
    'request',
    '-CA',
    'ca',
    '-CAkey',
    'ca.key',
    '-days',
    '1',
    '-extfile',
    'config',
    '-extensions',
    'client',
  )
  return { ...server.pki.alice, certificate: pem(signed.output, 'CERTIFICATE') }
}
