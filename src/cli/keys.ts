// tlsbound keys: creates, lists and rotates the signing keys in their file, which running servers reload.
import { findCurrent } from '../core/key-schedule.ts'
import { pasetoVersion } from '../core/paseto.ts'
import { type Algorithm, algorithms, isPasetoKey, type KeyAlgorithm, keyAlgorithms } from '../keys/token-keys.ts'
import { createKeysFile, readKeysFile, rotateKeysFile } from '../process/signing-keys.ts'
import { dataDirOf, dataFile } from '../settings/settings.ts'
import { type Command, requireAction, showArgument, UsageError, type Values } from './command.ts'
import { jsonOption } from './option.ts'
import { writeMessage, writeResult } from './output.ts'

export const command: Command = {
  usage: ['create FILE [OPTIONS]', 'list [OPTIONS]', 'rotate [OPTIONS]'],
  description: [
    'Creates, lists and rotates the signing keys in a file that one or more servers use. A running server loads a changed file within ten seconds.',
    'A new key is published at once and signs after five minutes, when other servers have fetched it. Earlier keys stay until the last token that they signed has expired.',
    'Keys for JWTs and keys for PASETO are separate: a new key replaces those for the same kind of token.',
  ],
  actions: [
    {
      name: 'create',
      positionals: ['FILE'],
      help: 'Creates a file with a key that signs at once, for several servers',
    },
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
    { name: 'paseto', help: 'With create: adds a key for PASETO, which signs at once too' },
    jsonOption,
  ],
  examples: [
    'tlsbound keys create signing-keys.json',
    'tlsbound keys list',
    'tlsbound keys rotate --algorithm EdDSA',
    'tlsbound keys rotate --algorithm v4.public',
  ],
  async run(values, [action, ...others]) {
    const { file, algorithm = 'ES256', json } = values
    const path = String(
      file ?? (process.env.TLSBOUND_SIGNING_KEYS_FILE || dataFile('signing-keys.json', dataDirOf(process.env))),
    )
    const { name } = requireAction(command.actions ?? [], action)
    if (others.length > (name === 'create' ? 1 : 0))
      throw new UsageError(`unexpected argument ${showArgument(String(others.at(-1)))}`)
    // A server without a key for JWTs does not start.
    const choices: readonly string[] = name === 'create' ? algorithms : keyAlgorithms
    if (!choices.includes(String(algorithm))) throw new UsageError(`--algorithm must be one of ${choices.join(', ')}`)
    if (values.paseto === true && name !== 'create')
      throw new UsageError(`--paseto requires create; to add a key, use rotate --algorithm ${pasetoVersion}`)
    const now = Math.floor(Date.now() / 1000)
    if (name === 'create') return create(values, others[0], algorithm as Algorithm, now)
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
      const unused = exp !== undefined && exp <= now ? 'expired' : 'verifies'
      const state = signs ? 'signs' : (nbf ?? 0) > now ? `signs from ${date(nbf)}` : unused
      process.stdout.write(`${kid}  ${alg}  ${state}${exp === undefined ? '' : `, removed on ${date(exp)}`}\n`)
    }
    if (json) process.stdout.write(`${JSON.stringify(rows)}\n`)
  },
}

async function create(values: Values, path: string | undefined, algorithm: Algorithm, now: number): Promise<void> {
  if (path === undefined) throw new UsageError('the path of the file is missing: tlsbound keys create FILE')
  if (values.file !== undefined) throw new UsageError('create takes the path as an argument, without --file')
  const both: KeyAlgorithm[] = values.paseto === true ? [algorithm, pasetoVersion] : [algorithm]
  const [kid = '', paseto] = await createKeysFile(path, both, now)
  writeResult(
    values,
    { kid, ...(paseto !== undefined && { paseto_kid: paseto }), file: path },
    paseto === undefined ? kid : `${kid}\n${paseto}`,
  )
  writeMessage(
    `${path} has ${paseto === undefined ? 'one key' : 'two keys'}, and is readable for its owner only. Copy it to each server as a file of the server's user (mode 0600), and set ` +
      'TLSBOUND_SIGNING_KEYS_FILE to its path there.',
  )
}

function date(seconds = 0): string {
  return new Date(seconds * 1000).toISOString().replace('.000', '')
}
