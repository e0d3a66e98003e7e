// Both ends compute a channel binding themselves. A binding sent by the client proves nothing.
import { hash } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import type { Played, Stage } from '../stage.ts'
import { type Client, openThief, steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'forged-binding-headers',
  sentence:
    'A stolen token is sent with headers that claim the channel binding of its own connection, or prove another one.',
  stolen: 'the token and the binding of its connection; where the level promises to stop it, also the private key',
  thief: 'their own connection',
  control: 'the token on the connection of its client, with the same headers',
  expected: 'refused: the binding is that of the connection itself',
  demandedBy: ['RFC 9266 §2', 'RFC 9729', 'RFC 8705 §3'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Read the channel binding from the TLS connection itself; remove such headers from requests',
  async run(stage) {
    const victim = await stage.victim()
    const forged = buildHeaders(victim.connection.socket)
    const all = Object.assign({}, ...Object.values(forged)) as Headers
    const control = () => attempt('by its client', () => stage.use(victim.connection, victim.token, { headers: all }))
    const controls = [await control()]
    const loot = steal(stage, victim)
    const present = (thief: Played, headers: Headers) => thief.call(stage.resourcePath, { ...loot, headers })
    const open = () => openThief(stage)
    const thefts = [
      ...(await playSeries(open, { ...forged, 'all of these headers': all }, ({ connection }, headers) =>
        present(connection, headers),
      )),
      ...(await playSeries(open, proofsOf(stage, victim), ({ connection }, prove) =>
        present(connection, prove(connection)),
      )),
    ]
    return { controls: [...controls, await control()], thefts }
  },
}

/** Returns proofs for levels at which a token needs none: no proof may replace the binding. */
function proofsOf(
  { level }: Stage,
  { connection, token }: Client,
): Readonly<Record<string, (thief: Played) => Headers>> {
  if (level === 'proof') return {} // there the thief's own proofs are valid
  const proof = connection.prove(token)
  return {
    'Session-Binding-Proof of the client': () => ({ 'session-binding-proof': proof }),
    'Session-Binding-Proof of the thief': thief => ({
      'session-binding-proof': thief.who === null ? proof : thief.prove(token),
    }),
    DPoP: () => ({ dpop: proof }),
  }
}

type Headers = Readonly<Record<string, string>>

function buildHeaders(socket: TLSSocket): Readonly<Record<string, Headers>> {
  const value = socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
  const finished = socket.getFinished()?.toString('base64url') ?? ''
  const text = value.toString('base64url')
  const thumbprint = hash('sha256', value, 'base64url')
  return {
    'TLS-Exporter': { 'tls-exporter': text },
    'X-TLS-Exporter': { 'x-tls-exporter': thumbprint, 'x-tls-unique': finished },
    'Channel-Binding': { 'channel-binding': `tls-exporter:${text}`, 'x-channel-binding': thumbprint },
    'names of cnf members': { 'tls-exporter-s256': thumbprint, 'x-tls-exporter-s256': thumbprint },
    'Sec-Token-Binding': { 'sec-token-binding': text, 'sec-provided-token-binding-id': text },
    'Concealed-Auth-Export': { 'concealed-auth-export': `:${value.toString('base64')}:` },
    'X-TLS-Session-Id': { 'x-tls-session-id': thumbprint, 'x-ssl-session-id': text, 'x-tls-connection': thumbprint },
    'X-Forwarded-For': { 'x-forwarded-for': '127.0.0.1', forwarded: 'for=127.0.0.1;proto=https' },
  }
}
