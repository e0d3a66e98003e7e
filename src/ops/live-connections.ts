// Describes a live connection for the page: its client, its binding thumbprints, and its tokens.
import { readChannelBindings } from '../core/channel-binding.ts'
import { reasons } from '../core/errors.ts'
import { describeSubject } from '../core/subject-rule.ts'
import type { Connection } from '../tls/connection.ts'
import type { VerifiedToken } from '../tls/verified-tokens.ts'
import { readable } from './live-refusals.ts'

/** Maximum number of tokens shown per connection. The others are counted. */
const maximumTokens = 8

/** The live connections of a server, for the page. */
export interface LiveConnections {
  /** The number of open connections. */
  total(): number
  /** Describes the newest ones, oldest first. `now` in seconds since 1970. */
  newest(most: number, now: number): readonly DescribedConnection[]
  /** Whether a connection that was described before, and is not now, is still open. */
  isOpen(id: number): boolean
}

export interface DescribedConnection {
  readonly id: number
  /** RFC 3339, in UTC. */
  readonly opened: string
  /** JSON. */
  readonly text: string
}

/** Describes the connections of a listener. `firstId`: numbers begin after it. */
export function describeConnections(connections: ReadonlySet<Connection>, firstId = 0): LiveConnections {
  const describe = createDescriber(firstId)
  let described = new Map<number, Connection>()
  return {
    total: () => connections.size,
    newest(most, now) {
      const before = described
      described = new Map()
      const newest = [...connections].slice(-most).map(connection => {
        const description = describe(connection, now)
        described.set(description.id, connection)
        return { id: description.id, opened: description.opened, text: JSON.stringify(description) }
      })
      for (const [id, connection] of before) if (connections.has(connection)) described.set(id, connection)
      return newest
    },
    isOpen: id => connections.has(described.get(id) as Connection),
  }
}

/** The constant properties of a connection, read once. */
interface Fixed {
  readonly id: number
  readonly opened: string
  readonly peer: string
  readonly tls: string | null
  readonly http: string
  readonly subject: string | undefined
  readonly certificate: string | undefined
  readonly bindings: object
}

type Describe = (connection: Connection, now: number) => object & Pick<Fixed, 'id' | 'opened'>

/** Creates a function that describes connections, each with a permanent number. */
function createDescriber(firstId: number): Describe {
  const known = new WeakMap<Connection, Fixed>()
  let last = firstId
  return (connection, now) => {
    const fixed = known.get(connection) ?? readFixed(connection, ++last)
    known.set(connection, fixed)
    const tokens = [...(connection.verified?.values() ?? [])].filter(({ token }) => token.claims.exp > now)
    return {
      ...fixed,
      client: readable(connection.client?.id),
      problem: connection.rejection?.[0],
      sentence: connection.rejection && reasons[connection.rejection[0]],
      tokens: tokens.slice(-maximumTokens).map(describeToken),
      more: Math.max(0, tokens.length - maximumTokens),
    }
  }
}

function readFixed({ socket, presenter, thumbprint, openedAt }: Connection, id: number): Fixed {
  const x509 = presenter?.certificate.x509 ?? socket.getPeerX509Certificate()
  return {
    id,
    opened: new Date(performance.timeOrigin + openedAt).toISOString(),
    peer: `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? ''}`,
    tls: socket.getProtocol(),
    http: socket.alpnProtocol === 'h2' ? 'HTTP/2' : 'HTTP/1.1',
    subject: readable(x509 && describeSubject(x509)),
    certificate: thumbprint,
    bindings: presenter?.bindings ?? readChannelBindings(socket),
  }
}

/** Describes a token by its id, never by its text. */
function describeToken({ token: { claims, binding } }: VerifiedToken): object {
  const { jti, client_id, sub, scope, exp, cnf } = claims
  const named = { jti: readable(jti), client: readable(client_id), sub: readable(sub), scope: readable(scope) }
  return { ...named, binding, expires: exp, certificate: cnf['x5t#S256'], exporter: cnf['tls-exporter#S256'] }
}
