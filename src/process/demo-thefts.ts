// The demo thefts of the live page. The thieves' keys are in certs/; they attack this server over loopback.
import { readFileSync } from 'node:fs'
import type { Identity } from '../lab/cast.ts'
import { type Play, playThefts } from '../lab/thefts.ts'
import type { Settings } from '../settings/settings.ts'

/** Milliseconds for which each theft is shown, so that a viewer can read it and find its connection. */
const pause = 1500

/** Creates the player for the server of these settings. Each play loads the keys again. */
export function demoThefts({ host, port }: Pick<Settings, 'host' | 'port'>): () => AsyncIterable<Play> {
  const loopback: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
  return () => {
    const [alice, bob, mallory, stranger] = [read('alice'), read('bob'), read('mallory'), read('stranger')]
    const ca = readFileSync('certs/ca.crt', 'utf8')
    return playThefts({ host: loopback[host] ?? host, port, cast: { alice, bob, mallory, stranger, ca }, pause })
  }
}

function read(name: string): Identity {
  const file = (end: string) => readFileSync(`certs/${name}.${end}`, 'utf8')
  return { certificate: file('crt'), key: file('key'), clientId: name }
}
