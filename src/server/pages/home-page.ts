// The page that shows users how the server sees their connection. It has no script, and every value of a certificate is
// escaped.
import { confirm, type TokenBinding } from '../../core/confirmation.ts'
import { detailOf, details } from '../../core/details.ts'
import { OAuthError, type Reason, reasons } from '../../core/errors.ts'
import type { Presenter } from '../../core/presenter.ts'
import { describeSubject } from '../../core/subject-rule.ts'
import { drawGlyph } from '../../page/glyph.js'
import { type Markup, markup } from '../../text/markup.ts'
import type { RegisteredClient } from '../clients/registry.ts'

/** The body of `GET /binding`. */
export interface ConnectionFacts {
  readonly protocol: string | null
  readonly cipher: string | null
  readonly resumed: boolean
  readonly certificate: object | null
  readonly bindings: Readonly<Partial<Record<string, string>>>
  /** Present if the connection is that of a proxy. */
  readonly attested?: string | undefined
}

type Registration = Pick<RegisteredClient, 'client' | 'disabled'> | undefined

/**
 * Renders the page. `presenter`: the presenter, or why there is none. `registration`: the matching client. `http`: the HTTP
 * version.
 */
export function writeHomePage(
  facts: ConnectionFacts,
  presenter: Presenter | Reason,
  registration: Registration,
  http: string,
): string {
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
${writeVerdict(presenter, registration)}
<section class="panel" aria-labelledby="connection">
<h2 id="connection">This connection</h2>
<dl class="facts">
<dt>Protocol</dt><dd>${facts.protocol ?? 'unknown'}, ${http}</dd>
<dt>Cipher</dt><dd>${facts.cipher ?? 'unknown'}</dd>
<dt>Handshake</dt><dd>${facts.resumed ? 'resumed from an earlier one' : 'full, not resumed from an earlier one'}</dd>
${Object.entries(facts.bindings).map(([type, print]) => markup`<dt>${type}</dt><dd>${writePrint(print ?? '')}</dd>`)}
</dl>
${writeBindingNote(facts)}
</section>
<section class="panel" aria-labelledby="certificate">
<h2 id="certificate">Your certificate</h2>
${writeCertificate(facts, presenter)}
</section>
<section class="panel" aria-labelledby="token">
<h2 id="token">A token that is issued to you here</h2>
${writeConfirmations(presenter, registration)}
</section>
</main>
<footer>This page has no script, no cookie and no token. <a href="/binding">The same for programs.</a></footer>
</body>
</html>
`
  return page.markup
}

function writeVerdict(presenter: Presenter | Reason, registration: Registration): Markup {
  if (typeof presenter === 'string') {
    const what =
      presenter === 'no_certificate' ? 'You presented no client certificate.' : 'Your certificate is rejected.'
    return writeProblem(markup`${what} No token is issued to you, and none is accepted. <b>${reasons[presenter]}</b>`)
  }
  if (registration === undefined)
    return writeProblem(markup`Your certificate is trusted, but not registered: it matches no client of this server. No token is
issued to it until a client is registered with its subject or thumbprint.`)
  const { client, disabled } = registration
  if (disabled)
    return writeProblem(markup`Your certificate is trusted, and registered for the client <bdi>${client.id}</bdi>, which is
disabled. No token is issued to it, and none is accepted.`)
  return markup`<p class="verdict good"><span aria-hidden="true">✓</span> The server knows you as the client
<bdi>${client.id}</bdi>: your certificate is trusted and registered, and you proved that you hold its key.</p>`
}

function writeProblem(sentence: Markup): Markup {
  return markup`<p class="verdict bad"><span aria-hidden="true">!</span> ${sentence}</p>`
}

function writeBindingNote({ bindings, attested }: ConnectionFacts): Markup {
  const { cause, remedy } = details.binding_unavailable[attested === undefined ? 'no_channel_binding' : 'attested']
  if (Object.keys(bindings).length === 0) return markup`<p>${cause} ${remedy}</p>`
  return markup`<p class="note">Both ends derive this value from the keys of the connection; it is never sent, and no other
connection has it. A new connection has a new value.</p>`
}

function writeCertificate({ certificate }: ConnectionFacts, presenter: Presenter | Reason): Markup {
  if (certificate === null) return markup`<p>None was sent in the TLS handshake.</p>`
  if (typeof presenter === 'string') return markup`<p>One was sent: <code>${presenter}</code>.</p>`
  const subject = describeSubject(presenter.certificate.x509)
  return markup`<dl class="facts">
<dt>Subject</dt><dd><bdi>${subject ?? 'none'}</bdi></dd>
<dt>Valid until</dt><dd>${presenter.certificate.x509.validToDate.toUTCString()}</dd>
<dt>x5t#S256</dt><dd>${writePrint(presenter.certificate.thumbprint)}</dd>
</dl>`
}

const levels: Readonly<Record<TokenBinding, string>> = {
  connection: `works on this connection only. A thief of the token is refused everywhere else, and so is a thief of your
private key.`,
  proof: `works on every connection of your certificate, with a proof that your private key signs for each connection. A thief
of the token, or of the token and its proof, is refused.`,
  certificate: 'works on every connection of your certificate, and is refused for every other certificate.',
}

/** All levels, strongest first. */
const strongestFirst = ['connection', 'proof', 'certificate'] as const satisfies readonly TokenBinding[]

function writeConfirmations(presenter: Presenter | Reason, registration: Registration): Markup {
  if (typeof presenter === 'string') return markup`<p>None is issued: <code>${presenter}</code>.</p>`
  if (registration === undefined) return markup`<p>None is issued: <code>unknown_client</code>.</p>`
  if (registration.disabled) return markup`<p>None is issued: <code>client_disabled</code>.</p>`
  const { bindings } = registration.client
  return markup`${strongestFirst.map(level => writeLevel(presenter, level, bindings.includes(level)))}`
}

function writeLevel(presenter: Presenter, level: TokenBinding, isAllowed: boolean): Markup {
  if (!isAllowed) return markup`<p>Level <b>${level}</b>: your registration does not allow it.</p>`
  try {
    const cnf = confirm(presenter, level)
    return markup`<p>At level <b>${level}</b> it ${levels[level]}</p>${writeConfirmation(cnf)}`
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    return markup`<p>Level <b>${level}</b>: ${detailOf(error.reason, error.detail).cause.replace(/ ?\{\w+\}/g, '')}</p>`
  }
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
