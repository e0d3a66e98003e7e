// The floor over a plain HTTPS server: tells what offering HTTP/2 costs those who do not speak it.
import { createHttpsApp, listen } from './fastify.ts'
import { addFloorRoutes } from './floor-routes.ts'
import { serveTarget } from './target.ts'

serveTarget(pki => {
  const app = createHttpsApp(pki)
  addFloorRoutes(app)
  return listen(app)
})
