// Scans sources in sequence for leaked tokens. It judges them at the end, because the key of a certificate may be in
// the last file.
import { redactTokens } from '../core/leak-report.ts'
import { describeProblem } from './files.ts'
import { Finder } from './find.ts'
import { type Judgement, judgeToken } from './judge.ts'
import { type PemCertificate, readPemCertificate, readPemKey } from './pem.ts'
import type { OnProblem, Position, Sighting, Source } from './sighting.ts'

export interface Finding extends Judgement, Position {
  readonly path: string
  readonly object?: string
  readonly commit?: string
  readonly date?: string
}

export interface Scan {
  readonly findings: readonly Finding[]
  /** The distinct tokens with their first places. Disclose them only to their issuer. */
  readonly tokens: ReadonlyMap<string, Finding>
  /** The number of findings that were not stored. */
  readonly dropped: number
  readonly sources: number
}

/** The maximum numbers of stored findings, certificates and keys, which limit memory. */
const maximumKept = 10_000

/** Scans all sources. `now` in seconds since 1970. */
export async function scan(sources: AsyncIterable<Source>, now: number, onProblem: OnProblem): Promise<Scan> {
  const places: { token: string; source: Source; position: Position }[] = []
  const certificates = new Map<string, PemCertificate>()
  const keys = new Set<string>()
  let [dropped, count] = [0, 0]

  function keep({ kind, text, line, column }: Sighting, source: Source): void {
    if (kind === 'pem') keepPem(text)
    else if (places.length < maximumKept) {
      places.push({ token: text, source, position: { line, column } })
      source.onFound?.()
    } else dropped++
  }

  function keepPem(block: string): void {
    const certificate = certificates.size < maximumKept ? readPemCertificate(block) : undefined
    const key = certificate === undefined && keys.size < maximumKept ? readPemKey(block) : undefined
    if (certificate !== undefined) certificates.set(certificate.thumbprint, certificate)
    if (key !== undefined) keys.add(key)
  }

  for await (const source of sources) {
    count++
    const finder = new Finder()
    try {
      try {
        for await (const part of source.parts) for (const sighting of finder.read(part)) keep(sighting, source)
      } finally {
        for (const sighting of finder.end()) keep(sighting, source) // also after a read error
      }
    } catch (error) {
      onProblem(describeProblem(source.path, error))
    }
  }

  const leaked = [...certificates.values()].filter(({ publicKey }) => keys.has(publicKey))
  const findings: Finding[] = []
  const tokens = new Map<string, Finding>()
  for (const { token, source, position } of places) {
    const { parts: _, onFound: __, ...place } = source
    const finding = { ...place, path: redactTokens(place.path), ...position, ...judgeToken(token, leaked, now) }
    findings.push(finding)
    if (!tokens.has(token)) tokens.set(token, finding)
  }
  return { findings, tokens, dropped, sources: count }
}
