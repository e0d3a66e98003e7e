// The environment in which the commands of each page of the documentation run: what the page expects its reader to have.
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Client } from 'pg'
import type { Test } from 'tap'
import { buildOpaqueToken } from '../../../src/core/opaque-token.ts'
import { type DemoPki, makeDemoPki } from '../../../src/pki/demo.ts'
import { findFreePort } from '../../../src/testing/free-port.ts'
import { startPostgres } from '../server/postgres.ts'
import { makeIssuer } from '../tokens/outside-issuer.ts'
import { readExample } from './example.ts'
import type { PageOptions, Setup } from './page.ts'
import { type Environment, startTlsbound } from './process.ts'
import { makeRepository } from './repository.ts'

const root = resolve('.')
export const cli = join(root, 'src/cli/cli.ts')

/** `tlsbound`, with and without `npx`, is this tree's command; packages are this tree's sources. */
export const commands = `
tlsbound() { command node ${cli} "$@"; }
npx() { if [ "$1" = tlsbound ]; then shift; tlsbound "$@"; else command npx "$@"; fi; }
node() { command node --conditions=tlsbound-source "$@"; }
`

export interface Place extends PageOptions {
  readonly prelude: string
  readonly env: Environment
  readonly places: readonly (readonly [string, string])[]
}

/** An empty folder, and free ports instead of the demo's. */
export async function prepare(t: Test): Promise<Place> {
  const folder = t.testdir()
  const ports = await Promise.all([findFreePort(), findFreePort(), findFreePort()])
  const [port, opsPort, appPort] = ports.map(String) as [string, string, string]
  return {
    folder,
    prelude: commands,
    env: {
      TLSBOUND_PORT: port,
      TLSBOUND_OPS_PORT: opsPort,
      TLSBOUND_OPS_URL: `http://127.0.0.1:${opsPort}`,
    },
    places: [
      ['8443', port],
      ['9443', opsPort],
      ['8444', appPort],
    ],
  }
}

/** Creates the entries of this tree that a clone has, except those that a server writes. */
function linkTree(folder: string, names = readdirSync(root)): void {
  for (const name of names)
    if (!['certs', 'data', 'run', '.git', '.tap', 'dist'].includes(name))
      symlinkSync(join(root, name), join(folder, name))
}

/** Installs this tree, and packages that it has, into a folder. */
function install(folder: string, ...packages: string[]): void {
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/tlsbound'))
  for (const name of packages) symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name))
}

/** A clone of the repository after `npm ci`. */
const clone: Setup = async t => {
  const place = await prepare(t)
  linkTree(place.folder)
  return place
}

type More = (place: Place, pki: DemoPki) => unknown

/** A folder with the certificates of the demo, and the other files of a page. */
async function prepareDemo(t: Test, more: More = () => {}): Promise<Place> {
  const place = await prepare(t)
  const pki = makeDemoPki()
  mkdirSync(join(place.folder, 'certs'))
  for (const [name, { certificate, key }] of Object.entries(pki)) {
    writeFileSync(join(place.folder, `certs/${name}.crt`), certificate)
    writeFileSync(join(place.folder, `certs/${name}.key`), key, { mode: 0o600 })
  }
  const added = await more(place, pki)
  return typeof added === 'object' ? { ...place, env: { ...place.env, ...added } } : place
}

const certificates =
  (more?: More): Setup =>
  t =>
    prepareDemo(t, more)

/** The same with a running demo server. */
const demo =
  (more?: More, env: Environment = {}): Setup =>
  async t => {
    const place = await prepareDemo(t, more)
    const { TLSBOUND_PORT = '', TLSBOUND_OPS_PORT = '' } = place.env
    await startTlsbound(t, place.folder, {
      TLSBOUND_PORT,
      TLSBOUND_OPS_PORT,
      TLSBOUND_AUDIT_FILE: 'events.jsonl',
      ...env,
    })
    return place
  }

const makeToken = () => buildOpaqueToken('rt', randomBytes(32))

/** A folder `app` with a token, a repository with one in its history, and one without. */
const leaks: More = ({ folder, env }) => {
  mkdirSync(join(folder, 'app'))
  writeFileSync(join(folder, 'app/.env'), `LEVEL=info\nTOKEN=${makeToken()}\n`)
  const repository = makeRepository(join(folder, 'repository'))
  repository.put('app/.env', `TOKEN=${makeToken()}\n`)
  repository.commit('settings')
  repository.put('app/.env', 'TOKEN=\n')
  repository.commit('settings without the token')
  makeRepository(join(folder, 'clean'))
  return env
}

