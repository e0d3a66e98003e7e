// The test vectors of test/vectors/: `node scripts/vectors.ts` names each file that differs from the tables in vectors/ and
// exits 1; with --write it writes them. Existing keys and random signatures stay; to renew one, delete it first.
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { readVectors, vectorFolder } from '../test/helpers/vectors.ts'
import { buildConfirmationVectors } from './vectors/confirmations.ts'
import { buildKeys } from './vectors/keys.ts'
import { buildProofVectors } from './vectors/proofs.ts'
import { buildSignedVectors } from './vectors/signed-requests.ts'

const read = <Name extends Parameters<typeof readVectors>[0]>(name: Name) =>
  existsSync(new URL(name, vectorFolder)) ? readVectors<Name>(name) : undefined

const keys = buildKeys(read('keys.json'))
const files = [
  { name: 'keys.json', wanted: keys },
  { name: 'binding-proof.json', wanted: buildProofVectors(keys, read('binding-proof.json')) },
  { name: 'confirmation.json', wanted: buildConfirmationVectors(keys) },
  { name: 'signed-request.json', wanted: buildSignedVectors(keys, read('signed-request.json')) },
] as const

const wrong = files.filter(({ name, wanted }) => !isDeepStrictEqual(read(name), JSON.parse(JSON.stringify(wanted))))
if (process.argv.includes('--write')) {
  for (const { name, wanted } of wrong) writeFileSync(new URL(name, vectorFolder), JSON.stringify(wanted))
  const { status } = spawnSync('npx', ['biome', 'format', '--write', fileURLToPath(vectorFolder)], { stdio: 'inherit' })
  process.exitCode = status ?? 1
} else {
  for (const { name } of wrong) console.error(`test/vectors/${name} differs from the tables; --write updates it`)
  process.exitCode = wrong.length > 0 ? 1 : 0
}
