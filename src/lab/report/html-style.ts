// How the page of the report looks: by day, by night and on paper. No fonts and no pictures from elsewhere.
import { type Markup, markup } from './text.ts'

export const style: Markup = markup`
:root { color-scheme: light dark; --passed: light-dark(#1a6b2d, #7fd695); --failed: light-dark(#b3261e, #ff8a80);
  --quiet: light-dark(#5f6368, #9aa0a6); --line: light-dark(#d5d8dc, #44474a) }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem;
  color: light-dark(#1c1d1f, #e6e6e6); background: light-dark(#ffffff, #17181a); overflow-wrap: anywhere }
h1, h2, h3 { line-height: 1.25; margin: 2rem 0 0.5rem }
section { border-top: 1px solid var(--line) }
a { color: inherit }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 1rem }
dt { color: var(--quiet) }
dd { margin: 0 }
table { border-collapse: collapse; font-size: 0.9rem }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid var(--line) }
tbody th { font-weight: normal; white-space: nowrap }
td { white-space: nowrap }
.wide { overflow-x: auto }
.verdict { font-size: 1.25rem; font-weight: bold }
.passed { color: var(--passed) }
.failed { color: var(--failed); font-weight: bold }
.not-applicable, .not-tried { color: var(--quiet) }
@media print { details::details-content { content-visibility: visible; block-size: auto } }
`
