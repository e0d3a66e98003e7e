// A request without a signature must be refused where signed requests are required, whatever stands in the place of one.
import type { Scenario } from '../scenario.ts'
import { note, presentSigned, signCall, withFields } from '../signature.ts'

export const scenario: Scenario = {
  id: 'unsigned-request',
  sentence: 'A request is sent without a signature, or with parts of one, to a resource that requires signed requests.',
  stolen: 'the token, and use of the connection',
  thief: 'the connection, but not the key',
  control: 'the same requests, signed',
  expected: 'refused',
  demandedBy: ['RFC 9421 §3.2, §5.1'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Refuse a request without exactly one signature of the required kind, before it is routed',
  run: stage =>
    presentSigned(stage, {
      'no signature': client => without(signCall(stage, client)),
      'no signature, with a body': client => without(signCall(stage, client, { body: note })),
      'no Signature': client => withFields(signCall(stage, client), { signature: undefined }),
      'no Signature-Input': client => withFields(signCall(stage, client), { 'signature-input': undefined }),
      'an empty signature': client => withFields(signCall(stage, client), { signature: 'sig=::' }),
      'a signature under another label': client => {
        const call = signCall(stage, client)
        return withFields(call, { signature: String(call.headers?.signature).replace('sig=', 'other=') })
      },
      'a signature for another purpose': client => signCall(stage, client, {}, { parameters: { tag: 'other' } }),
    }),
}

function without(call: ReturnType<typeof signCall>): ReturnType<typeof signCall> {
  return withFields(call, { signature: undefined, 'signature-input': undefined, 'tls-channel-binding': undefined })
}
