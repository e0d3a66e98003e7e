// An Express app behind the gateway: it accepts only requests with an assertion that the gateway has signed for it.
import { readFileSync } from 'node:fs'
import { get } from 'node:https'
import express from 'express'
import { createLocalJWKSet, jwtVerify } from 'jose'

const { ISSUER = 'https://localhost:8443', UPSTREAM = 'http://127.0.0.1:9002', CA = 'certs/ca.crt' } = process.env

/** The keys of the server, or of the gateway alone. They are fetched again when a kid is unknown. */
async function fetchKeys() {
  const [answer] = await new Promise<AsyncIterable<Buffer>[]>((resolve, reject) =>
    get(`${ISSUER}/oauth/jwks`, { ca: readFileSync(CA), timeout: 5000 }, (...answer) => resolve(answer)).on(
      'error',
      reject,
    ),
  )
  const chunks: Buffer[] = []
  for await (const chunk of answer ?? []) chunks.push(chunk)
  return createLocalJWKSet(JSON.parse(Buffer.concat(chunks).toString()))
}

let keys = fetchKeys()
const rules = { issuer: ISSUER, audience: UPSTREAM, typ: 'tlsbound-assertion+jwt' }
const verify = async (assertion: string) =>
  jwtVerify(assertion, await keys, rules).catch(async error => {
    if (error.code !== 'ERR_JWKS_NO_MATCHING_KEY') throw error
    keys = fetchKeys()
    return jwtVerify(assertion, await keys, rules)
  })

const app = express()
app.use((request, response, next) => {
  verify(request.get('tlsbound-assertion') ?? '').then(
    ({ payload }) => {
      response.locals.identity = payload
      next()
    },
    () => void response.status(401).end(),
  )
})
app.get('/node/whoami', (_request, response) => {
  const { sub, token_binding } = response.locals.identity
  response.json({ sub, token_binding })
})
app.listen(Number(new URL(UPSTREAM).port), '127.0.0.1')
