// What the signature of a request must cover, and what it is refused for. RFC 9421 §3.2, §7; RFC 9530 §2.
import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { buildContentDigest } from '../../src/core/content-digest.ts'
import { acceptSignature, verifySignedRequest } from '../../src/core/signed-request.ts'
import { parseUniqueDictionary } from '../../src/core/structured-fields.ts'
import {
  bindingOf,
  createSigningClient,
  type Forgery,
  type Message,
  now,
  plain,
  toSigned,
  withBody,
  withFields,
} from '../helpers/tokens/signing-client.ts'

const pairs = [
  generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  generateKeyPairSync('ed25519'),
  generateKeyPairSync('rsa', { modulusLength: 2048 }),
]
const clients = pairs.map(pair => createSigningClient(pair))
const [alice, , bob] = clients as [(typeof clients)[0], (typeof clients)[0], (typeof clients)[0]]

t.beforeEach(t => {
  for (const client of clients)
    for (const message of [plain, withBody]) {
      t.equal(client.verdict(client.sign(message)), 'accepted', 'control')
      t.equal(client.verdict(client.forge(message, {})), 'accepted', 'control: the forger')
    }
})

t.test('rejects a signature for another method, target, host, token, body or connection', async t => {
  const signed = alice.sign(withBody)
  const changes: Readonly<Record<string, Partial<Message>>> = {
    method: { method: 'PUT' },
    'method in lower case': { method: 'post' },
    path: { target: '/notes/1?limit=10' },
    query: { target: '/notes?limit=11' },
    'no query': { target: '/notes' },
    host: { authority: 'other.example:8443' },
    port: { authority: 'api.example' },
  }
  for (const [what, change] of Object.entries(changes))
    t.equal(alice.verdict({ ...signed, ...change }), 'signature_invalid wrong_signature', what)
  for (const [authority, target] of [
    ['api.example:8443/notes', '?limit=10'],
    ['api.example:8443/notes', '/1?limit=10'],
  ] as const) {
    // The same URI as that of an honest request, for another target.
    const honest = alice.sign({ ...withBody, target: `${authority}${target}`.slice('api.example:8443'.length) })
    t.equal(alice.verdict({ ...honest, authority, target }), 'signature_invalid component', `${authority} ${target}`)
  }
  for (const [name, value] of [
    ['authorization', 'Bearer other.token.here'],
    ['content-type', 'text/plain'],
    ['content-digest', buildContentDigest('{"a":2}')],
  ] as const)
    t.equal(alice.verdict(withFields(signed, { [name]: value })), 'signature_invalid wrong_signature', name)
  const elsewhere = alice.sign(plain, { channelBinding: bindingOf('two') })
  t.equal(alice.verdict(elsewhere), 'signature_invalid other_connection')
  const swapped = withFields(elsewhere, { 'tls-channel-binding': alice.sign().fields['tls-channel-binding'] })
  t.equal(alice.verdict(swapped), 'signature_invalid wrong_signature', 'with the binding of this connection')
})

t.test('rejects the signature of another certificate', async t => {
  t.equal(alice.verdict(bob.sign()), 'signature_invalid other_key')
  t.equal(alice.verdict(alice.forge(plain, { key: bob.key })), 'signature_invalid wrong_signature')
  t.equal(alice.verdict(alice.forge(plain, { parameters: { alg: 'ed25519' } })), 'signature_invalid other_key')
  t.equal(alice.verdict(alice.forge(plain, { parameters: { alg: 'ecdsa-p256-sha256' } })), 'accepted', 'control')
})

