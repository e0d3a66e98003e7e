// Requests under way behind a proxy are verified again one check after the other, and not beside a check that waits for the issuer.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { OAuthError } from '../../src/core/errors.ts'
import type { Connection } from '../../src/tls/connection.ts'
import { keepRecheck, trackForwardedRequests } from '../../src/tls/forwarded-requests.ts'
import { until } from '../helpers/until.ts'

t.test('a check that waits is not repeated meanwhile', async t => {
  const ended: string[] = []
  const track = trackForwardedRequests({
    onEnd: (_connection, reason) => void ended.push(reason),
    onError: error => t.fail(error.message),
  })
  const pending: { resolve: () => void; reject: (error: Error) => void }[] = []
  let others = 0
  const start = (recheck: (mayWait: boolean) => void | Promise<void>) => {
    const request = {} as IncomingMessage
    const response = new PassThrough()
    keepRecheck(request, recheck)
    track({} as Connection, request, response as unknown as ServerResponse)
    return response
  }
  const wait = () => new Promise<void>((resolve, reject) => void pending.push({ resolve, reject }))
  const slow = start(mayWait => (mayWait ? wait() : undefined))
  const other = start(() => void others++)
  await until(() => others === 3)
  t.equal(pending.length, 1, 'others are verified meanwhile')
  pending[0]?.resolve()
  await until(() => pending.length === 2)
  t.notOk(slow.destroyed)
  pending[1]?.reject(new OAuthError('temporarily_unavailable', 'issuer_unavailable', 'unreachable'))
  await until(() => pending.length === 3)
  t.notOk(slow.destroyed, 'it goes on')
  pending[2]?.reject(new OAuthError('invalid_token', 'revoked', 'token'))
  await until(() => slow.destroyed)
  t.same(ended, ['revoked'])
  other.destroy()
})

t.test('a client that may no longer act loses its request although an earlier check waits', async t => {
  const ended: string[] = []
  const track = trackForwardedRequests({
    onEnd: (_connection, reason) => void ended.push(reason),
    onError: error => t.fail(error.message),
  })
  const revoked = new OAuthError('invalid_token', 'revoked', 'token')
  const pending: ((error: Error) => void)[] = []
  const start = (connection: object, isRevoked = () => false) => {
    const request = {} as IncomingMessage
    const response = new PassThrough()
    keepRecheck(request, mayWait => {
      if (isRevoked()) throw revoked
      return mayWait ? new Promise((_resolve, reject) => void pending.push(reject)) : undefined
    })
    track(connection as Connection, request, response as unknown as ServerResponse)
    return response
  }
  const connection: { rejection?: unknown } = {}
  let isRevoked = false
  const ofCertificate = start(connection)
  const ofToken = start({}, () => isRevoked)
  const control = start({})
  await until(() => pending.length === 3)
  connection.rejection = ['certificate_revoked', 'listed', {}]
  await until(() => ofCertificate.destroyed)
  isRevoked = true
  await until(() => ofToken.destroyed)
  t.same(ended, ['certificate_revoked', 'revoked'])
  t.notOk(control.destroyed)
  for (const reject of pending) reject(revoked)
  await until(() => control.destroyed)
  t.same(ended, ['certificate_revoked', 'revoked', 'revoked'], 'each once')
})
