// Grants, their refresh tokens, and opaque access tokens. core/refresh-token.ts has the rotation rule; this file stores its
// data.
import { judgeRefresh, type RefreshTokenFacts } from '../core/refresh-token.ts'
import { buildRevocation, type Revocation, reach } from '../core/revocations.ts'
import { keepRevocation } from './revocations.ts'
import type { Grant, GrantCount, KnownRefreshToken, Refresh } from './store.ts'
import { ask, type Performer, type Row, type Work } from './work.ts'

const insertToken = 'INSERT INTO refresh_tokens (hash, grant_number) VALUES (?, ?)'

export function* createGrant(grant: Grant, refreshTokenHash: string): Work<void> {
  const [row] = yield* ask(
    `INSERT INTO grants (id, client_id, subject, scope, audience, binding, certificate, rotation, created, expires, actor,
       issued_after)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number`,
    grant.id,
    grant.clientId,
    grant.subject,
    grant.scope,
    grant.audience,
    grant.binding,
    grant.certificate,
    grant.rotation,
    grant.created,
    grant.expires,
    grant.actor ?? null,
    grant.issuedAfter ?? null,
  )
  yield* ask(insertToken, refreshTokenHash, row?.number as number)
}

/** Whether a grant is older than the mark of a revocation `r`, like for access tokens (core/revocations.ts). */
const isOlder = (grant: string) => `r.not_before > ${grant}.created
  AND (r.sequence > coalesce(${grant}.issued_after, -1) OR r.not_before > ${grant}.created + ${reach})`

/** A refresh token with its grant, the use of its successor, whether a revocation applies, and the shared time. */
const selectToken = (time = 'NULL') => `
  SELECT g.number, g.id, g.client_id, g.subject, g.scope, g.audience, g.binding, g.certificate, g.rotation, g.created, g.expires,
    g.actor, g.issued_after, t.first_used, t.last_used, t.successor, t.superseded, s.first_used AS successor_used, ${time} AS time,
    (SELECT count(*) FROM revocations r
      WHERE (r.kind, r.value) IN (VALUES ('token', t.hash), ('grant', g.id), ('client', g.client_id),
                                         ('certificate', g.certificate), ('all', ''))
        AND (r.kind IN ('token', 'grant') OR ${isOlder('g')})) AS revocations
  FROM refresh_tokens t JOIN grants g ON g.number = t.grant_number LEFT JOIN refresh_tokens s ON s.hash = t.successor
  WHERE t.hash = ?`

export function* findRefreshToken(hash: string): Work<KnownRefreshToken | undefined> {
  const [row] = yield* ask(selectToken(), hash)
  if (row === undefined) return undefined
  const grant = readGrant(row)
  const { revoked, superseded, used } = readFacts(row)
  if (revoked) return { grant, state: 'revoked' }
  if (superseded) return { grant, state: 'superseded' }
  if (used !== undefined) return { grant, state: 'used' }
  return { grant, state: grant.rotation === 'static' ? 'static' : 'unused' }
}

export function* rotateRefreshToken(
  hash: string,
  successorHash: string,
  { now, arrived }: { readonly now: number; readonly arrived: number },
  { lockRefresh, clock }: Pick<Performer, 'lockRefresh' | 'clock'>,
): Work<Refresh> {
  if (lockRefresh !== undefined) yield* ask(lockRefresh, hash)
  const [row] = yield* ask(selectToken(clock), hash) // after the lock, so that no recorded use is later than this time
  if (row === undefined) return { outcome: 'unknown' }
  const grant = readGrant(row)
  // Uses are recorded by the shared clock, and evaluated relative to this server's clock.
  const time = (row.time as number | null) ?? now
  const ahead = clock === undefined ? 0 : time - (performance.now() - arrived) - now
  const facts = readFacts(row, ahead)
  const outcome = judgeRefresh(facts, now)
  const sinceFirstUse = facts.used && { sinceFirstUse: Math.max(0, now - facts.used.first) }
  if (outcome === 'rotated' || outcome === 'retried') {
    if (row.successor !== null)
      yield* ask('UPDATE refresh_tokens SET superseded = 1 WHERE hash = ?', row.successor as string)
    yield* ask(insertToken, successorHash, row.number as number)
    yield* ask(
      'UPDATE refresh_tokens SET first_used = coalesce(first_used, ?), last_used = ?, successor = ? WHERE hash = ?',
      time,
      time,
      successorHash,
      hash,
    )
  }
  if (outcome === 'reused') {
    yield* keepRevocation(buildRevocation('grant', grant.id, Math.ceil(now / 1000)))
    return { outcome, grant, ...sinceFirstUse, answerLost: !facts.superseded && !facts.successorUsed }
  }
  return { outcome, grant, ...(outcome === 'raced' && sinceFirstUse) }
}

const ofTarget: Readonly<Record<Revocation['kind'], string | undefined>> = {
  token: undefined,
  grant: 'g.id = ?',
  client: 'g.client_id = ?',
  certificate: 'g.certificate = ?',
  all: "'' = ?",
}

export function* countGrants(
  { kind, value }: Pick<Revocation, 'kind' | 'value'>,
  now: number,
  limit: number,
): Work<GrantCount> {
  const condition = ofTarget[kind]
  if (condition === undefined) return { stored: 0, valid: 0 }
  const [row] = yield* ask(
    `SELECT count(*) AS stored, count(v.valid) AS valid FROM (
       SELECT CASE WHEN g.expires > ? AND NOT EXISTS (SELECT 1 FROM revocations r
         WHERE (r.kind, r.value) IN (VALUES ('grant', g.id), ('client', g.client_id), ('certificate', g.certificate), ('all', ''))
           AND (r.kind = 'grant' OR ${isOlder('g')})) THEN 1 END AS valid
       FROM grants g WHERE ${condition} ORDER BY g.expires DESC LIMIT ?) v`,
    now,
    kind === 'all' ? '' : value,
    limit,
  )
  return { stored: row?.stored as number, valid: row?.valid as number }
}

export function* keepAccessToken(hash: string, claims: string, expires: number): Work<void> {
  yield* ask('INSERT INTO access_tokens (hash, claims, expires) VALUES (?, ?, ?)', hash, claims, expires)
}

export function* findAccessToken(hash: string): Work<string | undefined> {
  const [row] = yield* ask('SELECT claims FROM access_tokens WHERE hash = ?', hash)
  return row?.claims as string | undefined
}

function readGrant(row: Row): Grant {
  const { id, client_id, subject, scope, audience, binding, certificate, rotation, created, expires } = row
  const { actor, issued_after: issuedAfter } = row
  return {
    ...{ id, clientId: client_id, subject, scope, audience, binding, certificate, rotation, created, expires },
    ...(actor !== null && { actor }),
    ...(issuedAfter !== null && { issuedAfter }),
  } as unknown as Grant
}

/** `ahead`: milliseconds by which the clock that records uses is ahead of the one that evaluates the token. */
function readFacts(row: Row, ahead = 0): RefreshTokenFacts {
  const { first_used: first, last_used: latest } = row as { first_used: number | null; last_used: number }
  return {
    rotation: row.rotation as Grant['rotation'],
    expires: row.expires as number,
    revoked: (row.revocations as number) > 0,
    used: first === null ? undefined : { first: first - ahead, latest: latest - ahead },
    superseded: row.superseded === 1,
    successorUsed: row.successor_used !== null,
  }
}
