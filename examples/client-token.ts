// A client that requests a token itself, and uses it on the connection on which it was issued.
// Run it beside `npm start`: npx node --conditions=tlsbound-source examples/client-token.ts
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

const tokens = await requestTokens({ grant_type: 'client_credentials' })

const headers = { authorization: `Bearer ${tokens.access_token}` }
const answer = await channel.dispatcher.request({ path: '/api/whoami', method: 'GET', headers })
console.log(answer.statusCode, await answer.body.json())
await channel.close()
