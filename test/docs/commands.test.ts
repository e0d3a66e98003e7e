// Runs the commands of the tutorial and the how-to pages, and compares their output. service.test.ts covers the pages of an
// installed service, and test/deploy/image.test.ts the one about containers. Needs the Debian packages curl, git, golang-go, jq, openssl and python3; for the page about other libraries
// also python3-requests and golang-golang-x-oauth2-dev.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { containerPage } from '../helpers/deploy/container-page.ts'
import { parseBlocks, runPages } from '../helpers/process/page.ts'
import { setups } from '../helpers/process/page-setups.ts'
import { serviceSetups } from '../helpers/process/service-setups.ts'

t.setTimeout(1_200_000) // hundreds of processes, one after the other

t.test('reads blocks and the comments above them', async t => {
  const page = [
    'Text.',
    '<!-- not run: needs systemd -->',
    '```sh',
    'systemctl start',
    '```',
    '1. Step',
    '   <!-- exit: 1 -->',
    '   ```console',
    '   $ echo a; false',
    '   a',
    '   ```',
    '```json',
    '{}',
    '```',
    '<!-- file: a.json -->',
    '```json',
    '{}',
    '```',
  ].join('\n')
  t.match(parseBlocks(page), [
    { line: 3, language: 'sh', text: 'systemctl start\n', notRun: 'needs systemd', exit: 0 },
    { line: 8, language: 'console', text: '$ echo a; false\na\n', notRun: undefined, exit: 1 },
    { line: 16, language: 'json', text: '{}\n', file: 'a.json' },
  ])
})

t.test('runs each page in its folder, and has no folder without a page', async t => {
  const pages = ['tutorial', 'how-to'].flatMap(folder =>
    readdirSync(join('docs', folder))
      .filter(name => /^```(?:sh|console)$/m.test(readFileSync(join('docs', folder, name), 'utf8')))
      .map(name => `${folder}/${name.replace('.md', '')}`),
  )
  t.same([...Object.keys({ ...setups, ...serviceSetups }), containerPage].sort(), pages.sort())
})

await runPages(t, setups)
