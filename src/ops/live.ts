// GET /: the live page and its modules, for everybody on this machine, since they contain no data. GET /live: what happens in
// this server, one JSON object in each line. POST /live/thefts: plays the thefts of the demo against this server. Both require
// the ops token, in a header, which no page of another origin has.
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { logError } from '../core/guard.ts'
import { pageHeaders, readPageFile, sendPage, servePageFiles } from '../server/pages/page-files.ts'
import { createFeed } from './live-feed.ts'
import type { OpsParts } from './parts.ts'
import { OpsRefusal } from './refusals.ts'

/** A server has few operators. */
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
    if (feed.watchers() >= maximumWatchers) throw new OpsRefusal(429, [`${maximumWatchers} pages watch already`])
    return sendLines(reply, feed.watch())
  })

  const { playThefts, log } = parts
  let playing = false
  app.post('/live/thefts', (_request, reply) => {
    if (playThefts === undefined)
      throw new OpsRefusal(409, ['the keys of the thieves are those of the demo: use tlsbound lab'])
    if (playing) throw new OpsRefusal(409, ['the thefts are being played already'])
    const plays = Readable.from(tellPlays(playThefts(), error => logError(log, error, 'the thefts ended early')))
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

/** Milliseconds that all thefts together may take. */
const patience = 30_000

async function* tellPlays(plays: AsyncIterable<object>, onError: (error: unknown) => void): AsyncGenerator<string> {
  const end = performance.now() + patience
  try {
    for await (const play of plays) {
      yield `${JSON.stringify(play)}\n`
      if (performance.now() > end) throw new Error(`it took more than ${patience / 1000} s`)
    }
  } catch (error) {
    onError(error)
    yield `${JSON.stringify({ error: 'The play ended early; the log of the server says why.' })}\n`
  }
}
