// tlsbound keys: lists and rotates the signing keys in their file, which running servers reload.
import { findCurrent } from '../core/key-schedule.ts'
import { isPasetoKey, type KeyAlgorithm, keyAlgorithms } from '../keys/token-keys.ts'
import { readKeysFile, rotateKeysFile } from '../process/signing-keys.ts'
import { dataDirOf, dataFile } from '../settings/settings.ts'
import { type Command, requireAction, showArgument, UsageError } from './command.ts'
import { jsonOption } from './option.ts'

export const command: Command = {
  usage: ['list [OPTIONS]', 'rotate [OPTIONS]'],
  description: [
    'Lists and rotates the signing keys in a file that one or more servers use. A running server loads a changed file within ten seconds.',
    'A new key is published at once and signs after five minutes, when other servers have fetched it. Earlier keys stay until the last token that they signed has expired.',
    'Keys for JWTs and keys for PASETO are separate: a new key replaces those for the same kind of token. The first key for PASETO signs at once.',
  ],
  actions: [
    { name: 'list', positionals: [], help: 'Shows for each key whether it signs, from when, and when it is removed' },
    { name: 'rotate', positionals: [], help: 'Adds a key that signs in place of the current one' },
  ],
  options: [
    {
      name: 'file',
      value: 'FILE',
      variable: 'TLSBOUND_SIGNING_KEYS_FILE',
      fallback: 'signing-keys.json in TLSBOUND_DATA_DIR',
      help: 'The JWKS with private keys',
    },
    {
      name: 'algorithm',
      value: 'ALG',
      choices: keyAlgorithms,
      fallback: 'ES256',
      help: 'The algorithm of the new key: ES256, EdDSA or RS256 for JWTs, or v4.public for PASETO',
    },
    jsonOption,
  ],
  examples: [
    'tlsbound keys list',
    'tlsbound keys rotate --algorithm EdDSA',
    'tlsbound keys rotate --algorithm v4.public',
  ],
  async run({ file, algorithm = 'ES256', json }, [action, ...others]) {
    const path = String(
      file ?? (process.env.TLSBOUND_SIGNING_KEYS_FILE || dataFile('signing-keys.json', dataDirOf(process.env))),
    )
    const { name } = requireAction(command.actions ?? [], action)
    if (others.length > 0) throw new UsageError(`unexpected argument ${showArgument(String(others[0]))}`)
    if (!keyAlgorithms.includes(algorithm as KeyAlgorithm))
      throw new UsageError(`--algorithm must be one of ${keyAlgorithms.join(', ')}`)
    const now = Math.floor(Date.now() / 1000)
    if (name === 'rotate') {
      const next = await rotateKeysFile(path, algorithm as KeyAlgorithm, now)
      process.stdout.write(json ? `${JSON.stringify(next)}\n` : `${next.kid} signs from ${date(next.nbf)}\n`)
      return
    }
    const keys = readKeysFile(path)
    const signing = [false, true].map(
      paseto =>
        findCurrent(
          keys.filter(key => isPasetoKey(key) === paseto),
          now,
        )?.kid,
    )
    const rows = keys.map(({ kid, alg, nbf, exp }) => ({ kid, alg, signs: signing.includes(kid), nbf, exp }))
    for (const { kid, alg, signs, nbf, exp } of json ? [] : rows) {
      const state = signs ? 'signs' : (nbf ?? 0) > now ? `signs from ${date(nbf)}` : 'verifies'
      process.stdout.write(`${kid}  ${alg}  ${state}${exp === undefined ? '' : `, removed on ${date(exp)}`}\n`)
    }
    if (json) process.stdout.write(`${JSON.stringify(rows)}\n`)
  },
}

function date(seconds = 0): string {
  return new Date(seconds * 1000).toISOString().replace('.000', '')
}
