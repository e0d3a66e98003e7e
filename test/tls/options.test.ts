// The options of a listener: each wrong or unknown one is a TypeError that names it, so that a misspelt one disables no protection.
import t from 'tap'
import { issueCrl } from '../../src/pki/crl.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import type { MutualTlsOptions } from '../../src/tls/listener-options.ts'
import { mutualTls } from '../../src/tls/mutual-tls.ts'

const pki = makeDemoPki()
const material = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }
const crl = issueCrl({ issuer: pki.ca, revoked: [pki.bob.x509] })
const create = (options: unknown) => mutualTls(options as MutualTlsOptions)
const pem = 'PEM text with a -----BEGIN line (the content of a file, not its path)'

t.test('accepts each option at its limits, and undefined for an optional one', async t => {
  for (const options of [
    {},
    { crl },
    { minVersion: 'TLSv1.2', http2: false, dropUnacceptable: true, maximumAge: 0, timeouts: {} },
    {
      minVersion: 'TLSv1.3',
      http2: true,
      dropUnacceptable: false,
      maximumAge: 0.5,
      timeouts: { handshake: 0.1, retirement: 0 },
    },
    { isPinned: () => false, onDrop() {}, onClose() {}, onEnd() {}, onError() {}, onFailedHandshake() {} },
    ...['crl', 'minVersion', 'http2', 'maximumAge', 'timeouts', 'isPinned', 'onDrop'].map(name => ({
      [name]: undefined,
    })),
    { timeouts: { handshake: undefined } },
  ])
    t.doesNotThrow(() => create({ ...material, ...options }), Object.keys(options).join())
})

t.test('names each wrong or unknown option, and what was found', async t => {
  const wrong: readonly (readonly [options: Readonly<Record<string, unknown>>, message: string])[] = [
    [{ crls: crl }, 'crls is not an option; did you mean crl?'],
    [{ passphrase: 'x' }, 'passphrase is not an option; '],
    [{ minVersion: 'TLSv1.1' }, 'minVersion must be one of TLSv1.2, TLSv1.3, not "TLSv1.1"'],
    [{ minVersion: 1.3 }, 'minVersion must be one of TLSv1.2, TLSv1.3, not 1.3'],
    [{ http2: 'false' }, 'http2 must be true or false, not "false"'],
    [{ dropUnacceptable: 1 }, 'dropUnacceptable must be true or false, not 1'],
    ...[-1, Number.NaN, '60', null].map(
      value => [{ maximumAge: value }, 'maximumAge must be a number of seconds from 0 to 2147483, not '] as const,
    ),
    [{ timeouts: 3 }, 'timeouts must be an object with handshake, '],
    ...[-1, Number.NaN, '10', 2_147_484].map(
      value =>
        [
          { timeouts: { handshake: value } },
          'timeouts.handshake must be a number of seconds from 0 to 2147483, not ',
        ] as const,
    ),
    [{ timeouts: { handshakes: 1 } }, 'timeouts.handshakes is not an option; did you mean timeouts.handshake?'],
    ...['isPinned', 'onDrop', 'onClose', 'onEnd', 'onError', 'onFailedHandshake'].flatMap(name =>
      [true, 'x'].map(value => [{ [name]: value }, `${name} must be a function, not `] as const),
    ),
    ...['cert', 'key', 'ca', 'crl'].flatMap(
      name =>
        [
          [{ [name]: 'certs/ca.crt' }, `${name} must be ${pem}, not "certs/ca.crt"`],
          [{ [name]: Buffer.from(material.ca) }, `${name} must be ${pem}, not a Buffer`],
          [{ [name]: [material.ca] }, `${name} must be ${pem}, not a list`],
        ] as const,
    ),
    ...['cert', 'key', 'ca'].map(name => [{ [name]: undefined }, `${name} must be ${pem}, not undefined`] as const),
  ]
  for (const [options, message] of wrong) {
    const found = t.throws(() => create({ ...material, ...options }), { name: 'TypeError' }) as unknown as Error
    t.ok(found.message.startsWith(message), found.message)
  }
  for (const options of [undefined, null, [], 'x'])
    t.throws(() => create(options), {
      name: 'TypeError',
      message: /^options must be an object with cert, key, ca, not /,
    })
})

t.test('reload and the listener name what is wrong with their argument, and change nothing', async t => {
  const tls = create(material)
  const { trust } = tls.inUse()
  const reload = (given: unknown) => tls.reload(given as never)
  for (const [given, message] of [
    [undefined, /^material must be an object with cert, key, ca, not undefined$/],
    [{ ...material, crls: crl }, /^material\.crls is not an option; did you mean material\.crl\?$/],
    [{ ...material, ca: 'certs/ca.crt' }, /^material\.ca must be PEM text/],
    [{ ...material, maximumAge: 1 }, /^material\.maximumAge is not an option; /],
  ] as const)
    t.throws(() => reload(given), { name: 'TypeError', message })
  t.equal(tls.inUse().trust, trust)
  for (const handler of [undefined, {}, 'x'])
    t.throws(() => tls(handler as never), { name: 'TypeError', message: /^handler must be a function, not / })
  reload({ ...material, crl })
  t.equal(tls.inUse().trust.lists.length, 1, 'control')
})
