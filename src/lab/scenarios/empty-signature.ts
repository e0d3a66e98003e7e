// Signatures that a careless library accepts for every text, above all zeros (CVE-2022-21449).
import { attempt } from '../attempt.ts'
import { encode, readToken } from '../forge.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'

export const scenario: Scenario = {
  id: 'empty-signature',
  sentence:
    'The signature of a token is replaced by zeros, by the order of the curve, or by too few or too many octets.',
  stolen: "nothing: the claims are the client's own, so only the signature is tested",
  thief: 'a registered client, on its own connection',
  control: 'the same token with its own signature',
  expected: 'refused, without a server error',
  demandedBy: ['RFC 7515 §5.2', 'RFC 7518 §3.4'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy:
    'Verify the signature of every token, with the algorithms that you expect and the keys of the issuer only; use a maintained library for that',
  async run(stage) {
    const victim = await stage.victim()
    readToken(victim.token)
    const control = () => attempt('with its own signature', () => stage.use(victim.connection, victim.token))
    const controls = [await control()]
    const thefts = await playSeries(
      () => stage.victim(),
      signatures,
      ({ connection, token }, change) => {
        const { input, signature } = readToken(token)
        return stage.use(connection, `${input}.${encode(change(Buffer.from(signature, 'base64url')))}`)
      },
    )
    return { controls: [...controls, await control()], thefts }
  },
}

/** The order of P-256 (SEC 2 §2.4.2). */
const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
const zero = Buffer.alloc(32)
const one = Buffer.alloc(32, 0)
one[31] = 1

const signatures: Readonly<Record<string, (own: Buffer) => Buffer>> = {
  zeros: own => Buffer.alloc(own.length),
  ones: own => Buffer.alloc(own.length, 0xff),
  'r = 0, s = 0': () => Buffer.alloc(64),
  'r and s equal to the order': () => Buffer.concat([order, order]),
  'r = 0': own => Buffer.concat([zero, own.subarray(32)]),
  's = 0': own => Buffer.concat([own.subarray(0, 32), zero]),
  'r = 1, s = 1': () => Buffer.concat([one, one]),
  'zeros in DER': () => Buffer.from('3006020100020100', 'hex'),
  'the first half': own => own.subarray(0, own.length / 2),
  'one octet fewer': own => own.subarray(0, -1),
  'one octet more': own => Buffer.concat([own, Buffer.alloc(1)]),
  'one bit changed': own => Buffer.concat([own.subarray(0, -1), Buffer.from([(own.at(-1) ?? 0) ^ 0x10])]),
  'a single octet': () => Buffer.alloc(1),
}
