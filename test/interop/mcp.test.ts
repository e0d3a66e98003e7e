// MCP with the official SDK: the examples, a stolen token, and the metadata, which the SDK's own schemas and discovery read.
// RFC 8414 §2, §3; RFC 9728 §3, §5.1; RFC 6750 §3; N-51, N-52.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import {
  auth,
  discoverAuthorizationServerMetadata,
  discoverOAuthProtectedResourceMetadata,
  discoverOAuthServerInfo,
  extractWWWAuthenticateParams,
  type OAuthClientProvider,
} from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  OAuthMetadataSchema,
  OAuthProtectedResourceMetadataSchema,
  type OAuthTokens,
} from '@modelcontextprotocol/sdk/shared/auth.js'
import t, { type Test } from 'tap'
import { fetch as undiciFetch } from 'undici'
import { connect, createClient, readIdentityFiles } from '../../src/client/client.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { startSidecar } from '../../src/sidecar/sidecar.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { openLine } from '../helpers/client/undici-fetch.ts'
import { run } from '../helpers/process/process.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(120_000) // each example is a process

type Fetch = typeof fetch
const pki = makeDemoPki()
const folder = t.testdir({ certs: {} })
for (const [name, { certificate, key }] of Object.entries(pki)) {
  writeFileSync(join(folder, `certs/${name}.crt`), certificate)
  writeFileSync(join(folder, `certs/${name}.key`), key, { mode: 0o600 })
}
const clients = ['alice', 'bob'].map(client_id => ({
  client_id,
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: `CN=${client_id}`,
  scope: 'notes:read notes:write',
  token_bindings: ['connection', 'certificate'],
}))
writeFileSync(join(folder, 'clients.json'), JSON.stringify(clients))

const port = await findFreePort()
const origin = `https://localhost:${port}`
const url = new URL('/mcp', origin)
const flags = ['--conditions=tlsbound-source', '--input-type=module-typescript', '-e']

/** The source of an example, for the files of this test. */
function adapt(name: string, changes: Readonly<Record<string, string>>): string {
  const all = {
    'examples/clients.json': join(folder, 'clients.json'),
    'sqlite:data/mcp.db': 'sqlite::memory:',
    "'certs/": `'${folder}/certs/`,
    ...changes,
  }
  const source = readFileSync(`examples/mcp/${name}`, 'utf8')
  return Object.entries(all).reduce((text, [from, to]) => text.replaceAll(from, to), source)
}

/** Starts the example's server on a port, and waits until it listens. */
async function startExample(t: Pick<Test, 'teardown'>, port: number, changes = {}): Promise<void> {
  const source = adapt('server.ts', { '8444': String(port), ...changes })
  const child = spawn(process.execPath, [...flags, source], { cwd: resolve('.') })
  const closed = once(child, 'close')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await closed
  })
  let output = ''
  await new Promise<void>((listening, failed) => {
    const read = (chunk: Buffer) => {
      output += chunk
      if (output.includes('MCP server: https:')) listening()
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('close', () => failed(new Error(output)))
  })
}

await startExample(t, port)

const identityOf = (who: 'alice' | 'bob') => ({
  certificate: pki[who].certificate,
  key: pki[who].key,
  ca: pki.ca.certificate,
})

function openBound(t: Test, who: 'alice' | 'bob', scope = 'notes:read notes:write') {
  const client = createClient({ origin, identity: identityOf(who), scope, tokenBinding: 'connection' })
  t.teardown(() => client.close())
  return client.fetch as Fetch
}

async function connectAgent(t: Test, fetch: Fetch, headers = {}, at = url) {
  const transport = new StreamableHTTPClientTransport(at, { fetch, requestInit: { headers } })
  const agent = new Client({ name: 'agent', version: '1.0.0' })
  t.teardown(() => agent.close())
  await agent.connect(transport)
  return { agent, sessionId: transport.sessionId ?? '' }
}

/** A fetch without tlsbound: with the certificate of an identity, or none. It records the last answer. */
function openPlain(
  t: Test,
  who: 'alice' | 'bob' | null,
  server: Parameters<typeof openLine>[1] = { port, pki },
  at = origin,
) {
  const line = openLine(t, server, who && server.pki[who], { origin: at, allowH2: true })
  const seen: { answer?: Response } = {}
  const fetch = async (to: string | URL, init: object) => {
    seen.answer = await line.fetch(String(to), init)
    return seen.answer
  }
  return { fetch: fetch as Fetch, seen }
}