t.test('requires each component (N-68)', async t => {
  const all = ['@method', '@target-uri', 'authorization', 'tls-channel-binding', 'content-type', 'content-digest']
  for (const name of all) {
    const components = all.filter(other => other !== name)
    t.equal(alice.verdict(alice.forge(withBody, { components })), 'signature_invalid component_missing', name)
  }
  t.equal(alice.verdict(alice.forge(withBody, { components: [...all].reverse() })), 'accepted', 'in any order')
  const more = ['@authority', '@scheme', '@path', '@query', '@request-target', 'x-more']
  const message = withFields(withBody, { 'x-more': 'a' })
  t.equal(alice.verdict(alice.forge(message, { components: [...all, ...more] })), 'accepted', 'with more')
  t.equal(alice.verdict({ ...alice.sign(plain), hasBody: true }), 'digest_invalid missing', 'a body without a digest')
  for (const name of ['@status', '@query-param', '@signature-params', '@other', 'x-absent', 'Content-Type', ''])
    t.equal(alice.verdict(alice.forge(withBody, { components: [...all, name] })), 'signature_invalid component', name)
  const signed = alice.sign(plain)
  const input = signed.fields['signature-input'] as string
  for (const parameter of ['req', 'sf', 'bs', 'tr', 'key="a"', 'name="a"']) {
    const changed = input.replace('"@method"', `"@method";${parameter}`)
    t.equal(alice.verdict(withFields(signed, { 'signature-input': changed })), 'signature_invalid component', parameter)
  }
})

t.test('requires each parameter in its form, and no other', async t => {
  const wrong: Readonly<Record<string, readonly unknown[]>> = {
    created: [undefined, 'a', -1, 1.5, true, `${now}`],
    expires: [undefined, 'a', -1, 1.5, true],
    nonce: [undefined, '', 'n'.repeat(65), 1, true],
    keyid: [undefined, 1, true],
    alg: [1, true],
    other: [1, 'a', true],
  }
  for (const [name, values] of Object.entries(wrong))
    for (const value of values)
      t.equal(
        alice.verdict(alice.forge(plain, { parameters: { [name]: value } } as Forgery)),
        'signature_invalid parameter',
        `${name} ${value}`,
      )
  for (const nonce of ['n', 'n'.repeat(64)])
    t.equal(alice.verdict(alice.forge(plain, { parameters: { nonce } })), 'accepted', 'control')
  for (const tag of [undefined, 'other', 'TLSBOUND-REQUEST', 1])
    t.equal(alice.verdict(alice.forge(plain, { parameters: { tag } })), 'signature_missing other_tag', `${tag}`)
})

t.test('accepts a signature from 5 s before created to expires, which is at most 60 s later (N-68)', async t => {
  const times: readonly (readonly [created: number, expires: number, accepted: boolean])[] = [
    [now, now + 60, true],
    [now, now + 61, false],
    [now + 5, now + 65, true],
    [now + 6, now + 60, false],
    [now - 60, now, true],
    [now - 60, now - 1, false],
    [now - 61, now, false],
    [now - 10, now + 1, true],
    [0, now + 1, false],
    [now, now - 1, false],
    [now, 999_999_999_999_999, false],
  ]
  for (const [created, expires, accepted] of times)
    t.equal(
      alice.verdict(alice.forge(plain, { parameters: { created, expires } })),
      accepted ? 'accepted' : 'signature_invalid outside_window',
      `${created - now} to ${expires - now}`,
    )
})

t.test('ignores signatures with another tag, and rejects two with this one', async t => {
  const signed = alice.sign(plain)
  const both = (other: Message) =>
    withFields(signed, {
      'signature-input': `${other.fields['signature-input']}, ${signed.fields['signature-input']}`,
      signature: `${other.fields.signature}, ${signed.fields.signature}`,
    })
  const proxy = alice.forge(plain, { parameters: { tag: 'proxy', other: 1 }, label: 'proxy', components: ['@method'] })
  t.equal(alice.verdict(both(proxy)), 'accepted')
  t.equal(alice.verdict(both(alice.forge(plain, { label: 'b' }))), 'signature_invalid two_signatures')
  t.equal(alice.verdict(both(alice.forge(plain, {}))), 'signature_invalid form', 'the same label twice')
  const others = Array.from({ length: 16 }, (_, index) => `l${index}=("@method");tag="a"`).join(', ')
  const octets = Array.from({ length: 16 }, (_, index) => `l${index}=:AAAA:`).join(', ')
  const many = (inputs: string, signatures: string) =>
    alice.verdict(
      withFields(signed, {
        'signature-input': `${inputs}${signed.fields['signature-input']}`,
        signature: `${signatures}${signed.fields.signature}`,
      }),
    )
  t.equal(many(`${others}, `, `${octets}, `), 'signature_invalid labels', '17 signatures')
  t.equal(many(`${others.slice(others.indexOf('l1='))}, `, `${octets.slice(octets.indexOf('l1='))}, `), 'accepted')
  const thousand = Array.from({ length: 1000 }, (_, index) => `label${index}=()`).join(',')
  t.equal(many(`${thousand},`, ''), 'signature_invalid too_long', '1 000 labels')
})

