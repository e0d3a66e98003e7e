// Faults in the checks of verified claims, mainly of `cnf`.
import { confirm } from '../../../../src/core/confirmation.ts'
import type { Connection } from '../../../../src/tls/connection.ts'
import type { Asker, Claims, Fault } from '../broken-server.ts'

type Cnf = Readonly<Record<string, unknown>>

/** Makes the claims match any presenter, as if a check were missing. */
export function fit(claims: Claims, { connection: { presenter } }: Pick<Asker, 'connection'>): Claims {
  return presenter === undefined ? claims : { ...claims, cnf: confirm(presenter, 'certificate') }
}

/** A fault that accepts a certificate as the right one if `isSame` returns true. */
function takeCertificateWhere(isSame: (cnf: Cnf, asker: Asker, claims: Claims) => boolean): Fault {
  return {
    read: (claims, asker) => {
      const cnf = cnfOf(claims)
      if (!isSame(cnf, asker, claims)) return claims
      return { ...claims, cnf: { ...cnf, 'x5t#S256': thumbprintOf(asker.connection) } }
    },
  }
}

/** A fault that accepts a token if `isGood` returns true. */
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
  /** Accepts any valid token. */
  ignoresConfirmation: fitWhere(() => true),
  /** Checks the certificate only. */
  ignoresConnection: fitWhere((cnf, { connection }) => cnf['x5t#S256'] === thumbprintOf(connection)),
  /** Checks the connection only, if the token names one. */
  ignoresCertificate: takeCertificateWhere(() => true),
  /** Compares certificates by name. */
  comparesSubjects: takeCertificateWhere(
    (_, { connection }, claims) => connection.presenter?.certificate.x509.subject === `CN=${claims.client_id}`,
  ),
  /** Compares certificates by key. */
  comparesKeys: takeCertificateWhere((_, { connection, server }, claims) => {
    const { publicKey } = server.pki[claims.client_id as 'alice']
    return connection.presenter?.certificate.x509.publicKey.equals(publicKey) === true
  }),
  /** Checks only the members that are present: a token without any is accepted everywhere. */
  acceptsMissingConfirmation: fitWhere(cnf => Object.keys(cnf).length === 0),
  /** Ignores unknown members, and so a restriction. */
  acceptsUnknownMembers: {
    read: claims => ({
      ...claims,
      cnf: Object.fromEntries(Object.entries(cnfOf(claims)).filter(([member]) => known.includes(member))),
    }),
  },
  /** Compares only the beginning of a thumbprint. */
  comparesPrefixes: takeCertificateWhere((cnf, { connection }) => {
    const given = cnf['x5t#S256']
    return typeof given === 'string' && given !== '' && thumbprintOf(connection)?.startsWith(given) === true
  }),
  /** Never lets tokens expire. */
  ignoresLifetime: {
    read: (claims, { server }) => ({ ...claims, iat: server.clock, exp: server.clock + 60 }),
  },
  /** Exchanges any token for any client (RFC 8693). */
  exchangesForAnybody: {
    read: (claims, asker) => {
      if (asker.request.url !== '/oauth/token') return claims
      return { ...fit(claims, asker), client_id: asker.connection.client?.id }
    },
  },
  /** Issues tokens of the lowest level, whatever is requested. */
  issuesWeakTokens: {
    issued: claims => ({ ...claims, cnf: { 'x5t#S256': cnfOf(claims)['x5t#S256'] } }),
  },
} satisfies Record<string, Fault>