const printed = /\[ 'list_notes', 'add_note' \]\n\[.*type: 'text', text: 'written at \d{4}-/s

t.test('lists and calls tools with the client that uses client.fetch', async t => {
  const ended = await run(process.execPath, [...flags, adapt('client.ts', { '8444': String(port) })], process.cwd())
  t.match(ended, { code: 0, stdout: printed, stderr: '' })
})

t.test('lists and calls tools with the client that knows nothing of tlsbound, through the sidecar', async t => {
  const files = { certFile: 'alice.crt', keyFile: 'alice.key', caFile: 'ca.crt' }
  const paths = Object.entries(files).map(([name, file]) => [name, join(folder, 'certs', file)])
  const client = createClient({ origin, identity: readIdentityFiles(Object.fromEntries(paths)) })
  const sidecar = await startSidecar({ client, listen: { port: 0 } })
  t.teardown(() => sidecar.close(0))
  const path = resolve('examples/mcp/plain-client.ts')
  t.notMatch(readFileSync(path, 'utf8').replaceAll(/^\/\/.*$/gm, ''), /tlsbound|certs/, 'it knows nothing')
  const ended = await run(process.execPath, [path, `${sidecar.address}/mcp`], process.cwd())
  t.match(ended, { code: 0, stdout: printed, stderr: '' })
})

t.test('refuses the same client without the sidecar, with a challenge that names the metadata (N-52)', async t => {
  for (const who of [null, 'alice'] as const) {
    const { fetch, seen } = openPlain(t, who)
    await t.rejects(connectAgent(t, fetch), { code: 401, message: /no_token/ })
    const { resourceMetadataUrl, error } = extractWWWAuthenticateParams(seen.answer as Response)
    t.equal(resourceMetadataUrl?.href, `${origin}/.well-known/oauth-protected-resource/mcp`)
    t.equal(error, undefined, 'RFC 6750 §3: no error code without a token')
    const found = await discoverOAuthServerInfo(url, {
      ...(resourceMetadataUrl && { resourceMetadataUrl }),
      fetchFn: fetch,
    })
    t.match(found, {
      authorizationServerUrl: origin,
      authorizationServerMetadata: { issuer: origin, token_endpoint: `${origin}/oauth/token` },
      resourceMetadata: { resource: url.href },
    })
  }
})

t.test('refuses a stolen token on every other connection', async t => {
  const own = await connect(origin, identityOf('alice'), { tokenBinding: 'connection' })
  t.teardown(() => own.destroy())
  const { headers } = await own.token()
  const onOwn = (to: string | URL, init: object) => undiciFetch(to, { ...init, dispatcher: own.dispatcher })
  const { agent, sessionId } = await connectAgent(t, onOwn as unknown as Fetch, headers)
  t.match(await agent.listTools(), { tools: [{ name: 'list_notes' }, {}] }, 'control: on its own connection')

  const thieves = { alice: 'connection_mismatch', bob: 'certificate_mismatch' } as const
  for (const [who, reason] of Object.entries(thieves) as ['alice' | 'bob', string][]) {
    await t.rejects(connectAgent(t, openPlain(t, who).fetch, headers), { code: 401, message: new RegExp(reason) })
    const stolen = { ...headers, 'mcp-session-id': sessionId }
    await t.rejects(
      connectAgent(t, openPlain(t, who).fetch, stolen),
      { code: 401, message: new RegExp(reason) },
      'session',
    )
  }
  await t.rejects(connectAgent(t, openPlain(t, null).fetch, headers), { code: 401, message: /no_certificate/ })
  t.match(await agent.listTools(), { tools: [{}, {}] }, 'the client continues to work')
})

t.test('an agent that turns against its sidecar gets no token, and cannot widen its scope', async t => {
  const client = createClient({ origin, identity: identityOf('alice'), scope: 'notes:read' })
  const sidecar = await startSidecar({ client, listen: { port: 0 } })
  t.teardown(() => sidecar.close(0))
  const at = new URL('/mcp', sidecar.address)
  const { agent } = await connectAgent(t, fetch, {}, at)
  t.match(await agent.callTool({ name: 'list_notes' }), { content: Array }, 'control: it uses the API within its scope')
  t.notMatch(await (await fetch(new URL('/_status', sidecar.address))).text(), /\bey[A-Z]|PRIVATE/, 'no token, no key')

  // The sidecar adds its token to every request, and the issuer refuses a client that sends one. So the agent gets no token of its own.
  const form = { grant_type: 'client_credentials', client_id: 'alice', token_binding: 'certificate', token: 'x' }
  const request = { method: 'POST', body: new URLSearchParams(form) }
  for (const path of ['/oauth/token', '/oauth/introspect', '/oauth/revoke']) {
    const refused = await fetch(new URL(path, sidecar.address), request)
    t.match([refused.status, await refused.json()], [400, { reason: 'malformed_request' }], path)
  }
  const direct = await openPlain(t, 'alice').fetch(new URL('/oauth/token', origin), request)
  t.equal(direct.status, 200, 'control: with the certificate, and without the sidecar')

  // A token that the agent has from elsewhere changes nothing.
  const { access_token } = (await direct.json()) as { access_token: string }
  const headers = { authorization: `Bearer ${access_token}` }
  const { agent: wide } = await connectAgent(t, fetch, headers, at)
  const add = { name: 'add_note', arguments: { text: 'injected' } }
  t.match(await wide.callTool(add), { isError: true, content: [{ text: /notes:write/ }] }, 'the sidecar replaces it')
  t.match(await agent.listTools(), { tools: [{}, {}] }, 'control: the sidecar continues to work')
})

t.test('a route that requires a proof for each request cannot be used through a sidecar', async t => {
  const own = await findFreePort()
  const server = await startTestServer({
    env: { TLSBOUND_PORT: String(own) },
    clients: [{ ...clients[0], token_bindings: ['proof'] }],
    pki,
    routes: app => {
      app.get('/each', { config: { requireToken: { proof: 'per-request' } } }, () => 'reached')
      app.get('/once', { config: { requireToken: { binding: 'proof' } } }, () => 'reached')
    },
  })
  t.teardown(() => server.close())
  const client = createClient({ origin: server.origin, identity: identityOf('alice') })
  const sidecar = await startSidecar({ client, listen: { port: 0 } })
  t.teardown(() => sidecar.close(0))
  t.match(await fetch(new URL('/once', sidecar.address)), { status: 200 }, 'control: one proof for the connection')
  const refused = await fetch(new URL('/each', sidecar.address))
  t.match([refused.status, await refused.json()], [401, { reason: 'proof_invalid' }])
})

t.test('refuses a token of a weaker level', async t => {
  const client = createClient({ origin, identity: identityOf('alice'), tokenBinding: 'certificate' })
  t.teardown(() => client.close())
  await t.rejects(connectAgent(t, client.fetch as Fetch), { code: 401, message: /binding_too_weak/ })
})

t.test('a session belongs to its client, and a tool has the scope of its token', async t => {
  const alice = openBound(t, 'alice')
  const { agent, sessionId } = await connectAgent(t, alice)
  const add = { name: 'add_note', arguments: { text: 'of alice' } }
  t.match(await agent.callTool(add), { content: [{ text: 'added' }] })
  const take = (fetch: Fetch) =>
    fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': sessionId,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list' }),
    })
  t.match(await take(alice), { status: 200 }, 'control')
  const bob = openBound(t, 'bob')
  t.match(await take(bob), { status: 404 })
  const other = await connectAgent(t, bob)
  t.same((await other.agent.callTool({ name: 'list_notes' })).content, [], 'bob has no notes')

  const reader = await connectAgent(t, openBound(t, 'alice', 'notes:read'))
  t.match(await reader.agent.callTool(add), { isError: true, content: [{ text: /notes:write/ }] })
})

