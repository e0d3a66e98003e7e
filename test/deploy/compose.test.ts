// compose.yaml: docker-compose accepts it, each service is confined, no password has a default, and what it mounts exists.
import { execFile } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import t from 'tap'
import { settingsTable } from '../../src/settings/settings.ts'
import { startTlsbound } from '../helpers/process/process.ts'
import { startPostgres } from '../helpers/server/postgres.ts'

t.setTimeout(120_000)
const run = promisify(execFile)

interface Service {
  readonly image: string
  readonly environment?: Readonly<Record<string, string>>
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly privileged?: boolean
  readonly network_mode?: string
  readonly networks?: Readonly<Record<string, unknown>>
  readonly ports?: readonly (string | { readonly target: number; readonly published: number })[]
  readonly volumes: readonly string[]
  readonly healthcheck?: { readonly test: readonly string[] }
}

interface Project {
  readonly services: Readonly<Record<string, Service>>
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
}

/** A copy of what compose.yaml names, with the files of an operator. */
const folder = t.testdir()
mkdirSync(join(folder, 'deploy/compose'), { recursive: true })
copyFileSync('compose.yaml', join(folder, 'compose.yaml'))
writeFileSync(join(folder, 'deploy/compose/settings.env'), 'TLSBOUND_ISSUER=https://localhost:8443\n')

/** Returns the project as docker-compose understands it. Rejects with what it objects to. */
async function readProject(file: string): Promise<Project> {
  const { stdout } = await run('docker-compose', ['-f', file, 'config'], { cwd: folder }).catch(cause => {
    if (cause.code === 'ENOENT')
      throw new Error('this test needs docker-compose: install the Debian package docker-compose')
    throw new Error(cause.stderr)
  })
  const running = run('python3', ['-c', 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)'])
  running.child.stdin?.end(stdout)
  return JSON.parse((await running).stdout)
}

const { services, secrets } = await readProject('compose.yaml')

t.test('is accepted by docker-compose, and a mistake is not', async t => {
  t.same(Object.keys(services).sort(), ['grafana', 'postgres', 'prometheus', 'tlsbound'])
  t.equal(services.tlsbound?.image, `tlsbound:${JSON.parse(readFileSync('package.json', 'utf8')).version}`)
  const text = readFileSync('compose.yaml', 'utf8')
  writeFileSync(join(folder, 'wrong.yaml'), text.replace('stop_grace_period', 'stop_grace'))
  await t.rejects(readProject('wrong.yaml'), /stop_grace/)
})

t.test('confines each service, and publishes only TLS and, on this machine, Grafana', async t => {
  for (const [name, service] of Object.entries(services)) {
    t.match(service, { read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] }, name)
    t.notOk(service.privileged, name)
    t.match(service.image, /:[\w.-]+$/, `${name} has a version`)
    t.notMatch(service.image, /:latest$/)
  }
  const published = Object.entries(services).flatMap(([name, { ports = [] }]) => ports.map(port => [name, port]))
  t.same(published, [
    ['grafana', '127.0.0.1:3000:3000/tcp'],
    ['tlsbound', { published: 8443, target: 8443 }],
  ])
  t.equal(services.postgres?.network_mode, 'none')
  const { networks } = JSON.parse(JSON.stringify(services.prometheus)) as Service
  t.same(Object.keys(networks ?? {}).sort(), ['dashboards', 'metrics'])
  for (const name of ['postgres', 'prometheus', 'grafana'])
    t.ok(services[name]?.healthcheck?.test, `${name} has a health check; that of the server is in its image`)
})

t.test('has no password, and only settings that exist', async t => {
  const known = new Set(Object.values(settingsTable).map(({ name }) => name))
  for (const { environment = {} } of Object.values(services))
    for (const [name, value] of Object.entries(environment)) {
      if (name.startsWith('TLSBOUND_')) t.ok(known.has(name), name)
      if (/PASSWORD|SECRET|TOKEN/.test(name)) t.match(name, /_FILE$/, name)
      t.notMatch(value, /:\/\/[^/]*:[^/]*@/, 'no password in a URL')
    }
  const ignored = readFileSync('.gitignore', 'utf8').split('\n')
  for (const { file } of Object.values(secrets)) t.ok(ignored.includes(relative(resolve(folder), file)), file)
})

t.test('mounts files that exist, of which Prometheus and Grafana make sense', async t => {
  const own = /^deploy\/compose\/(tls|settings\.env|grafana-password)$/
  for (const { volumes } of Object.values(services))
    for (const [from = ''] of volumes.map(volume => volume.split(':'))) {
      if (!from.startsWith('/')) continue
      const path = relative(resolve(folder), from)
      t.ok(own.test(path) || existsSync(path), path)
    }
  const prometheus = join(folder, 'prometheus')
  mkdirSync(prometheus)
  copyFileSync('deploy/compose/prometheus.yml', join(prometheus, 'prometheus.yml'))
  copyFileSync('docs/monitoring/alerts.yml', join(prometheus, 'alerts.yml'))
  const { stdout } = await run('promtool', ['check', 'config', join(prometheus, 'prometheus.yml')])
  t.match(stdout, /SUCCESS.*valid prometheus config/)
  t.match(
    readFileSync('deploy/compose/prometheus.yml', 'utf8'),
    `tlsbound:${services.tlsbound?.environment?.TLSBOUND_PROBE_PORT}`,
  )
  const grafana = services.grafana?.volumes.map(volume => volume.split(':')[1]) ?? []
  const [, path = ''] = /path: (\S+)/.exec(readFileSync('deploy/compose/dashboards.yml', 'utf8')) ?? []
  t.ok(grafana.includes(`${path}/tlsbound.json`), 'the dashboard is in the provisioned folder')
})

t.test('reaches a PostgreSQL without a network through its socket, without a password', async t => {
  const { environment = {} } = services.tlsbound ?? {}
  const settings = services.postgres?.environment
  t.match(settings, { POSTGRES_USER: 'tlsbound', POSTGRES_HOST_AUTH_METHOD: 'trust' })
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const client = new Client({ connectionString: postgres.url('public') })
  await client.connect()
  await client.query('CREATE ROLE tlsbound LOGIN SUPERUSER') // as the image does with POSTGRES_USER
  await client.query('CREATE DATABASE tlsbound OWNER tlsbound')
  await client.end()
  await postgres.stop('SIGINT')
  writeFileSync(join(postgres.folder, 'data/pg_hba.conf'), 'local all all trust\n')
  await postgres.start({ listen_addresses: '', port: '5432', unix_socket_directories: postgres.folder })
  const url = environment.TLSBOUND_STATE_URL?.replace('/run/postgresql', postgres.folder)
  const place = join(folder, 'server')
  mkdirSync(place)
  const server = await startTlsbound(t, place, { TLSBOUND_STATE_URL: String(url) })
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 })
  t.notOk(existsSync(join(place, 'data/tlsbound.db')), 'the state is in PostgreSQL')
  t.match(await server.end('SIGTERM'), { code: 0 })
})
