// GET /: the live page of this server, with its modules. Anybody on this machine may load it, since nothing is on it; what
// it shows comes from /live, which asks for the ops token.
import type { FastifyInstance } from 'fastify'
import { readPageFile, sendPage, servePageFiles } from '../server/pages/page-files.ts'

const modules = ['main', 'stream', 'connections', 'card', 'refusals', 'thefts', 'announce', 'element', 'glyph']

export function pageRoutes(app: FastifyInstance): void {
  const config = { openOnLoopback: true }
  const page = readPageFile('index.html')
  app.get('/', { config }, (_request, reply) => sendPage(reply, 'html', page))
  servePageFiles(app, ['style.css', 'icon.svg', ...modules.map(name => `${name}.js`)], config)
}
