// tlsbound keys: the signing keys of the file that servers share. Works on the file; running servers follow by themselves.
import { findSigning } from '../core/key-schedule.ts'
import { type Algorithm, algorithms } from '../keys/token-keys.ts'
import { readKeysFile, rotateKeysFile } from '../process/signing-keys.ts'
import { type Command, UsageError } from './command.ts'

export const command: Command = {
  help: `Usage: tlsbound keys list|rotate [OPTIONS]

list      shows each key: whether it signs, from when, and until when it is kept
rotate    adds a key: published at once, signing in five minutes, when everybody may know it; the ones before it stay until
          the last token that they signed has expired. A running server takes it over within ten seconds.

  --file FILE        the JWKS with private keys (TLSBOUND_SIGNING_KEYS_FILE, else data/signing-keys.json)
  --algorithm ALG    ES256 (the default), EdDSA or RS256
  --json             for programs
`,
  options: { file: { type: 'string' }, algorithm: { type: 'string' }, json: { type: 'boolean' } },
  takesWords: true,
  async run({ file, algorithm = 'ES256', json }, [action, ...others]) {
    const path = String(file ?? (process.env.TLSBOUND_SIGNING_KEYS_FILE || 'data/signing-keys.json'))
    if (others.length > 0 || (action !== 'list' && action !== 'rotate')) throw new UsageError('say list or rotate')
    if (!algorithms.includes(algorithm as Algorithm))
      throw new UsageError(`--algorithm must be one of ${algorithms.join(', ')}`)
    const now = Math.floor(Date.now() / 1000)
    if (action === 'rotate') {
      const next = await rotateKeysFile(path, algorithm as Algorithm, now)
      process.stdout.write(json ? `${JSON.stringify(next)}\n` : `${next.kid} signs from ${date(next.nbf)}\n`)
      return
    }
    const keys = readKeysFile(path)
    const signing = findSigning(keys, now).kid
    const rows = keys.map(({ kid, alg, nbf, exp }) => ({ kid, alg, signs: kid === signing, nbf, exp }))
    for (const { kid, alg, signs, nbf, exp } of json ? [] : rows) {
      const state = signs ? 'signs' : (nbf ?? 0) > now ? `signs from ${date(nbf)}` : 'verifies'
      process.stdout.write(`${kid}  ${alg}  ${state}${exp === undefined ? '' : `, kept until ${date(exp)}`}\n`)
    }
    if (json) process.stdout.write(`${JSON.stringify(rows)}\n`)
  },
}

function date(seconds = 0): string {
  return new Date(seconds * 1000).toISOString().replace('.000', '')
}
