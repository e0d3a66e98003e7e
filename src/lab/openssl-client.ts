// A client of TLS 1.2 and HTTP/1.1 that can renegotiate with another certificate, which Node's cannot. It uses Python
// and the system's OpenSSL. Certificates and keys are passed through a pipe and are never written to a file.
import { type ChildProcess, spawn } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { Duplex, type Readable, type Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { proofExporterLabel } from '../core/channel-binding.ts'
import { NotTried } from './attempt.ts'
import { buildProof, type Identity } from './cast.ts'
import { endpointOf } from './connection.ts'
import { pipeline } from './pipeline.ts'
import type { Speaker, Stage } from './stage.ts'

const program = fileURLToPath(new URL('openssl-client.py', import.meta.url))

export interface OpensslClient extends Speaker {
  /** Renegotiates with another certificate. The connection ends when the server refuses. */
  renegotiateAs(who: Identity): void
}

/**
 * Connects to the resource.
 * @throws NotTried (rejects) when python3 or libssl is missing, or the connection fails.
 */
export async function connectOpenssl(stage: Stage, who: Identity): Promise<OpensslClient> {
  const child = spawn('python3', ['-IS', program], { stdio: ['pipe', 'pipe', 'ignore', 'pipe'] })
  stage.keep({ close: () => void child.kill('SIGKILL') })
  const [stdin, stdout, , commands] = child.stdio as unknown as [Writable, Readable, null, Writable]
  for (const pipe of [stdin, stdout, commands]) pipe.on('error', () => {}) // the end is detected by the output
  const { resource } = stage.options.profile
  const authorities = stage.cast.ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  const wish = { ...endpointOf(resource), authorities: authorities.map(encode), label: proofExporterLabel }
  commands.write(`${JSON.stringify({ ...wish, ...describe(who) })}\n`)
  const ekm = (await readStart(child, stdout)).toString('base64url')
  stage.connections += 1
  return {
    who,
    call: pipeline(Duplex.from({ readable: stdout, writable: stdin }), resource.host),
    prove: (token, claims) => buildProof(who, ekm, token, claims),
    renegotiateAs: other => void commands.write(`${JSON.stringify(describe(other))}\n`),
  }
}

/** Reads the 32 octets that the program writes after connecting. */
async function readStart(child: ChildProcess, stdout: Readable): Promise<Buffer> {
  const gone = once(child, 'close').catch(() => {}) // failing to start counts as its end
  for (;;) {
    const octets: Buffer | null = stdout.read(32)
    if (octets?.length === 32) return octets
    const isOver = await Promise.race([gone.then(() => true), once(stdout, 'readable').then(() => false)])
    if (isOver) throw new NotTried('requires python3 and libssl (Debian: python3, libssl3), and a connection with them')
  }
}

/** Converts an identity to DER in base64, as the program expects it. */
function describe({ certificate, key }: Identity): object {
  const der = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' })
  return { certificate: encode(certificate), key: der.toString('base64') }
}

function encode(certificate: string): string {
  return new X509Certificate(certificate).raw.toString('base64')
}
