// A client with axios: four calls at once with a token of level certificate, then with one of level connection.
// Run it beside `npm start`: npx node examples/clients/axios.ts
import { readFileSync } from 'node:fs'
import { Agent } from 'node:https'
import axios from 'axios'

const baseURL = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const identity = { cert: pem('alice.crt'), key: pem('alice.key'), ca: pem('ca.crt') }

const pool = new Agent({ ...identity, keepAlive: true })
// One connection, for the token request and every call. On a new connection, request a new token.
const pinned = new Agent({ ...identity, keepAlive: true, maxSockets: 1 })

async function callApi(httpsAgent: Agent, token_binding: string): Promise<number[]> {
  const http = axios.create({ baseURL, httpsAgent })
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'alice', token_binding })
  const issued = await http.post<{ access_token: string }>('/oauth/token', form)
  const headers = { authorization: `Bearer ${issued.data.access_token}` }
  const call = async () => (await http.get('/api/notes', { headers })).status
  return Promise.all([call(), call(), call(), call()])
}

console.log('level certificate, a pool:', ...(await callApi(pool, 'certificate')))
console.log('level connection, one connection:', ...(await callApi(pinned, 'connection')))
pool.destroy()
pinned.destroy()
