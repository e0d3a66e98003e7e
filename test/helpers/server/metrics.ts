// Fetches the metrics of a server, and parses the Prometheus text format.
import type { TestServer } from '../../../src/testing/server.ts'
import { callOps } from './ops.ts'

/** The value of each series, by its name with its labels. */
export type Scrape = ReadonlyMap<string, number>

/** Scrapes as Prometheus does: without a token. */
export async function scrape(server: Pick<TestServer, 'ops'>): Promise<Scrape> {
  const { status, text } = await callOps(server, 'GET', '/metrics', { headers: { authorization: undefined } })
  if (status !== 200) throw new Error(`no metrics: ${status} ${text}`)
  return readMetrics(text)
}

export function readMetrics(text: string): Scrape {
  const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map(line => {
      const space = line.lastIndexOf(' ')
      return [line.slice(0, space), Number(line.slice(space + 1).replace('Inf', 'Infinity'))]
    }),
  )
}

/** Returns the series that grew between two scrapes, with this prefix, without histograms. */
export function growth(before: Scrape, after: Scrape, name = 'tlsbound_'): Record<string, number> {
  const grown = [...after]
    .filter(([series]) => series.startsWith(name) && !series.startsWith('tlsbound_store_duration'))
    .map(([series, value]): [string, number] => [series, value - (before.get(series) ?? 0)])
  return Object.fromEntries(grown.filter(([, value]) => value !== 0))
}