t.test('rejects other forms of the fields', async t => {
  const signed = alice.sign(withBody)
  const input = signed.fields['signature-input'] as string
  const signature = signed.fields.signature as string
  const binding = signed.fields['tls-channel-binding'] as string
  const rows: readonly (readonly [field: string, values: readonly (string | undefined)[], verdict: string])[] = [
    ['signature-input', [undefined], 'signature_missing header_missing'],
    ['signature', [undefined], 'signature_missing header_missing'],
    [
      'signature-input',
      [
        '',
        ' ',
        ',',
        'sig',
        'sig=1',
        'sig=()',
        'sig=(1 2)',
        'sig=(a b)',
        `${input},`,
        `${input};`,
        `${input} x`,
        `\u00e9${input}`,
        input.replace('sig', 'Sig'),
        input.replace('sig=', 'b='),
        input.slice(0, 20),
        `${input}, ${input}`,
      ],
      'signature_invalid form',
    ],
    [
      'signature',
      [
        '',
        'sig',
        'sig=1',
        'sig="AAAA"',
        'sig=AAAA',
        'sig=:AA',
        'sig=:*:',
        `${signature};a=1`,
        `${signature}, ${signature}`,
        `b${signature}`,
      ],
      'signature_invalid form',
    ],
    ['signature', ['sig=::', 'sig=:AAAA:', `${signature.slice(0, 20)}:`], 'signature_invalid wrong_signature'],
    ['signature-input', ['a'.repeat(8193)], 'signature_invalid too_long'],
    ['signature', ['a'.repeat(8193)], 'signature_invalid too_long'],
    [
      'tls-channel-binding',
      [
        undefined,
        '',
        'tls-exporter',
        'tls-exporter=1',
        'tls-exporter=:AAAA:',
        `${binding}, ${binding}`,
        `${binding}, a=1`,
        `${binding};a=1`,
        binding.replace('tls-exporter', 'tls-unique'),
      ],
      'signature_invalid channel_binding',
    ],
    [
      'content-digest',
      [
        '',
        'sha-256',
        'sha-256=1',
        'sha-256=:AAAA:',
        'sha-256=(:AAAA:)',
        'a=',
        buildContentDigest('a').replace('256', '512'),
        `${buildContentDigest('a')}, ${buildContentDigest('b')}`,
        'a'.repeat(9000),
      ],
      'digest_invalid form',
    ],
    ['content-digest', ['md5=:AAAA:', 'sha=:AAAA:, unixsum=:AAAA:', 'sha-384=:AAAA:'], 'digest_invalid algorithm'],
  ]
  for (const [field, values, verdict] of rows)
    for (const value of values) {
      const given = alice.verdict(withFields(signed, { [field]: value }))
      t.ok(given === verdict || given === 'signature_missing other_tag', `${field} ${value?.slice(0, 60)}: ${given}`)
    }
})

t.test('requires a key that can sign requests, and a connection with a channel binding', async t => {
  const weak = createSigningClient(generateKeyPairSync('ec', { namedCurve: 'P-521' }))
  t.equal(weak.verdict(alice.sign()), 'signature_invalid key_kind')
  t.throws(() => weak.sign(), /a signed request needs a key of one of these kinds: P-256.*this one is ec secp521r1/)
  const without = { ...alice.presenter, bindings: {} }
  const refused = /no channel binding that a signature can cover/
  t.throws(() => verifySignedRequest(toSigned(alice.sign()), without, now), refused)
})

