// What servers do wrong with the claims of a token whose signature holds, with `cnf` above all.
import { confirm } from '../../../../src/core/confirmation.ts'
import type { Connection } from '../../../../src/tls/connection.ts'
import type { Asker, Claims, Fault } from '../broken-server.ts'

type Cnf = Readonly<Record<string, unknown>>

/** Makes the claims fit whoever asks, which is what comes of it where nobody looks. */
export function fit(claims: Claims, { connection: { presenter } }: Pick<Asker, 'connection'>): Claims {
  return presenter === undefined ? claims : { ...claims, cnf: confirm(presenter, 'certificate') }
}

/** A fault that takes the certificate for the right one as soon as `isSame` says so. */
function takeCertificateWhere(isSame: (cnf: Cnf, asker: Asker, claims: Claims) => boolean): Fault {
  return {
    read: (claims, asker) => {
      const cnf = cnfOf(claims)
      if (!isSame(cnf, asker, claims)) return claims
      return { ...claims, cnf: { ...cnf, 'x5t#S256': thumbprintOf(asker.connection) } }
    },
  }
}

/** A fault that takes a token for good as soon as `isGood` says so. */
export function fitWhere(isGood: (cnf: Cnf, asker: Asker, claims: Claims) => boolean): Fault {
  return { read: (claims, asker) => (isGood(cnfOf(claims), asker, claims) ? fit(claims, asker) : claims) }
}

export function thumbprintOf({ presenter }: Connection): string | undefined {
  return presenter?.certificate.thumbprint
}

function cnfOf({ cnf }: Claims): Cnf {
  return typeof cnf === 'object' && cnf !== null ? (cnf as Cnf) : {}
}

const known = ['x5t#S256', 'tls-exporter#S256', 'tls-unique#S256', 'tls_exp']

export const claimFaults = {
  /** Any good token will do. */
  ignoresConfirmation: fitWhere(() => true),
  /** Looks at the certificate only. */
  ignoresConnection: fitWhere((cnf, { connection }) => cnf['x5t#S256'] === thumbprintOf(connection)),
  /** Looks at the connection only, where the token names one. */
  ignoresCertificate: takeCertificateWhere(() => true),
  /** Knows certificates by what they are called. */
  comparesSubjects: takeCertificateWhere(
    (_, { connection }, claims) => connection.presenter?.certificate.x509.subject === `CN=${claims.client_id}`,
  ),
  /** Knows certificates by their keys. */
  comparesKeys: takeCertificateWhere((_, { connection, server }, claims) => {
    const { publicKey } = server.pki[claims.client_id as 'alice']
    return connection.presenter?.certificate.x509.publicKey.equals(publicKey) === true
  }),
  /** Checks what is there: a token that names nothing is good everywhere. */
  acceptsMissingConfirmation: fitWhere(cnf => Object.keys(cnf).length === 0),
  /** Leaves alone what it does not understand, and with it a restriction. */
  acceptsUnknownMembers: {
    read: claims => ({
      ...claims,
      cnf: Object.fromEntries(Object.entries(cnfOf(claims)).filter(([member]) => known.includes(member))),
    }),
  },
  /** Takes the beginning of a thumbprint for the whole. */
  comparesPrefixes: takeCertificateWhere((cnf, { connection }) => {
    const given = cnf['x5t#S256']
    return typeof given === 'string' && given !== '' && thumbprintOf(connection)?.startsWith(given) === true
  }),
  /** Tokens live for ever. */
  ignoresLifetime: {
    read: (claims, { server }) => ({ ...claims, iat: server.clock, exp: server.clock + 60 }),
  },
  /** Exchanges whatever token it is given, for whoever asks (RFC 8693). */
  exchangesForAnybody: {
    read: (claims, asker) => {
      if (asker.request.url !== '/oauth/token') return claims
      return { ...fit(claims, asker), client_id: asker.connection.client?.id }
    },
  },
  /** Gives tokens of the lowest level, whatever is asked for. */
  issuesWeakTokens: {
    issued: claims => ({ ...claims, cnf: { 'x5t#S256': cnfOf(claims)['x5t#S256'] } }),
  },
} satisfies Record<string, Fault>
