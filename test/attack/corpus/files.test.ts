// Files of JSON of the corpus, as a server reads them when it starts: each is loaded, or refused in a sentence that names the
// file, in bounded time and memory, and without an end of the process. What is loaded works, and nothing weak does.
import { sign } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { buildCorpus, buildJsonFiles } from '../../helpers/corpus/corpus.ts'
import { findProblems, openCourt } from '../../helpers/corpus/court.ts'
import type { JsonEntry } from '../../helpers/corpus/entry.ts'
import { writeFiles } from '../../helpers/corpus/server.ts'

t.test('each name of the corpus stands for one entry, and there are enough of them', async t => {
  const names = buildCorpus().map(({ name }) => name)
  t.equal(new Set(names).size, names.length)
  t.ok(names.length >= 1000)
  t.comment(`entries of the corpus: ${names.length}`)
})

t.test('each file of JSON is loaded or refused with a sentence that names it', async t => {
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
    if (signer.isWeak === true && verified) problems.push(`${name}: a token is verified by it`)
    if (signer.isWeak !== true && !verified) problems.push(`${name}: its token is not verified`)
  }
  t.same(problems, [])
  t.comment(`files of JSON tried: ${entries.length}`)
})

/** The setting that names a file. */
const settings: Readonly<Record<string, string>> = {
  'signing-keys.json': 'TLSBOUND_SIGNING_KEYS_FILE',
  'issuers.json': 'TLSBOUND_TRUSTED_ISSUERS_FILE',
  'leak-keys.json': 'TLSBOUND_LEAK_KEYS_FILE',
  'clients.json': 'TLSBOUND_CLIENTS_FILE',
  'webhooks.json': 'TLSBOUND_WEBHOOKS_FILE',
}

/** A token that the key signs, of the issuer that the lists here name. */
function issueToken({ key, alg, kid }: NonNullable<JsonEntry['signer']>): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const signed = `${encode({ alg, kid, typ: 'at+jwt' })}.${encode({ iss: 'https://issuer.test', sub: 'alice' })}`
  const digest = alg === 'EdDSA' ? null : `sha${alg.slice(2, 5)}`
  const signature = sign(digest, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}
