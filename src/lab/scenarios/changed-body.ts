// A signature covers the digest of the body, so the body itself must be compared with the digest.
import { buildContentDigest } from '../../core/content-digest.ts'
import type { Scenario } from '../scenario.ts'
import { note, presentSigned, signCall, withFields } from '../signature.ts'

const other = note.replace('signed', 'forged')

export const scenario: Scenario = {
  id: 'changed-body',
  sentence: 'The body of a signed request is changed, and its head is not.',
  stolen: 'a signed request that was not sent, and use of the connection',
  thief: 'the connection, but not the key',
  control: 'signed requests with their own bodies',
  expected: 'refused',
  demandedBy: ['RFC 9530 §2, §6.5', 'RFC 9421 §7.2.8'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Compare the body with each digest in Content-Digest before the request is processed',
  run: stage =>
    presentSigned(stage, {
      'another body of the same length': client => ({ ...signCall(stage, client, { body: note }), body: other }),
      'a longer body': client => ({ ...signCall(stage, client, { body: note }), body: `${note} ` }),
      'a shorter body': client => ({ ...signCall(stage, client, { body: `${note} ` }), body: note }),
      'no body': client => ({ ...signCall(stage, client, { body: note }), body: '' }),
      'another body with its digest': client => ({
        ...withFields(signCall(stage, client, { body: note }), { 'content-digest': buildContentDigest(other) }),
        body: other,
      }),
    }),
}
