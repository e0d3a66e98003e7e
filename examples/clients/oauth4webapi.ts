// A client with oauth4webapi: four calls at once with a token of level certificate, then with one of level connection.
// Run it beside `npm start`: npx node examples/clients/oauth4webapi.ts
import { readFileSync } from 'node:fs'
import * as oauth from 'oauth4webapi'
import { Agent, setGlobalDispatcher } from 'undici'

const origin = new URL('https://localhost:8443')
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const connect = { cert: pem('alice.crt'), key: pem('alice.key'), ca: pem('ca.crt') }

const pool = new Agent({ connect })
// One connection, for the token request and every call. On a new connection, request a new token.
const pinned = new Agent({ connect, connections: 1, pipelining: 1, keepAliveTimeout: 60_000 })

async function callApi(token_binding: string): Promise<number[]> {
  const found = await oauth.discoveryRequest(origin, { algorithm: 'oauth2' })
  const server = await oauth.processDiscoveryResponse(origin, found)
  const client = { client_id: 'alice' }
  const authentication = oauth.TlsClientAuth()
  const issued = await oauth.clientCredentialsGrantRequest(server, client, authentication, { token_binding })
  const { access_token } = await oauth.processClientCredentialsResponse(server, client, issued)
  const call = async () => {
    const answer = await oauth.protectedResourceRequest(access_token, 'GET', new URL('/api/notes', origin))
    await answer.arrayBuffer() // the whole answer, so that the connection can carry another request
    return answer.status
  }
  return Promise.all([call(), call(), call(), call()])
}

// The library calls fetch, whose connections are those of the global dispatcher.
setGlobalDispatcher(pool)
console.log('level certificate, a pool:', ...(await callApi('certificate')))
setGlobalDispatcher(pinned)
console.log('level connection, one connection:', ...(await callApi('connection')))
await Promise.all([pool.close(), pinned.close()])
