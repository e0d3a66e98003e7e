// The floor: bare Fastify with the same TLS over the same kind of server as tlsbound. HTTP/2 offered, HTTP/1.1 used.
import { createHttp2App, listen } from './fastify.ts'
import { addFloorRoutes } from './floor-routes.ts'
import { serveTarget } from './target.ts'

serveTarget(pki => {
  const app = createHttp2App(pki)
  addFloorRoutes(app)
  return listen(app)
})
