// The corpus as files that a server reads when it starts: each is loaded, or refused in a sentence that names the file, in
// bounded time and memory, and without an end of the process. What is loaded works, and nothing weak does.
import { sign } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { buildCorpus, buildJsonFiles, buildServerFiles, buildTrusts } from '../helpers/corpus/corpus.ts'
import { openCourt, type Verdict } from '../helpers/corpus/court.ts'
import type { Entry, JsonEntry } from '../helpers/corpus/entry.ts'
import { defaultFiles, settingsOf, writeFiles } from '../helpers/corpus/server.ts'

/** Of the process that loads one file after the other. */
const mostMegabytes = 700

const folder = mkdtempSync(join(tmpdir(), 'tlsbound-corpus-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const court = openCourt()
t.teardown(court.close)

t.test('each name stands for one entry, and there are enough of them', async t => {
  const names = buildCorpus().map(({ name }) => name)
  t.equal(new Set(names).size, names.length)
  t.ok(names.length >= 200)
  t.comment(`entries: ${names.length}`)
})

t.test('each file of JSON is loaded or refused with a sentence that names it', async t => {
  const entries = buildJsonFiles()
  for (const entry of entries) {
    writeFiles(folder, entry.files)
    const { signer } = entry
    const env = { [jsonSettings[entry.file] as string]: join(folder, entry.file) }
    const verdict = await court.ask({ env, token: signer && issueToken(signer) })
    checkVerdict(t, entry, verdict)
    if (signer !== undefined && verdict.load === 'loaded') {
      const { verified } = verdict as { verified?: boolean }
      if (signer.isWeak === true) t.notOk(verified, `${entry.name}: no token is verified by it`)
      else t.ok(verified, `${entry.name}: its tokens are verified`)
    }
  }
  t.comment(`files of JSON tried: ${entries.length}`)
})

t.test(
  'each file of certificates, keys or revocation lists is loaded or refused with a sentence that names it',
  async t => {
    const defaults = defaultFiles()
    const entries = [...buildTrusts(), ...buildServerFiles()]
    for (const entry of entries) {
      writeFiles(folder, { ...defaults, ...entry.files })
      const env = settingsOf(folder, { withLists: entry.kind === 'revocation lists' })
      checkVerdict(t, entry, await court.ask({ env }))
    }
    t.comment(`files of certificates, keys and lists tried: ${entries.length}`)
  },
)

/** The setting that names a file of JSON. */
const jsonSettings: Readonly<Record<string, string>> = {
  'signing-keys.json': 'TLSBOUND_SIGNING_KEYS_FILE',
  'issuers.json': 'TLSBOUND_TRUSTED_ISSUERS_FILE',
  'leak-keys.json': 'TLSBOUND_LEAK_KEYS_FILE',
  'clients.json': 'TLSBOUND_CLIENTS_FILE',
  'webhooks.json': 'TLSBOUND_WEBHOOKS_FILE',
}

type Asserts = Pick<typeof t, 'equal' | 'match' | 'ok'>

function checkVerdict(t: Asserts, entry: Entry & { readonly load: string | undefined }, verdict: Verdict): void {
  const { name, files, load } = entry
  if (load === undefined) t.match(verdict.load, /^(loaded|refused)$/, name)
  else t.equal(verdict.load, load, name)
  if (verdict.load !== 'loaded') {
    const named = Object.keys(files).some(file => verdict.message.includes(join(folder, file)))
    t.ok(named, `${name}: the sentence names the file: ${verdict.message}`)
  }
  if ('peakMegabytes' in verdict)
    t.ok(verdict.peakMegabytes < mostMegabytes, `${name}: ${verdict.peakMegabytes} megabytes`)
  if (!['signing keys', 'private key', 'server certificate'].includes(entry.kind) && !name.startsWith('webhooks'))
    return
  // What looks like a key or a secret is a long run of base64.
  const runs = verdict.message.replaceAll(folder, '').match(/[\w+/-]{24,}/g) ?? []
  const quoted = runs.filter(run => Object.values(files).some(content => content.includes(run)))
  t.equal(quoted.length, 0, `${name}: nothing of the file is quoted`)
}

/** A token that the key signs, of the issuer that the lists here name. */
function issueToken({ key, alg, kid }: NonNullable<JsonEntry['signer']>): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const signed = `${encode({ alg, kid, typ: 'at+jwt' })}.${encode({ iss: 'https://issuer.test', sub: 'alice' })}`
  const digest = alg === 'EdDSA' ? null : `sha${alg.slice(2, 5)}`
  const signature = sign(digest, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}
