// docs/reference/settings.md: every setting with its default, the form of its value, and its meaning.
import { settingsTable } from '../../src/settings/settings.ts'
import { type Files, generatedFrom, table } from './generator.ts'

export function generate(): Files {
  const rows = Object.values(settingsTable).map(({ name, shown, form, meaning }) => [
    `\`${name}\``,
    shown,
    form.words,
    meaning,
  ])
  return {
    'docs/reference/settings.md': `# Settings

${generatedFrom('src/settings/settings.ts', 'settings')}
This page lists every setting of the server (\`tlsbound serve\`).

Settings are environment variables. An empty variable counts as absent. Secrets are given as files, never as values.
All invalid settings are reported together, and the server does not start. A \`TLSBOUND_\` variable that is not a setting or an
option of the [command line](command-line.md) is reported too. The variables that Kubernetes adds for a service called \`tlsbound\` are
ignored with a warning, such as \`TLSBOUND_PORT=tcp://…\`. \`tlsbound serve --check\` reports problems without starting.

${table(['setting', 'default', 'value', 'meaning'], rows)}
A secret has mode 0600. A secret of root may also be readable by a group of the server (0440, 0640), as in a pod with \`fsGroup\` and
\`defaultMode: 0440\`.

Without \`TLSBOUND_TLS_CERT_FILE\`, \`TLSBOUND_TLS_KEY_FILE\` and \`TLSBOUND_TLS_CLIENT_CA_FILE\`, the server runs the demo: it
creates certificates in \`certs/\`, and registers the demo's clients unless \`TLSBOUND_CLIENTS_FILE\` is set. The three are
given together, and \`TLSBOUND_CLIENTS_FILE\` with them. With \`NODE_ENV=production\` the demo is refused, and more:
[production mode](production-mode.md).

## Signals

| signal | effect |
|---|---|
| \`SIGHUP\` | loads the files below again, without dropping a request |
| \`SIGTERM\`, \`SIGINT\` | completes a start and the requests under way, then exits; after eight seconds at the latest, nine with workers. Repeated after more than a second, it ends the server at once |
| \`SIGUSR1\` | ignored: no debugger starts |

The server notices a changed file by itself within two seconds, also when a symbolic link leads to another file, as in a volume of
Kubernetes; \`tlsbound reload\` and \`SIGHUP\` load all of them at once. Each of these is loaded whole or not at all. If one is invalid, the log says why, and the previous one stays in use:

- certificate, private key, authorities and revocation lists, together,
- \`TLSBOUND_CLIENTS_FILE\`: a client whose registration has changed or is gone loses what it holds; a registration in the store
  overrides the file,
- \`TLSBOUND_TRUSTED_ISSUERS_FILE\`: tokens that were exchanged before stay valid when their issuer is removed,
- \`TLSBOUND_LEAK_KEYS_FILE\`,
- \`TLSBOUND_WEBHOOKS_FILE\`,
- \`TLSBOUND_GATEWAY_FILE\`.

Files that these name are watched too. Files that cannot be used are logged once, and tried again when one of them changes, and every ten
seconds. A gateway (\`tlsbound gateway\`) notices its files in the same way.

A reload also checks the signing keys, which the server otherwise checks every ten seconds, and opens \`TLSBOUND_AUDIT_FILE\` again if
that was renamed. Every other setting takes effect at the next start.

A reload is refused if no client could be accepted after it, or if the server's certificate is not valid now. Comments and line
ends in the files change nothing. Start and reload log what is in use, when each part of it ends, and which authority has no
list in force. After a change of authorities or lists, live connections end as the [limits](limits.md#time) say.
`,
  }
}
