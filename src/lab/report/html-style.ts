// The style of the HTML report: light, dark, small screens and print. It has no external resources.
import { type Markup, markup } from '../../text/markup.ts'

export const style: Markup = markup`
:root { color-scheme: light dark; --ink: light-dark(#1c1d1f, #e6e6e6); --paper: light-dark(#ffffff, #17181a);
  --passed: light-dark(#1a6b2d, #7fd695); --failed: light-dark(#b3261e, #ff8a80); --alarm: light-dark(#fdecea, #3a1f1d);
  --quiet: light-dark(#5f6368, #9aa0a6); --line: light-dark(#d5d8dc, #44474a) }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem;
  color: var(--ink); background: var(--paper); overflow-wrap: anywhere }
h1, h2, h3 { line-height: 1.25; margin: 2rem 0 0.5rem }
h1 { font-size: 1.6rem }
h2 { font-size: 1.25rem }
h3 { font-size: 1rem }
summary :is(h2, h3) { display: inline; margin: 0 }
.part { margin: 1.5rem 0 }
.scenario { border-top: 1px solid var(--line); padding: 0.5rem 0 }
.scenario > :not(summary) { margin-left: 1rem }
a { color: inherit; text-underline-offset: 0.15em }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: 0.15rem 1rem }
dt, .groups th { color: var(--quiet) }
dd { margin: 0 }
table { border-collapse: separate; border-spacing: 0; font-size: 0.9rem }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 1rem 0.3rem 0; border-bottom: 1px solid var(--line) }
th { font-weight: normal }
thead th { font-weight: bold; vertical-align: bottom }
.wide { overflow-x: auto }
.wide th, .wide td, .line { white-space: nowrap }
.line { display: block }
.wide tr > :first-child { position: sticky; left: 0; background: var(--paper) }
.bad > *, .wide .bad > :first-child { background: var(--alarm) }
.groups th { width: 50% }
.verdict { font-size: 1.15rem; font-weight: bold; padding: 0.6rem 1rem; border-left: 0.4rem solid }
.verdict.failed, .failures li { background: var(--alarm) }
.passed { color: var(--passed) }
.failed { color: var(--failed); font-weight: bold }
.accepted-not-promised, .not-tried { color: var(--quiet) }
.failures { list-style: none; padding: 0 }
.failures li { margin: 0.5rem 0; padding: 0.6rem 1rem; border-left: 0.4rem solid var(--failed) }
details { margin: 0.25rem 0 }
summary { cursor: pointer }
@media (max-width: 40rem) {
  body { margin: 1rem auto }
  .scenario dl { display: block }
  .scenario dd { margin-bottom: 0.4rem }
}
@media print {
  :root { color-scheme: light }
  @page { margin: 1.5cm }
  body { font-size: 9.5pt; max-width: none; margin: 0; padding: 0 }
  h2, h3 { break-after: avoid }
  tr, li, dl, summary { break-inside: avoid }
  .wide { overflow: visible }
  .wide table { font-size: 7.5pt }
  details::details-content { content-visibility: visible; block-size: auto }
}
`