t.test('ends the oldest session of a client with too many, and none of another client', async t => {
  const { agent: bob } = await connectAgent(t, openBound(t, 'bob'))
  const fetch = openBound(t, 'alice')
  const { agent: first } = await connectAgent(t, fetch)
  t.match(await first.listTools(), { tools: [{}, {}] }, 'control')
  await Promise.all(Array.from({ length: 10 }, () => connectAgent(t, fetch)))
  await t.rejects(first.listTools(), { code: 404 })
  t.match(await bob.listTools(), { tools: [{}, {}] })
})

t.test('the stream to a client ends with its token, and the SDK opens another one', async t => {
  const own = await findFreePort()
  await startExample(t, own, { 'opsPort: 0,': 'opsPort: 0, accessTokenLifetime: 3,' })
  const { origin } = new URL(`https://localhost:${own}`)
  const client = createClient({ origin, identity: identityOf('alice') })
  t.teardown(() => client.close())
  const ended: string[] = []
  let streams = 0
  const fetch: Fetch = async (input, init) => {
    const answer = await (client.fetch as Fetch)(input, init)
    if (init?.method !== 'GET' || answer.body === null) return answer
    streams++
    const watched = answer.body.pipeThrough(new TransformStream({ flush: () => void ended.push('whole') }))
    return new Response(watched, answer)
  }
  const { agent } = await connectAgent(t, fetch, {}, new URL('/mcp', origin))
  await until(() => ended.length > 0 && streams > 1)
  t.equal(ended[0], 'whole')
  t.match(await agent.listTools(), { tools: [{}, {}] }, 'the session continues')
})

