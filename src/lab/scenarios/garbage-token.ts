// Texts that are not tokens: too long, too deeply nested, too many dots. They must be refused, and not cause a server
// error.
import { attempt } from '../attempt.ts'
import { encode } from '../forge.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'

export const scenario: Scenario = {
  id: 'garbage-token',
  sentence: 'Texts that are not tokens are presented: oversized, nested, non-ASCII, or in other formats.',
  stolen: 'nothing',
  thief: 'a client, on its own connection',
  control: 'a valid token, before these texts',
  expected: 'refused, without a server error; the client is still served',
  demandedBy: ['RFC 6750 §3.1', 'RFC 9110 §15.6'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Respond to a malformed token with 401 or 400, and limit the size of headers',
  async run(stage) {
    const before = await stage.victim()
    const controls = [await attempt('before', () => stage.use(before.connection, before.token))]
    const thefts = await playSeries(
      () => stage.victim(),
      garbage,
      ({ connection }, token) => stage.use(connection, token),
    )
    const after = await attempt('the client, after these texts', async () => {
      const { connection, token } = before.connection.isOpen() ? before : await stage.victim()
      return stage.use(connection, token)
    })
    // A server that no longer serves its client has not merely refused.
    return { controls, thefts: after.result === 'accepted' ? thefts : [...thefts, { ...after, result: 'fault' }] }
  },
}

const header = { typ: 'at+jwt', alg: 'ES256', kid: 'x' }
const jws = (head: unknown, claims: unknown) => `${encode(head)}.${encode(claims)}.${encode(Buffer.alloc(64))}`

const garbage: Readonly<Record<string, string>> = {
  'a letter': 'x',
  nothing: '',
  dots: '....',
  'a thousand dots': '.'.repeat(1000),
  '8 KiB': 'a'.repeat(8192),
  '12 KiB in three segments': jws(header, { sub: 'x'.repeat(9000) }),
  '40 KiB': 'a'.repeat(40_960),
  'non-ASCII octets': '\xff\xfe\x80\xc3\x28'.repeat(40),
  'a deeply nested header': jws('['.repeat(4000), {}),
  'deeply nested claims': jws(header, `{"cnf":${'['.repeat(3000)}`),
  'claims that are a number': jws(header, '1e400'),
  'claims that are null': jws(header, null),
  'claims with __proto__': jws(header, '{"__proto__":{"cnf":{}},"constructor":{"prototype":{}}}'),
  'a header that is null': jws(null, {}),
  'a header that is not JSON': jws('{"alg":', {}),
  'an algorithm that is an object': jws({ ...header, alg: { toString: 'none' } }, {}),
  'a kid of 3 KiB': jws({ ...header, kid: 'k'.repeat(3000) }, {}),
  'a JWE of five segments': `${encode({ alg: 'dir', enc: 'A256GCM', zip: 'DEF' })}..AAAA.AAAA.AAAA`,
  'JSON serialization': JSON.stringify({ payload: 'e30', signatures: [] }).replaceAll('"', "'"),
  'an opaque token': 'tlsbound_at_00000000000000000000000000000000000000000000000000',
  'a PASETO': 'v4.public.eyJzdWIiOiJhbGljZSJ9',
  'a PASETO with octets that are not UTF-8': `v4.public.${encode(Buffer.alloc(80, 0xff))}.${encode('{}')}`,
  'a PASETO with a footer of 12 KiB': `v4.public.${encode(Buffer.alloc(80))}.${'A'.repeat(12_288)}`,
  'an encrypted PASETO': `v4.local.${encode(Buffer.alloc(120))}.${encode('{"kid":"x"}')}`,
}