t.test('the signer requires the fields that it covers', async t => {
  t.throws(() => alice.sign(withFields(plain, { authorization: undefined })), /"authorization" has no value/)
  t.throws(() => alice.sign({ ...plain, hasBody: true }), /"content-digest" has no value/)
  t.throws(() => alice.sign(withFields(plain, { authorization: 'Bearer a\n"@method": PUT' })), /not printable ASCII/)
  t.equal(alice.verdict(alice.sign(withFields(plain, { 'x-more': 'a' }), { also: ['x-more', '@path'] })), 'accepted')
})

t.test('asks for these components in Accept-Signature (N-69)', async t => {
  const [components, parameters] = parseUniqueDictionary(acceptSignature).get('sig') as [
    unknown[][],
    Map<string, unknown>,
  ]
  t.same(
    components.map(([name]) => name),
    ['@method', '@target-uri', 'authorization', 'tls-channel-binding', 'content-type', 'content-digest'],
  )
  t.same([...parameters.keys()], ['created', 'expires', 'nonce', 'keyid', 'tag'])
  t.equal(parameters.get('tag'), 'tlsbound-request')
})

const meaning = (field: string) =>
  field.replace(/[ \t]/g, '').replace(/:([^:]*):?/g, (_, text) => Buffer.from(text, 'base64').toString('hex'))

t.test('rejects every change of one octet of what is signed', async () => {
  const names = [
    'signature-input',
    'signature',
    'tls-channel-binding',
    'content-digest',
    'content-type',
    'authorization',
  ]
  const signed = alice.sign(withBody)
  const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
  const letter = fc.constantFrom(...'aZ09"(),;:=?@ -_.*/+~\\\t'.split(''), '\u00e9', '\n')
  const property = fc.property(
    fc.constantFrom(...names),
    place,
    letter,
    fc.constantFrom(0, 1, 2),
    (name, where, by, how) => {
      const value = signed.fields[name] as string
      const at = Math.floor(value.length * where)
      const text = value.slice(0, at) + (how === 2 ? '' : by) + value.slice(how === 0 ? at : at + 1)
      const verdict = alice.verdict(withFields(signed, { [name]: text }))
      // Spaces between members have no meaning in a structured field, and base64 has more than one spelling.
      return verdict !== 'accepted' || meaning(text) === meaning(value)
    },
  )
  fc.assert(property, { numRuns: 5000 })
})

t.test('refuses arbitrary fields without any other exception', async () => {
  const signed = alice.sign(withBody)
  const pieces = fc.constantFrom(
    'sig',
    '=',
    '(',
    ')',
    '"@method"',
    ';',
    ':',
    'AAAA',
    ',',
    ' ',
    '"',
    '\\',
    '%"',
    '?1',
    '@1',
    '-',
    '1.5',
    'tag',
    'sha-256',
    '*',
    '\u00e9',
    '\0',
  )
  const text = fc.oneof(
    fc.string({ maxLength: 200 }),
    fc.array(pieces, { maxLength: 60 }).map(parts => parts.join('')),
  )
  const name = fc.constantFrom('signature-input', 'signature', 'tls-channel-binding', 'content-digest', 'content-type')
  const property = fc.property(name, text, (field, value) => {
    const verdict = alice.verdict(withFields(signed, { [field]: value }))
    return verdict !== 'accepted' || value === signed.fields[field]
  })
  fc.assert(property, { numRuns: 5000 })
})

t.test('counts the members of a dictionary, with strings that contain commas', async t => {
  for (const value of [
    'a=1, b=2',
    'a="x,y", b',
    'a="\\",", b="\\\\"',
    'a=%"\\", b=1',
    'a=("x,y" "z");p=",", b',
    'a=1;p="%", b=:AA==:',
  ])
    t.equal(parseUniqueDictionary(value).size, 2, value)
  for (const value of ['a=1, a=2', 'a="x,y", a', 'a=%"\\", a=%"\\"', 'a, b, a'])
    t.throws(() => parseUniqueDictionary(value), /members with/, value)
})