/** An MCP client that requests its own token for client_credentials, as the SDK's providers do. */
function createProvider(authenticate = true): OAuthClientProvider & { saved?: OAuthTokens } {
  return {
    redirectUrl: undefined,
    clientMetadata: { redirect_uris: [] },
    clientInformation: () => ({ client_id: 'alice' }),
    saveClientInformation() {},
    tokens() {
      return this.saved
    },
    saveTokens(tokens) {
      this.saved = tokens
    },
    redirectToAuthorization() {},
    saveCodeVerifier() {},
    codeVerifier: () => '',
    prepareTokenRequest: () => new URLSearchParams({ grant_type: 'client_credentials' }),
    ...(authenticate && {
      addClientAuthentication: (_headers: Headers, parameters: URLSearchParams) => parameters.set('client_id', 'alice'),
    }),
  } as OAuthClientProvider & { saved?: OAuthTokens }
}

t.test('the SDK finds the token endpoint by itself, and gets a token over mutual TLS', async t => {
  const provider = createProvider()
  const { fetch } = openPlain(t, 'alice')
  const transport = new StreamableHTTPClientTransport(url, { fetch, authProvider: provider })
  const agent = new Client({ name: 'agent', version: '1.0.0' })
  t.teardown(() => agent.close())
  await agent.connect(transport)
  t.match(await agent.listTools(), { tools: [{}, {}] })
  t.match(provider.saved, { token_type: 'Bearer', scope: 'notes:read notes:write' })
})

t.test('the SDK reports that there is no interactive login, and opens none', async t => {
  const { prepareTokenRequest: _, ...interactive } = createProvider()
  const opened: URL[] = []
  const provider = {
    ...interactive,
    redirectUrl: 'http://127.0.0.1/callback',
    redirectToAuthorization: (to: URL) => void opened.push(to),
  } as OAuthClientProvider
  const { fetch } = openPlain(t, 'alice')
  await t.rejects(auth(provider, { serverUrl: url, fetchFn: fetch }), /does not support response type code/)
  t.same(opened, [])
})

for (const [issuer, audience] of [
  ['https://localhost:8443', 'https://localhost:8443'],
  ['https://localhost:8443', 'https://localhost:8443/mcp'],
  ['https://localhost:8443/', 'https://localhost:8443/a/mcp'],
  ['https://localhost:8443/tenant', 'https://localhost:8443/mcp'],
] as const)
  t.test(`the SDK reads the metadata of ${audience} and ${issuer} (N-51, N-52)`, async t => {
    const server = await startTestServer({ env: { TLSBOUND_ISSUER: issuer, TLSBOUND_AUDIENCE: audience } })
    t.teardown(() => server.close())
    const { fetch } = openPlain(t, null, server, 'https://localhost:8443')
    // The SDK tries the path of its URL first, then the root: an audience without a path is that of every MCP server there.
    const at = new URL(audience).pathname === '/' ? new URL('/mcp', audience) : audience
    const resource = await discoverOAuthProtectedResourceMetadata(at, undefined, fetch)
    t.match(resource, { resource: audience, authorization_servers: [issuer], bearer_methods_supported: ['header'] })
    const found = await discoverAuthorizationServerMetadata(issuer, { fetchFn: fetch })
    t.match(found, { issuer, response_types_supported: ['none'] })
    t.same(found, OAuthMetadataSchema.parse(found))
    t.same(resource, OAuthProtectedResourceMetadataSchema.parse(resource))
    for (const document of [found, resource])
      for (const [name, value] of Object.entries(document as object))
        if (Array.isArray(value)) t.ok(value.length > 0, `${name} is not empty (RFC 8414 §3.2, RFC 9728 §3.2)`)
    // Controls: without either member, the SDK reads no metadata at all.
    for (const member of ['response_types_supported', 'authorization_endpoint'])
      t.notOk(OAuthMetadataSchema.safeParse({ ...found, [member]: undefined }).success, member)
  })
