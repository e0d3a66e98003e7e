// JSON files of the corpus, loaded when a server starts. Each is loaded, or refused with a message that names the file, in
// bounded time and memory, without ending the process. Loaded files work, and none weakens the server.
import { sign } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { buildCorpus, buildJsonFiles } from '../../helpers/corpus/corpus.ts'
import { findProblems, openCourt } from '../../helpers/corpus/court.ts'
import type { JsonEntry } from '../../helpers/corpus/entry.ts'
import { writeFiles } from '../../helpers/corpus/server.ts'

t.test('has unique names in the corpus, and enough entries', async t => {
  const names = buildCorpus().map(({ name }) => name)
  t.equal(new Set(names).size, names.length)
  t.ok(names.length >= 1000)
  t.comment(`entries of the corpus: ${names.length}`)
})

t.test('loads each JSON file, or refuses it with a message that names it', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-corpus-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const court = openCourt()
  t.teardown(court.close)
  const entries = buildJsonFiles()
  const problems: string[] = []
  for (const entry of entries) {
    writeFiles(folder, entry.files)
    const { name, signer } = entry
    const env = { [settings[entry.file] as string]: join(folder, entry.file) }
    const verdict = await court.ask({ env, token: signer && issueToken(signer), folder })
    problems.push(...findProblems(folder, entry, verdict))
    if (signer === undefined || verdict.load !== 'loaded') continue
    const { verified } = verdict as { verified?: boolean }
    if (signer.isWeak === true && verified) problems.push(`${name}: verifies a token`)
    if (signer.isWeak !== true && !verified) problems.push(`${name}: does not verify its token`)
  }
  t.same(problems, [])
  t.comment(`JSON files: ${entries.length}`)
})

/** The setting for a file. */
const settings: Readonly<Record<string, string>> = {
  'signing-keys.json': 'TLSBOUND_SIGNING_KEYS_FILE',
  'issuers.json': 'TLSBOUND_TRUSTED_ISSUERS_FILE',
  'leak-keys.json': 'TLSBOUND_LEAK_KEYS_FILE',
  'clients.json': 'TLSBOUND_CLIENTS_FILE',
  'webhooks.json': 'TLSBOUND_WEBHOOKS_FILE',
}

/** A token signed by the key, from the issuer in these lists. */
function issueToken({ key, alg, kid }: NonNullable<JsonEntry['signer']>): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const signed = `${encode({ alg, kid, typ: 'at+jwt' })}.${encode({ iss: 'https://issuer.test', sub: 'alice' })}`
  const digest = alg === 'EdDSA' ? null : `sha${alg.slice(2, 5)}`
  const signature = sign(digest, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}
