// A signature is made for one request: method, address, query and token.
import type { Scenario } from '../scenario.ts'
import { note, presentSigned, requireSignedResource, signCall, withFields } from '../signature.ts'

export const scenario: Scenario = {
  id: 'retargeted-signature',
  sentence: 'A signature is sent with another request than the one that it was made for.',
  stolen: 'a signed request that was not sent, and use of the connection',
  thief: 'the connection, but not the key',
  control: 'signed requests, unchanged',
  expected: 'refused',
  demandedBy: ['RFC 9421 §2.2, §7.2.1, §7.5.6'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy:
    'Require that the signature covers @method, @target-uri and authorization, and derive them from the request itself',
  run(stage) {
    const { pathname, search } = requireSignedResource(stage)
    const path = pathname + search
    const query = `${path}${search === '' ? '?' : '&'}a=b`
    return presentSigned(stage, {
      'a GET as HEAD': client => ({ ...signCall(stage, client), method: 'HEAD' }),
      'a HEAD as GET': client => ({ ...signCall(stage, client, { method: 'HEAD' }), method: 'GET' }),
      'a PUT as POST': client => ({ ...signCall(stage, client, { method: 'PUT', body: note }), method: 'POST' }),
      'the request of another path': client => ({ ...signCall(stage, client, { path: `${pathname}/other` }), path }),
      'a query parameter added': client => ({ ...signCall(stage, client), path: query }),
      'a query parameter removed': client => ({ ...signCall(stage, client, { path: query }), path }),
      'the method not covered': client => signCall(stage, client, {}, { uncovered: ['@method'] }),
      'the address not covered': client => signCall(stage, client, {}, { uncovered: ['@target-uri'] }),
      'the media type changed': client =>
        withFields(signCall(stage, client, { body: note }), { 'content-type': 'application/json; charset=utf-8' }),
      'another token of the client': async client =>
        withFields(signCall(stage, client), { authorization: `Bearer ${await stage.tokenFor(client.connection)}` }),
    })
  },
}
