// Issuer and API in one process: a token is bound to the connection that it was issued on, and works on the API's routes there.
// Run it in a folder with the certificates of the demo: npx node --conditions=tlsbound-source examples/own-api.ts
import { generateTokenKey, startServer } from 'tlsbound/server'

const { origin, close } = await startServer({
  settings: {
    port: 8444,
    opsPort: 0, // no ops listener
    tlsCertFile: 'certs/server.crt',
    tlsKeyFile: 'certs/server.key',
    tlsClientCaFile: 'certs/ca.crt',
    clientsFile: 'examples/clients.json',
    stateUrl: 'sqlite:data/own-api.db',
  },
  keys: [await generateTokenKey('ES256')], // a connection-bound token ends with this process anyway
  // Every route here requires a token. This one requires its connection, and no weaker level.
  routes(app) {
    app.get('/notes', { config: { requireToken: { scope: 'notes:read', binding: 'connection' } } }, async request => {
      return `notes of ${request.token.claims.client_id}\n`
    })
  },
})
console.log(`issuer and API: ${origin}`)
process.once('SIGINT', close).once('SIGTERM', close)
