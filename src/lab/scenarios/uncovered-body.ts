// A digest that no signature covers can be replaced with the body.
import { hash } from 'node:crypto'
import { buildContentDigest } from '../../core/content-digest.ts'
import type { Scenario } from '../scenario.ts'
import { note, presentSigned, signCall, withFields } from '../signature.ts'

const other = note.replace('signed', 'forged')
const md5 = `md5=:${hash('md5', other, 'base64')}:`

export const scenario: Scenario = {
  id: 'uncovered-body',
  sentence: 'A request is sent whose signature does not cover the digest of its body.',
  stolen: 'a request that was signed without its body, and use of the connection',
  thief: 'the connection, but not the key',
  control: 'signed requests whose signatures cover the digest',
  expected: 'refused',
  demandedBy: ['RFC 9421 §7.2.1, §7.2.8', 'RFC 9530 §5'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Require that the signature of a request with a body covers content-digest, with sha-256 or sha-512',
  run: stage =>
    presentSigned(stage, {
      'a digest that is not covered': client =>
        signCall(stage, client, { body: note }, { uncovered: ['content-digest'] }),
      'another body with its digest, not covered': client => ({
        ...withFields(signCall(stage, client, { body: note }, { uncovered: ['content-digest'] }), {
          'content-digest': buildContentDigest(other),
        }),
        body: other,
      }),
      'a body under the signature of a GET': client => ({ ...signCall(stage, client), body: note }),
      'no digest': client => signCall(stage, client, { body: note }, { fields: { 'content-digest': undefined } }),
      'a digest of an algorithm that is broken': client =>
        signCall(stage, client, { body: other }, { fields: { 'content-digest': md5 } }),
    }),
}
