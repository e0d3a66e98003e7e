// A client that uses its refresh token to get a token for each new connection. The refresh token is bound to the client: it also works
// with a renewed certificate.
// Run it beside `TLSBOUND_CLIENTS_FILE=examples/clients.json npm start`, where alice is registered for refresh tokens:
// npx node --conditions=tlsbound-source examples/client-refresh.ts
import { connect, readIdentityFiles } from 'tlsbound/client'

const origin = 'https://localhost:8443'
const identity = readIdentityFiles({
  certFile: 'certs/alice.crt',
  keyFile: 'certs/alice.key',
  caFile: 'certs/ca.crt',
})

let channel = await connect(origin, identity())

/** POST /oauth/token; the parameters are those of the grant. */
async function requestTokens(parameters: Record<string, string>) {
  const answer = await channel.dispatcher.request({
    path: '/oauth/token',
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ client_id: 'alice', ...parameters }).toString(),
  })
  if (answer.statusCode !== 200) throw new Error(await answer.body.text())
  return (await answer.body.json()) as { access_token: string; refresh_token: string }
}

const first = await requestTokens({ grant_type: 'client_credentials' })

// The connection ends, and with it the access token. Each refresh token has one successor: store it. If the answer is lost, the same
// token gets the same successor again for a minute.
await channel.close()
channel = await connect(origin, identity())
const tokens = await requestTokens({ grant_type: 'refresh_token', refresh_token: first.refresh_token })

const headers = { authorization: `Bearer ${tokens.access_token}` }
const answer = await channel.dispatcher.request({ path: '/api/whoami', method: 'GET', headers })
console.log(answer.statusCode, await answer.body.json())
await channel.close()
