// A service that acts for a user: it exchanges the user's token of an identity provider for a token that is bound to its
// own connection (RFC 8693). Run it beside a server that trusts the identity provider, with the user's token in SUBJECT_TOKEN:
// TLSBOUND_CLIENTS_FILE=examples/clients.json TLSBOUND_TRUSTED_ISSUERS_FILE=examples/issuers.json npm start
// npx node --conditions=tlsbound-source examples/client-exchange.ts
import { connect, readIdentityFiles } from 'tlsbound/client'

const origin = 'https://localhost:8443'
const identity = readIdentityFiles({
  certFile: 'certs/alice.crt',
  keyFile: 'certs/alice.key',
  caFile: 'certs/ca.crt',
})

const channel = await connect(origin, identity())

/** POST /oauth/token; the parameters are those of the grant. */
async function requestTokens(parameters: Record<string, string>) {
  const answer = await channel.dispatcher.request({
    path: '/oauth/token',
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ client_id: 'alice', ...parameters }).toString(),
  })
  if (answer.statusCode !== 200) throw new Error(await answer.body.text())
  return (await answer.body.json()) as { access_token: string }
}

const tokens = await requestTokens({
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  subject_token: process.env.SUBJECT_TOKEN ?? '',
})

const headers = { authorization: `Bearer ${tokens.access_token}` }
const answer = await channel.dispatcher.request({ path: '/api/whoami', method: 'GET', headers })
console.log(answer.statusCode, await answer.body.json())
await channel.close()
