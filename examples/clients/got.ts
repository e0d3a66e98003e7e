// A client with got: four calls at once with a token of level certificate, then with one of level connection.
// Run it beside `npm start`: npx node examples/clients/got.ts
import { readFileSync } from 'node:fs'
import { Agent } from 'node:https'
import got from 'got'

const origin = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const identity = { certificate: pem('alice.crt'), key: pem('alice.key'), certificateAuthority: pem('ca.crt') }

const pool = new Agent({ keepAlive: true })
// One connection, for the token request and every call. On a new connection, request a new token.
const pinned = new Agent({ keepAlive: true, maxSockets: 1 })

async function callApi(agent: Agent, token_binding: string): Promise<number[]> {
  const http = got.extend({ https: identity, agent: { https: agent } })
  const form = { grant_type: 'client_credentials', client_id: 'alice', token_binding }
  const { access_token } = await http.post(`${origin}/oauth/token`, { form }).json<{ access_token: string }>()
  const headers = { authorization: `Bearer ${access_token}` }
  const call = async () => (await http.get(`${origin}/api/notes`, { headers })).statusCode
  return Promise.all([call(), call(), call(), call()])
}

console.log('level certificate, a pool:', ...(await callApi(pool, 'certificate')))
console.log('level connection, one connection:', ...(await callApi(pinned, 'connection')))
pool.destroy()
pinned.destroy()
