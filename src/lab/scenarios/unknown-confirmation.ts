// An unknown member of cnf is a restriction that the server cannot check. RFC 7800 §3.1 lets a server ignore it unless
// the application requires otherwise; the stronger levels do.
import { attempt, NotTried } from '../attempt.ts'
import { confirmationOf, readToken } from '../forge.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import { findOther } from '../thief.ts'

export const scenario: Scenario = {
  id: 'unknown-confirmation',
  sentence:
    'Tokens of the issuer with a valid signature have a cnf with additional members, or with members of two clients.',
  stolen: 'such a token',
  thief: 'its own client; and a client that matches only half of the cnf',
  control: "the same claims with the unchanged cnf, signed with the issuer's key, on the connection of the client",
  expected: 'refused',
  demandedBy: ['level connection', 'level proof'],
  stoppedAt: ['proof', 'connection'],
  remedy: 'Reject a token whose cnf has a member that you do not know or more than one certificate',
  async run(stage) {
    const { signClaims } = stage.cast
    if (signClaims === undefined) throw new NotTried("the issuer's key is not available")
    const victim = await stage.victim()
    const { header, claims } = readToken(victim.token)
    const control = () => attempt('with its cnf', () => stage.use(victim.connection, signClaims(header, claims)))
    const controls = [await control()]
    const thefts = await playSeries(
      () => stage.victim(),
      members,
      ({ connection, token }, added) => {
        const own = readToken(token).claims
        return stage.use(connection, signClaims(header, { ...own, cnf: { ...(own.cnf as object), ...added } }))
      },
    )
    const other = findOther(stage)
    if (other !== null && stage.level === 'connection')
      thefts.push(
        ...(await playSeries(
          async () => ({ connection: await stage.connect(other) }),
          mixtures,
          ({ connection }, mix) => {
            const cnf = mix(confirmationOf(connection, stage), claims.cnf as Members)
            return stage.use(connection, signClaims(header, { ...claims, cnf }))
          },
        )),
      )
    return { controls: [...controls, await control()], thefts }
  },
}

const value = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs'

const members: Readonly<Record<string, object>> = {
  'an unknown member': { note: 'x' },
  'an additional jkt': { jkt: value },
  'an additional jwk': { jwk: { kty: 'oct', k: 'AA' } },
  'an additional tls-server-end-point#S256': { 'tls-server-end-point#S256': value },
  'an exporter with another label': { tls_exp: 'EXPORTER-Channel-Binding' },
  'a thumbprint with another hash': { 'x5t#S512': value },
}

type Members = Readonly<Record<string, string>>

const mixtures: Readonly<Record<string, (own: Members, stolen: Members) => object>> = {
  'the certificate of the thief, the other members of the client': (own, stolen) => ({
    ...stolen,
    'x5t#S256': own['x5t#S256'],
  }),
  'the certificate of the client, the other members of the thief': (own, stolen) => ({
    ...own,
    'x5t#S256': stolen['x5t#S256'],
  }),
}
