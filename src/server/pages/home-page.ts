// The page that tells people what the server sees of their connection. No script; whatever came in a certificate is escaped.
import { confirm } from '../../core/confirmation.ts'
import { type Reason, reasons } from '../../core/errors.ts'
import type { Presenter } from '../../core/presenter.ts'
import { describeSubject } from '../../core/subject-rule.ts'
import { drawGlyph } from '../../page/glyph.js'
import { type Markup, markup } from '../../text/markup.ts'

/** What `GET /binding` says. */
export interface ConnectionFacts {
  readonly protocol: string | null
  readonly cipher: string
  readonly resumed: boolean
  readonly certificate: object | null
  readonly bindings: Readonly<Partial<Record<string, string>>>
}

/** Writes the page. `presenter`: or why there is none; `http`: the version of HTTP. */
export function writeHomePage(facts: ConnectionFacts, presenter: Presenter | Reason, http: string): string {
  const page = markup`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Your connection – tlsbound</title>
<link rel="icon" href="/page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page/style.css">
</head>
<body>
<header class="top narrow"><div><p class="brand">tlsbound</p><h1>Your connection, as the server sees it</h1></div></header>
<main class="narrow">
${writeVerdict(presenter)}
<section class="panel" aria-labelledby="connection">
<h2 id="connection">This connection</h2>
<dl class="facts">
<dt>Protocol</dt><dd>${facts.protocol ?? 'unknown'}, ${http}</dd>
<dt>Cipher</dt><dd>${facts.cipher}</dd>
<dt>Handshake</dt><dd>${facts.resumed ? 'resumed from an earlier one' : 'full, not resumed from an earlier one'}</dd>
${Object.entries(facts.bindings).map(([type, print]) => markup`<dt>${type}</dt><dd>${writePrint(print ?? '')}</dd>`)}
</dl>
${writeBindingNote(facts.bindings)}
</section>
<section class="panel" aria-labelledby="certificate">
<h2 id="certificate">Your certificate</h2>
${writeCertificate(facts, presenter)}
</section>
<section class="panel" aria-labelledby="token">
<h2 id="token">A token that is issued to you here</h2>
${writeConfirmations(presenter)}
</section>
</main>
<footer>This page has no script, no cookie and no token. <a href="/binding">The same for programs.</a></footer>
</body>
</html>
`
  return page.markup
}

function writeVerdict(presenter: Presenter | Reason): Markup {
  if (typeof presenter !== 'string')
    return markup`<p class="verdict good"><span aria-hidden="true">✓</span> The server knows who you are: you have shown a
certificate that it trusts, and proved that you hold its key.</p>`
  const what =
    presenter === 'no_certificate' ? 'You have shown no client certificate.' : 'Your certificate will not do.'
  return markup`<p class="verdict bad"><span aria-hidden="true">!</span> ${what} No token would be issued to you, and none
accepted. <b>${reasons[presenter]}</b></p>`
}

function writeBindingNote(bindings: ConnectionFacts['bindings']): Markup {
  if (Object.keys(bindings).length === 0) return markup`<p>${reasons.binding_unavailable}</p>`
  return markup`<p class="note">Both ends derive this value from the keys of the connection; it is never sent, and no other
connection has it. Close the browser and come again: it will be another one.</p>`
}

function writeCertificate({ certificate }: ConnectionFacts, presenter: Presenter | Reason): Markup {
  if (certificate === null) return markup`<p>None was sent in the TLS handshake.</p>`
  if (typeof presenter === 'string') return markup`<p>One was sent: <code>${presenter}</code>.</p>`
  const subject = describeSubject(presenter.certificate.x509)
  return markup`<dl class="facts">
<dt>Subject</dt><dd><bdi>${subject ?? 'none'}</bdi></dd>
<dt>Good until</dt><dd>${presenter.certificate.x509.validToDate.toUTCString()}</dd>
<dt>x5t#S256</dt><dd>${writePrint(presenter.certificate.thumbprint)}</dd>
</dl>`
}

function writeConfirmations(presenter: Presenter | Reason): Markup {
  if (typeof presenter === 'string') return markup`<p>There would be none: <code>${presenter}</code>.</p>`
  const certificate = markup`<p>At level <b>certificate</b> it works on every connection of your certificate, and is refused
for every other certificate:</p>${writeConfirmation(confirm(presenter, 'certificate'))}`
  if (Object.keys(presenter.bindings).length === 0) return certificate
  return markup`<p>At level <b>connection</b> it works on this connection only. Whoever steals it, and your private key too,
is refused everywhere else:</p>${writeConfirmation(confirm(presenter, 'connection'))}${certificate}`
}

function writeConfirmation(cnf: object): Markup {
  const lines = JSON.stringify({ cnf }, undefined, 2).split('\n')
  return markup`<pre tabindex="0"><code>${lines.map(line => markup`${line}`)}</code></pre>`
}

function writePrint(print: string): Markup {
  const { path, hue } = drawGlyph(print)
  return markup`<span class="print"><svg class="glyph hue-${hue}" viewBox="0 0 6 6" aria-hidden="true"><path
d="${path}"/></svg><code>${print}</code></span>`
}
