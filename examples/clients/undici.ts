// A client with undici: four calls at once with a token of level certificate, then with one of level connection.
// Run it beside `npm start`: npx node examples/clients/undici.ts
import { readFileSync } from 'node:fs'
import { Agent, type Dispatcher, interceptors } from 'undici'

const origin = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const connect = { cert: pem('alice.crt'), key: pem('alice.key'), ca: pem('ca.crt') }

const pool = new Agent({ connect })
// One connection, for the token request and every call. On a new connection, request a new token.
const pinned = new Agent({ connect, connections: 1, pipelining: 1, keepAliveTimeout: 60_000 })

async function callApi(agent: Agent, token_binding: string): Promise<number[]> {
  const dispatcher: Dispatcher = agent.compose(interceptors.responseError()) // a refusal is an exception
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'alice', token_binding })
  const issued = await dispatcher.request({
    ...{ origin, path: '/oauth/token', method: 'POST', body: form.toString() },
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  const { access_token } = (await issued.body.json()) as { access_token: string }
  const call = async () => {
    const headers = { authorization: `Bearer ${access_token}` }
    const answer = await dispatcher.request({ origin, path: '/api/notes', method: 'GET', headers })
    await answer.body.dump()
    return answer.statusCode
  }
  return Promise.all([call(), call(), call(), call()])
}

console.log('level certificate, a pool:', ...(await callApi(pool, 'certificate')))
console.log('level connection, one connection:', ...(await callApi(pinned, 'connection')))
await Promise.all([pool.close(), pinned.close()])
