// tlsbound certs: the demo's certificates and keys.
import { writeDemoPki } from '../pki/demo.ts'
import { type Command, UsageError } from './command.ts'

export const command: Command = {
  help: `Usage: tlsbound certs [--out FOLDER] [--key-type ec|rsa] [--force]

Makes certificates and keys for ca, server, alice, bob, mallory (same authority, not registered) and stranger (another
authority). Refuses to overwrite any of them without --force.

  --out FOLDER       where to (certs)
  --key-type TYPE    ec for P-256 (the default), rsa for RSA-2048
  --force            overwrite
`,
  options: { out: { type: 'string' }, 'key-type': { type: 'string' }, force: { type: 'boolean' } },
  run({ out = 'certs', 'key-type': keyType = 'ec', force = false }) {
    if (keyType !== 'ec' && keyType !== 'rsa') throw new UsageError('--key-type must be ec or rsa')
    const written = writeDemoPki(String(out), { keyType, force: Boolean(force) })
    for (const { path, expires } of written)
      process.stdout.write(`${path.padEnd(24)} until ${expires.toISOString().slice(0, 10)}\n`)
    process.stderr.write(
      'For trying things out on this machine only: whoever can read these keys can be any of them.\n',
    )
  },
}
