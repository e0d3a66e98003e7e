// GET /: the live page and its modules, without a token, since they contain no data. GET /live: the activity of this
// server, as JSON lines. POST /live/thefts: runs the demo's thefts against this server. Both require the ops token in a
// header, which no page of another origin has.
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { logError } from '../core/guard.ts'
import { pageHeaders, readPageFile, sendPage, servePageFiles } from '../server/pages/page-files.ts'
import { createFeed } from './live-feed.ts'
import type { OpsParts } from './parts.ts'
import { OpsRefusal } from './refusals.ts'

/** Maximum number of watchers: a server has few operators. */
const maximumWatchers = 8

const modules = [
  ...['main', 'stream', 'status', 'connections', 'card', 'refusals', 'entries', 'filter', 'thefts', 'announce'],
  ...['element', 'glyph'],
]

export function liveRoutes(app: FastifyInstance, parts: OpsParts): void {
  const config = { openOnLoopback: true }
  const page = readPageFile('index.html')
  app.get('/', { config }, (_request, reply) => sendPage(reply, 'html', page))
  servePageFiles(app, ['style.css', 'icon.svg', ...modules.map(name => `${name}.js`)], config)

  const feed = createFeed(parts)
  app.addHook('preClose', async () => feed.close())
  app.get('/live', { exposeHeadRoute: false }, (_request, reply) => {
    if (feed.watchers() >= maximumWatchers)
      throw new OpsRefusal(429, [`${maximumWatchers} pages are connected already`])
    return sendLines(reply, feed.watch())
  })

  const { playThefts, log } = parts
  let playing = false
  app.post('/live/thefts', (_request, reply) => {
    if (playThefts === undefined) throw new OpsRefusal(409, ['only the demo has keys of the thieves: use tlsbound lab'])
    if (playing) throw new OpsRefusal(409, ['the thefts are running already'])
    const plays = Readable.from(writePlays(playThefts(), error => logError(log, error, 'the thefts ended early')))
    playing = true
    plays.once('close', () => {
      playing = false
    })
    return sendLines(reply, plays)
  })
}

function sendLines(reply: FastifyReply, lines: Readable): FastifyReply {
  return reply.headers(pageHeaders).type('application/x-ndjson').send(lines)
}

/** Milliseconds after which the thefts time out. */
const timeout = 30_000

async function* writePlays(plays: AsyncIterable<object>, onError: (error: unknown) => void): AsyncGenerator<string> {
  const end = performance.now() + timeout
  try {
    for await (const play of plays) {
      yield `${JSON.stringify(play)}\n`
      if (performance.now() > end) throw new Error(`timed out after ${timeout / 1000} s`)
    }
  } catch (error) {
    onError(error)
    yield `${JSON.stringify({ error: 'The thefts ended early; see the server log.' })}\n`
  }
}
