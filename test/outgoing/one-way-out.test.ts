// Only src/outgoing/connect.ts opens TLS connections, and no code makes Node build the legacy object of a certificate
// or of a chain. Checked in the source text.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter(name => /\.[jt]s$/.test(name) && !name.startsWith('page/'))
  .map(name => ({ name, text: withoutComments(readFileSync(join('src', name), 'utf8')) }))

function withoutComments(text: string): string {
  return text.replace(/\/\*.*?\*\/|(?<=^|\s)\/\/[^\n]*/gs, '')
}

/** The values that a source imports from a module, by their names; `*` for all. Types do not count. */
function importsOf(text: string, module: string): string[] {
  const statement = new RegExp(`^import (?!type )([^']*?) from '${module}'|\\b(import|require)\\('${module}'\\)`, 'gms')
  return [...text.matchAll(statement)].flatMap(([, what]) => {
    const names = /^\{(.*)\}$/s.exec(what ?? '')?.[1]?.split(',')
    if (names === undefined) return ['*']
    return names.flatMap(name => (/^\s*(type\s|$)/.test(name) ? [] : [name.trim().split(' ')[0] as string]))
  })
}

/** What may be imported from a module that can connect, and where. Names that connect list their places. */
const rules: Readonly<Record<string, readonly { readonly name: string; readonly places: readonly string[] }[]>> = {
  'node:tls': [
    { name: 'connect', places: ['outgoing/connect.ts'] },
    { name: 'Server', places: ['tls/adopt.ts'] }, // for instanceof
    { name: 'TLSSocket', places: ['outgoing/peer-certificate.ts', 'tls/timeouts.ts'] },
    { name: 'createSecureContext', places: [] },
    { name: 'rootCertificates', places: [] }, // does not connect
    { name: 'createServer', places: ['lab/scenarios/relay.ts'] },
  ],
  'node:https': [],
  'node:http2': [
    // Both use an existing connection.
    { name: 'connect', places: ['client/connection/http2.ts', 'lab/connection.ts'] },
    { name: 'constants', places: [] },
    { name: 'createSecureServer', places: [] },
    { name: 'Http2ServerResponse', places: [] }, // of the server
  ],
  pg: [
    { name: 'Client', places: ['store/postgres-client.ts', 'store/postgres-connection.ts'] }, // the latter parses a URL with it
    { name: 'Pool', places: ['store/postgres-connection.ts'] }, // of PostgresClient
    { name: 'DatabaseError', places: [] },
    { name: 'types', places: [] },
  ],
  undici: [
    { name: 'Client', places: ['client/connection/http1.ts'] }, // its connector returns an existing connection
    { name: 'Pool', places: ['gateway/upstream.ts'] }, // its connector opens connections with connect.ts, or plain ones
    { name: 'fetch', places: ['client/fetch.ts'] }, // uses the dispatcher of the client
    { name: 'Dispatcher', places: [] },
    { name: 'errors', places: [] },
    { name: 'Request', places: [] },
    { name: 'Response', places: [] },
  ],
}

t.test('only src/outgoing/connect.ts opens TLS connections', async t => {
  t.ok(sources.length > 200)
  for (const [module, known] of Object.entries(rules))
    for (const { name, text } of sources)
      for (const imported of importsOf(text, module)) {
        const rule = known.find(entry => entry.name === imported)
        t.ok(rule !== undefined, `${name} imports ${imported} from ${module}`)
        if (rule !== undefined && rule.places.length > 0)
          t.ok(rule.places.includes(name), `${name}: ${imported} of ${module}`)
      }
})

t.test('each library that can connect gets an existing connection, or does not use TLS', async t => {
  const textOf = (name: string) => sources.find(source => source.name === name)?.text ?? ''
  t.match(textOf('client/connection/http2.ts'), /connect\(origin, \{\s*createConnection: \(\) => socket,/)
  t.match(textOf('lab/connection.ts'), /createConnection: \(\) => socket/)
  t.match(textOf('client/connection/http1.ts'), /new Client\(origin, \{[^}]*\bconnect\(_options, done\)/s)
  t.match(textOf('store/postgres-client.ts'), /connection\.on\('sslconnect', \(\) => protectPeerCertificate\(/)
  t.match(textOf('store/postgres-connection.ts'), /new Pool\(\{ \.\.\.config, Client: PostgresClient,/)
  t.match(textOf('client/fetch.ts'), /fetch\(target, \{ \.\.\.init, dispatcher: through \}\)/)
  t.match(textOf('cli/ops.ts'), /\^http:\\\/\\\/\(127/, 'the ops listener is plain HTTP on this machine')
  const callers = sources.filter(({ text }) => /(?<![.\w])fetch\(/.test(text)).map(({ name }) => name)
  t.same(callers.sort(), ['cli/ops.ts', 'client/fetch.ts'], 'nobody else calls fetch')
})

t.test('no code makes Node build the legacy object of a certificate', async t => {
  for (const { name, text } of sources) {
    if (name !== 'outgoing/peer-certificate.ts') t.notMatch(text, /getPeerCertificate/, name)
    t.notMatch(text, /toLegacyObject|\.getCertificate\(|translatePeerCertificate|checkServerIdentity\(/, name)
    t.notMatch(text, /buildConnector/, name)
    // The listener, which verifies clients itself; and the lab's relay, which must look like the server to its victim.
    if (!['tls/options.ts', 'lab/scenarios/relay.ts'].includes(name))
      t.notMatch(text, /rejectUnauthorized: false/, name)
  }
})
