// The demo: certificates that are made where missing, two registered clients, and what to try first.
import { existsSync } from 'node:fs'
import { writeDemoPki } from './pki/demo.ts'
import type { Settings } from './settings.ts'

/** Makes the demo's certificates in `certs/` unless they are there. */
export function ensureDemoPki(): void {
  if (!existsSync('certs/ca.crt')) writeDemoPki('certs')
}

/** The demo's registrations, in the form of `TLSBOUND_CLIENTS_FILE`. */
export const demoRegistrations = ['alice', 'bob'].map(name => ({
  client_id: name,
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: `CN=${name}`,
  scope: 'notes:read notes:write',
  grant_types: ['client_credentials'],
  token_bindings: ['connection', 'certificate', 'proof'],
}))

/** What to paste first. */
export function describeDemo({ port, opsPort, opsTokenFile }: Settings): string {
  const page =
    opsPort === 0 ? '' : `\nWho is connected: http://localhost:${opsPort}, with the ops token of ${opsTokenFile}.`
  return `
tlsbound listens on https://localhost:${port} with DEMO certificates from certs/.${page} Try in another terminal:

  U=https://localhost:${port}
  ALICE="--cacert certs/ca.crt --cert certs/alice.crt --key certs/alice.key"
  BOB="--cacert certs/ca.crt --cert certs/bob.crt --key certs/bob.key"

  # what the server sees of your connection
  curl -s $ALICE $U/binding

  # a token for alice, bound to the connection that it was issued on ...
  TOKEN=$(curl -s $ALICE -d grant_type=client_credentials -d client_id=alice $U/oauth/token | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  # ... is refused on the next one: connection_mismatch
  curl -s $ALICE -H "Authorization: Bearer $TOKEN" $U/api/whoami
  # ... and for bob: certificate_mismatch
  curl -s $BOB -H "Authorization: Bearer $TOKEN" $U/api/whoami

`
}
