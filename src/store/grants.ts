// Grants, their refresh tokens, and opaque access tokens. core/refresh-token.ts has the rotation rule; this file stores its
// data.
import { detailOfReuse, judgeRefresh, type RefreshTokenFacts } from '../core/refresh-token.ts'
import { buildRevocation, type Revocation, reach } from '../core/revocations.ts'
import { keepRevocation } from './revocations.ts'
import type { Grant, GrantCount, KnownRefreshToken, Rebinding, Refresh, RefreshUse, Successor } from './store.ts'
import { ask, type Performer, type Row, type Work } from './work.ts'

const insertToken = 'INSERT INTO refresh_tokens (hash, grant_number) VALUES (?, ?)'
/** The sealed copy is in the row of the successor, where the first use of the successor removes it without another write. */
const insertSuccessor = 'INSERT INTO refresh_tokens (hash, grant_number, sealed) VALUES (?, ?, ?)'

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
const isOlder = (grant: string) => `r.not_before > coalesce(${grant}.rebound, ${grant}.created)
  AND (r.sequence > coalesce(${grant}.issued_after, -1)
       OR r.not_before > coalesce(${grant}.rebound, ${grant}.created) + ${reach})`

/** The columns of a refresh token `t`, of its grant `g`, and whether a revocation applies. */
const columns = `
  g.number, g.id, g.client_id, g.subject, g.scope, g.audience, g.binding, g.certificate, g.rotation, g.created, g.expires,
  g.actor, g.rebound, g.issued_after, t.first_used,
  (SELECT count(*) FROM revocations r
    WHERE (r.kind, r.value) IN (VALUES ('token', t.hash), ('grant', g.id), ('client', g.client_id),
                                       ('certificate', g.certificate), ('all', ''))
      AND (r.kind IN ('token', 'grant') OR ${isOlder('g')})) AS revocations`

const findToken = `SELECT ${columns} FROM refresh_tokens t JOIN grants g ON g.number = t.grant_number WHERE t.hash = ?`

/** A refresh token with its successor too, and the shared time. */
const selectToken = (time: string) => `
  SELECT ${columns}, s.first_used AS successor_used, s.sealed, ${time} AS time
  FROM refresh_tokens t JOIN grants g ON g.number = t.grant_number LEFT JOIN refresh_tokens s ON s.hash = t.successor
  WHERE t.hash = ?`

/** By the clock, since building and hashing a text of this length for each use is slow. */
const selections = new Map<string | undefined, string>([[undefined, selectToken('NULL')]])

function selectTokenBy(clock: string | undefined): string {
  const known = selections.get(clock) ?? selectToken(clock as string)
  selections.set(clock, known)
  return known
}

export function* findRefreshToken(hash: string): Work<KnownRefreshToken | undefined> {
  const [row] = yield* ask(findToken, hash)
  if (row === undefined) return undefined
  const grant = readGrant(row)
  if (isRevoked(row)) return { grant, state: 'revoked' }
  if (row.first_used !== null) return { grant, state: 'used' }
  return { grant, state: grant.rotation === 'static' ? 'static' : 'unused' }
}

export function* rotateRefreshToken(
  hash: string,
  successor: Successor,
  { now, arrived, bindTo, revokesReused }: RefreshUse & { readonly now: number; readonly arrived: number },
  { lockRefresh, clock }: Pick<Performer, 'lockRefresh' | 'clock'>,
): Work<Refresh> {
  if (lockRefresh !== undefined) yield* ask(lockRefresh, hash)
  const [row] = yield* ask(selectTokenBy(clock), hash) // after the lock, so that no recorded use is later than this time
  if (row === undefined) return { outcome: 'unknown' }
  const grant = readGrant(row)
  // Uses are recorded by the shared clock, and evaluated relative to this server's clock.
  const time = (row.time as number | null) ?? now
  const ahead = clock === undefined ? 0 : time - (performance.now() - arrived) - now
  const facts = readFacts(row, ahead)
  const outcome = judgeRefresh(facts, now)
  if (outcome === 'revoked' || outcome === 'expired') return { outcome, grant }
  if (outcome === 'reused') {
    if (revokesReused === true) yield* keepRevocation(buildRevocation('grant', grant.id, Math.ceil(now / 1000)))
    const sinceFirstUse = Math.max(0, now - (facts.used?.first ?? now))
    return { outcome, grant, sinceFirstUse, detail: detailOfReuse(facts) }
  }
  if (outcome === 'rotated') {
    yield* ask(insertSuccessor, successor.hash, row.number as number, successor.sealed)
    yield* ask(
      'UPDATE refresh_tokens SET first_used = ?, successor = ?, sealed = NULL WHERE hash = ?',
      time,
      successor.hash,
      hash,
    )
  }
  const used = yield* rebind(grant, row.number as number, bindTo)
  return outcome === 'retried' ? { outcome, ...used, sealed: row.sealed as string } : { outcome, ...used }
}

/** Binds a grant to the certificate, if it is another one. */
function* rebind(
  grant: Grant,
  number: number,
  to: Rebinding | undefined,
): Work<{ readonly grant: Grant; readonly boundBefore?: string }> {
  if (to === undefined || to.certificate === grant.certificate) return { grant }
  const { certificate, at: rebound, issuedAfter } = to
  yield* ask(
    'UPDATE grants SET certificate = ?, rebound = ?, issued_after = ? WHERE number = ?',
    certificate,
    rebound,
    issuedAfter ?? null,
    number,
  )
  const { issuedAfter: _, ...rest } = grant
  const bound = { ...rest, certificate, rebound, ...(issuedAfter !== undefined && { issuedAfter }) }
  return { grant: bound, boundBefore: grant.certificate }
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
  const { actor, rebound, issued_after: issuedAfter } = row
  return {
    ...{ id, clientId: client_id, subject, scope, audience, binding, certificate, rotation, created, expires },
    ...(actor !== null && { actor }),
    ...(rebound !== null && { rebound }),
    ...(issuedAfter !== null && { issuedAfter }),
  } as unknown as Grant
}

function isRevoked({ revocations }: Row): boolean {
  return (revocations as number) > 0
}

/** `ahead`: milliseconds by which the clock that records uses is ahead of the one that evaluates the token. */
function readFacts(row: Row, ahead = 0): RefreshTokenFacts {
  const { first_used: first, successor_used: successorUsed, sealed } = row
  const unused = sealed === null ? 'gone' : 'sealed'
  return {
    rotation: row.rotation as Grant['rotation'],
    expires: row.expires as number,
    revoked: isRevoked(row),
    used:
      first === null
        ? undefined
        : { first: (first as number) - ahead, successor: successorUsed === null ? unused : 'used' },
  }
}
