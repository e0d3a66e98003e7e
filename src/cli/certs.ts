// tlsbound certs: creates the demo certificates and keys.
import { writeDemoPki } from '../pki/demo.ts'
import { type Command, UsageError } from './command.ts'
import { writeMessage } from './output.ts'

export const command: Command = {
  usage: ['[OPTIONS]'],
  description: [
    'Creates certificates and private keys for trials on one machine: ca, server, the clients alice and bob, mallory (same authority, not registered) and stranger (another authority).',
    'Files that exist are not overwritten without --force.',
  ],
  options: [
    { name: 'out', value: 'FOLDER', fallback: 'certs', help: 'Where the files are written' },
    {
      name: 'key-type',
      value: 'TYPE',
      choices: ['ec', 'rsa'],
      fallback: 'ec',
      help: 'ec for P-256, rsa for RSA with 2048 bits',
    },
    { name: 'force', help: 'Overwrites existing files' },
  ],
  examples: ['tlsbound certs', 'tlsbound certs --out other-certs --key-type rsa'],
  run({ out = 'certs', 'key-type': keyType = 'ec', force = false }) {
    if (keyType !== 'ec' && keyType !== 'rsa') throw new UsageError('--key-type must be ec or rsa')
    const written = writeDemoPki(String(out), { keyType, force: Boolean(force) })
    for (const { path, expires } of written)
      process.stdout.write(`${path.padEnd(24)} until ${expires.toISOString().slice(0, 10)}\n`)
    writeMessage('For tests on this machine only: a program that reads these keys can act as each of these identities.')
  },
}