/** The environment of each page; the pages of an installed service are in service-setups.ts. */
export const setups: Readonly<Record<string, Setup>> = {
  'tutorial/first-ten-minutes': clone,
  'how-to/protect-your-api': demo(({ folder }) => install(folder, 'fastify')),
  'how-to/put-a-gateway-in-front': async t => {
    const place = await prepareDemo(t)
    const [python, go] = await Promise.all([findFreePort(), findFreePort()])
    const env = {
      ...place.env,
      GOCACHE: process.env.GOCACHE ?? join(process.env.HOME ?? place.folder, '.cache/go-build'),
    }
    return { ...place, env, places: [...place.places, ['9000', String(python)], ['9001', String(go)]] }
  },
  'how-to/run-behind-a-load-balancer': async t => {
    const place = await prepareDemo(t)
    return { ...place, places: [...place.places, ['9080', String(await findFreePort())]] }
  },
  'how-to/run-several-servers': async t => {
    const postgres = await startPostgres()
    t.teardown(() => postgres.close())
    const password = randomBytes(24).toString('hex')
    const admin = new Client(postgres.url('public'))
    await admin.connect()
    await admin.query(`CREATE ROLE tlsbound LOGIN PASSWORD '${password}'`)
    await admin.query('CREATE DATABASE tlsbound OWNER tlsbound')
    await admin.end()
    const place = await prepareDemo(t, ({ folder }) =>
      writeFileSync(join(folder, 'database-password'), `${password}\n`, { mode: 0o600 }),
    )
    const ports = await Promise.all(
      ['8445', '8446', '9081', '9082'].map(async port => [port, String(await findFreePort())] as const),
    )
    const env: Environment = { PATH: place.env.PATH ?? process.env.PATH ?? '' }
    return { ...place, env, places: [...place.places, ...ports, ['5432', String(postgres.port)] as const] }
  },
  'how-to/embed-the-issuer': certificates(({ folder }) => install(folder, 'fastify')),
  'how-to/use-a-token': demo(
    ({ folder }) => {
      linkTree(folder, ['examples'])
      install(folder)
    },
    { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2', TLSBOUND_UNSAFE_TOKEN_COOKIE: 'on' },
  ),
  'how-to/use-other-libraries': async t => {
    const place = await demo(({ folder, env }) => {
      install(folder, 'undici')
      for (const name of ['undici.ts', 'python-requests.py', 'go/main.go']) {
        const path = join(folder, 'examples/clients', name)
        mkdirSync(dirname(path), { recursive: true })
        writeFileSync(path, readExample(`clients/${name}`, Number(env.TLSBOUND_PORT)))
      }
    })(t)
    // Not the first python3 of PATH, which may be one without the Debian packages.
    return { ...place, prelude: `${commands}\npython3() { /usr/bin/python3 "$@"; }\n` }
  },
  'how-to/run-the-sidecar': demo(),
  'how-to/run-an-mcp-server': async t => {
    const place = await prepareDemo(t, ({ folder }) => install(folder, 'fastify', '@modelcontextprotocol', 'zod'))
    const ports = ['8080', '8081'].map(async port => [port, String(await findFreePort())] as const)
    return { ...place, places: [...place.places, ...(await Promise.all(ports))] }
  },
  'how-to/exchange-tokens': certificates(async ({ folder, env }) => {
    const issuer = await makeIssuer()
    writeFileSync(join(folder, 'idp-keys.json'), JSON.stringify({ keys: [issuer.publicJwk] }))
    const aud = `https://localhost:${env.TLSBOUND_PORT}`
    return { OUTSIDE: await issuer.sign(Math.floor(Date.now() / 1000), { aud }) }
  }),
  'how-to/register-clients': demo(),
  'how-to/revoke': demo(),
  'how-to/respond-to-a-theft': demo(),
  'how-to/scan-in-ci': certificates(leaks),
  'how-to/receive-leak-reports': demo(),
  'how-to/notify': certificates(),
  'how-to/ship-events-to-a-siem': demo(),
  'how-to/monitor': demo(),
  'how-to/use-all-cores': demo(undefined, { TLSBOUND_WORKERS: '2' }),
  'how-to/run-on-kubernetes': async t => {
    const place = await prepare(t)
    linkTree(place.folder, ['deploy'])
    // helm.ts finds the chart in the tree.
    const helm = `helm() { local files=(); for one; do [ -f "$one" ] && one=$(realpath "$one"); files+=("$one"); done; (cd ${root}; command node test/helpers/deploy/helm.ts "\${files[@]}"); }\n`
    return { ...place, prelude: place.prelude + helm }
  },
  'how-to/watch-the-live-page': demo(),
  'how-to/run-the-replay-lab': demo(undefined, { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' }),
  'how-to/find-out-what-is-wrong': demo(),
}
