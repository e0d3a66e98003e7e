// The floor over a plain HTTPS server, which shows the cost of offering HTTP/2 to HTTP/1.1 clients.
import { createHttpsApp, listen } from './fastify.ts'
import { addFloorRoutes } from './floor-routes.ts'
import { serveTarget } from './target.ts'

serveTarget(pki => {
  const app = createHttpsApp(pki)
  addFloorRoutes(app)
  return listen(app)
})
