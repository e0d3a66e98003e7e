// The code that pages of the documentation show from examples: <!-- from: PATH --> above a block names the file.
import { globSync, readFileSync } from 'node:fs'
import t from 'tap'

interface Snippet {
  readonly page: string
  readonly path: string
  readonly text: string
}
const snippets = globSync('docs/**/*.md').flatMap(page => parseSnippets(page, readFileSync(page, 'utf8')))

function parseSnippets(page: string, text: string): Snippet[] {
  const blocks = [...text.matchAll(/^<!-- from: (\S+) -->\n```\w+\n([\s\S]*?)^```$/gm)]
  return blocks.map(([, path = '', text = '']) => ({ page, path, text }))
}

/** Whether a file contains a text of whole lines. */
const contains = (path: string, text: string) => `\n${readFileSync(path, 'utf8')}`.includes(`\n${text}`)

t.test('shows code that is in the example', async t => {
  for (const { page, path, text } of snippets)
    t.ok(text.length > 0 && contains(path, text), `${page}: ${path}`, { text })
  const [first] = snippets as [Snippet]
  t.notOk(contains(first.path, first.text.replace('const', 'let')), 'control: changed code is found')
})

t.test('reads every block with such a comment', async t => {
  const comments = globSync('docs/**/*.md').flatMap(page => readFileSync(page, 'utf8').match(/<!-- from:/g) ?? [])
  t.equal(snippets.length, comments.length)
})

t.test('shows code of each client and verifier on the page about other libraries', async t => {
  const shown = snippets.filter(({ page }) => page === 'docs/how-to/use-other-libraries.md').map(({ path }) => path)
  for (const path of [
    ...globSync('examples/clients/**/*.*'),
    'examples/verifiers/jose.ts',
    'examples/verifiers/pyjwt.py',
  ])
    t.ok(shown.includes(path), path)
})
