// Verifies what src/pki issues with the openssl command. Without it these tests fail; they are never skipped.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type Opinion = { readonly ok: boolean; readonly output: string }

/** Runs openssl in a folder with these texts as files. */
export function openssl(files: Record<string, string>, ...args: string[]): Opinion {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-openssl-'))
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    const { error, status, stdout, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' })
    if (error) throw new Error('this test needs the openssl command', { cause: error })
    return { ok: status === 0, output: stdout + stderr }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

type Pem = { readonly certificate: string }

/** Runs `openssl verify -x509_strict` for a certificate, with its root and intermediates. */
export function verifyChain(leaf: Pem, root: Pem, between: readonly Pem[] = [], ...options: string[]): Opinion {
  const untrusted = between.map(({ certificate }) => certificate).join('')
  const chain = untrusted === '' ? [] : ['-untrusted', 'between.crt']
  const files = { 'root.crt': root.certificate, 'leaf.crt': leaf.certificate, 'between.crt': untrusted }
  return openssl(files, 'verify', '-x509_strict', ...options, '-CAfile', 'root.crt', ...chain, 'leaf.crt')
}
