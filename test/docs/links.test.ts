// Every relative link and anchor in the Markdown files of the repository has a target.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'

const pages = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], { encoding: 'utf8' })
  .stdout.split('\n')
  .filter(path => path !== '' && existsSync(path))

/** Removes fenced blocks and inline code, which contain no links. */
function textOf(markdown: string): string {
  return markdown.replaceAll(/^(`{3,}|~{3,})[\s\S]*?^\1/gm, '').replaceAll(/(`+)[^`]+?\1/g, 'x')
}

/** The targets of inline links, images, link definitions and HTML attributes. */
function linksOf(markdown: string): string[] {
  const inline = /\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|^\[[^\]]+\]:\s*(\S+)|(?:href|src)="([^"]+)"/gm
  return [...textOf(markdown).matchAll(inline)].map(([, link, definition, attribute]) =>
    String(link ?? definition ?? attribute),
  )
}

/** The anchors of a page: of its headings as GitHub builds them, and of its HTML. */
function anchorsOf(markdown: string): Set<string> {
  const seen = new Map<string, number>()
  const headings = markdown.replaceAll(/^(`{3,}|~{3,})[\s\S]*?^\1/gm, '').matchAll(/^#{1,6} +(.+?)[ #]*$/gm)
  const anchors = [...headings].map(([, heading = '']) => {
    const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const slug = plain.replaceAll(/[^\p{L}\p{N}_\- ]/gu, '').replaceAll(' ', '-')
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  })
  return new Set([...anchors, ...[...markdown.matchAll(/(?:id|name)="([^"]+)"/g)].map(([, id]) => String(id))])
}

/** Returns what is wrong with a link of a page; undefined if it has a target. */
function findFault(page: string, link: string): string | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(link)) return undefined // another site
  const [path = '', anchor] = decodeURI(link).split('#')
  const target = path === '' ? page : normalize(join(dirname(page), path))
  if (!existsSync(target)) return `${page}: ${link}: there is no ${target}`
  if (anchor === undefined || !target.endsWith('.md')) return undefined
  return anchorsOf(readFileSync(target, 'utf8')).has(anchor) ? undefined : `${page}: ${link}: no such heading`
}

t.test('has a file for every relative link, and a heading for every anchor', async t => {
  t.ok(pages.length > 10)
  let links = 0
  const faults = pages.flatMap(page =>
    linksOf(readFileSync(page, 'utf8')).flatMap(link => {
      links++
      return findFault(page, link) ?? []
    }),
  )
  t.same(faults, [])
  t.ok(links > 200, `${links} links in ${pages.length} pages`)
})

t.test('lists every page once in the index of the documentation', async t => {
  const linked = linksOf(readFileSync('docs/README.md', 'utf8')).map(link => normalize(join('docs', link)))
  const there = pages.filter(page => /^docs\/(?:tutorial|how-to|reference|explanation)\//.test(page))
  t.same(linked.toSorted(), there.toSorted())
})

t.test('finds a broken link of each form, and ignores text that is not a link', async t => {
  const fault = (markdown: string) => linksOf(markdown).map(link => findFault('docs/README.md', link))
  for (const [markdown, good] of [
    ['[a](nowhere.md)', '[a](reference/limits.md)'],
    ['[a](reference/limits.md#nothing)', '[a](reference/limits.md#sizes-and-numbers)'],
    ['[a](#nothing)', '[a](#how-to-guides)'],
    ['![a](nowhere.png)', '![a](screenshot.png)'],
    ['[a]: nowhere.md', '[a]: ../LICENSE'],
    ['<img src="nowhere.png">', '<img src="screenshot.png">'],
    ['[a `b`](nowhere.md "title")', '[a `b`](reference/endpoints.md#post-oauthtoken "title")'],
  ] as const) {
    t.match(fault(markdown), [/there is no|no such heading/], markdown)
    t.same(fault(good), [undefined], good)
  }
  for (const none of ['`[a](nowhere.md)`', '```\n[a](nowhere.md)\n```', 'an array[0] (nowhere.md)'])
    t.same(linksOf(none), [], none)
})
