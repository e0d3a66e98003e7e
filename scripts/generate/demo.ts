// README.md and docs/demo.svg: the output of `npm run demo` as text, and as a terminal in which it appears line by line.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Files } from './generator.ts'

const lineHeight = 19
const characterWidth = 7.9 // of the fonts below, at 13 pixels
const margin = 18
/** Seconds in all; below five, so that no pause control is required (WCAG 2.2.2). */
const duration = 4.8

const transcript = /(?<=\$ (?:npm ci && )?npm run demo\n)[^`]*(?=```)/

export function generate(): Files {
  const output = runDemo()
  const page = readFileSync('README.md', 'utf8')
  if (!transcript.test(page)) throw new Error('README.md lacks the transcript of npm run demo')
  return { 'README.md': page.replace(transcript, output), 'docs/demo.svg': drawDemo(output) }
}

/** Returns the output of `npm run demo`. @throws Error when the demo fails. */
function runDemo(): string {
  const { stdout, stderr, status } = spawnSync('npm', ['run', '--silent', 'demo'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`npm run demo ended with ${status}:\n${stdout}${stderr}`)
  return stdout
}

/**
 * Draws a transcript. Without animation, or with reduced motion, every line is visible. Otherwise each line appears after the
 * previous one.
 */
function drawDemo(output: string): string {
  const lines = ['$ npm run demo', '', ...output.trim().split('\n')]
  const pause = duration / lines.length
  const rows = lines.flatMap((line, index) => {
    if (line === '') return []
    const y = margin + 42 + index * lineHeight
    const delay = `style="animation-delay:${(index * pause).toFixed(2)}s"`
    return [`<text x="${margin}" y="${y}" ${delay}>${drawLine(line)}</text>`]
  })
  const width = Math.ceil(Math.max(...lines.map(line => line.length)) * characterWidth) + 2 * margin
  const height = margin + 42 + lines.length * lineHeight
  return `<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title description">
<title id="title">The demo: a stolen token is refused on every connection but its own</title>
<desc id="description">The output of npm run demo. README.md has the same text.</desc>
<style>
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #c9d1d9; white-space: pre; animation: appear .2s backwards }
.heading { fill: #fff; font-weight: bold }
.accepted { fill: #56d364 }
.refused { fill: #ff7b72 }
@keyframes appear { from { opacity: 0 } }
@media (prefers-reduced-motion: reduce) { text { animation: none } }
</style>
<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>
<circle cx="22" cy="20" r="6" fill="#ff5f56"/><circle cx="42" cy="20" r="6" fill="#ffbd2e"/><circle cx="62" cy="20" r="6" fill="#27c93f"/>
${rows.join('\n')}
</svg>
`
}

/** Colours a line: its subject, the status of the response, and the reason. */
function drawLine(line: string): string {
  const [, what = '', status, note = ''] = /^( {2}.{40} )(200|401)(.*)$/.exec(line) ?? []
  if (status !== undefined) {
    const outcome = status === '200' ? 'accepted' : 'refused'
    return `${escapeMarkup(what)}<tspan class="${outcome}">${status}${escapeMarkup(note)}</tspan>`
  }
  return line.startsWith(' ') ? escapeMarkup(line) : `<tspan class="heading">${escapeMarkup(line)}</tspan>`
}

function escapeMarkup(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
