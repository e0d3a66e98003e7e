// The Helm chart: its objects are valid for Kubernetes, cert-manager and the Prometheus Operator with the values that matter, the pod
// has no rights, and values that cannot work are refused with what to do.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { settingsTable } from '../../src/settings/settings.ts'
import {
  chartFolder,
  leastValues,
  type Manifest,
  type Rendered,
  renderChart,
  type Values,
} from '../helpers/deploy/chart.ts'
import { findManifestProblems } from '../helpers/deploy/manifests.ts'

t.setTimeout(300_000)

const url = 'postgres://tlsbound@postgres:5432/tlsbound'
const shared = { postgres: { url, existingSecret: 'database' }, signingKeys: { existingSecret: 'keys' } }
const certManager = { enabled: true, issuerRef: { name: 'server-ca' } }
const client = { name: 'alice', commonName: 'alice', issuerRef: { name: 'client-ca' } }
const metadata = { annotations: { a: 'b' } }

/** Values that together use every branch of the templates. */
const cases: Readonly<Record<string, Values>> = {
  'the least': leastValues,
  'several servers': { ...leastValues, ...shared, replicas: 3 },
  everything: {
    ...leastValues,
    ...shared,
    replicas: 2,
    fullnameOverride: 'tokens',
    image: { repository: 'registry.example/tlsbound', digest: `sha256:${'0'.repeat(64)}` },
    imagePullSecrets: [{ name: 'registry' }],
    serverCertificate: { certManager },
    clientCa: { existingSecret: 'client-ca' },
    clients: [],
    existingClientsConfigMap: 'clients',
    clientCertificates: [client, { ...client, name: 'bob', duration: '24h', renewBefore: '8h' }],
    settings: { TLSBOUND_ACCESS_TOKEN_LIFETIME: '120' },
    extraVolumes: [{ name: 'webhooks', secret: { secretName: 'webhooks', defaultMode: 288 } }],
    extraVolumeMounts: [{ name: 'webhooks', mountPath: '/etc/tlsbound/webhooks', readOnly: true }],
    listenAddress: '::',
    service: { type: 'LoadBalancer', port: 443, ...metadata, loadBalancerSourceRanges: ['10.0.0.0/8'] },
    networkPolicy: {
      clients: [{ podSelector: { matchLabels: { app: 'a' } } }],
      egress: [{ ports: [{ port: 5432 }], to: [{ podSelector: { matchLabels: { app: 'postgres' } } }] }],
    },
    serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
    podAnnotations: { a: 'b' },
    podLabels: { a: 'b' },
    nodeSelector: { a: 'b' },
    tolerations: [{ key: 'a', operator: 'Exists' }],
    affinity: { nodeAffinity: {} },
    priorityClassName: 'high',
  },
  'the least with switches off': {
    ...leastValues,
    networkPolicy: { enabled: false },
    persistence: { existingClaim: 'data' },
    service: { type: 'NodePort' },
  },
  'a volume of a class': { ...leastValues, persistence: { storageClass: 'fast', accessMode: 'ReadWriteOnce' } },
}

const rendered = new Map<string, Rendered>()
for (const [name, values] of Object.entries(cases)) rendered.set(name, await renderChart(values))
const find = (name: string, kind: string): Manifest | undefined =>
  rendered.get(name)?.documents.find(document => document.kind === kind)

t.test('renders objects that Kubernetes and the operators accept', async t => {
  for (const [name, { documents }] of rendered)
    t.same(await findManifestProblems(join(t.testdirName, name), documents), [], name)
  const kinds = new Set([...rendered.values()].flatMap(({ documents }) => documents.map(({ kind }) => kind)))
  t.same([...kinds].sort(), [
    'Certificate',
    'ConfigMap',
    'Deployment',
    'NetworkPolicy',
    'PersistentVolumeClaim',
    'PodDisruptionBudget',
    'Service',
    'ServiceAccount',
    'ServiceMonitor',
  ])
  const deployment = structuredClone(find('the least', 'Deployment')) as Manifest
  deployment.spec.template.spec.containers[0].livenessProbe.httpGets = {}
  deployment.spec.replicas = '1'
  const problems = await findManifestProblems(join(t.testdirName, 'wrong'), [deployment])
  t.match(problems.join('\n'), /httpGets[\s\S]*replicas must be integer/, 'control: mistakes are found')
})

t.test('gives the pod no rights, and the files that the settings name', async t => {
  for (const name of Object.keys(cases)) {
    const { spec } = find(name, 'Deployment')?.spec.template ?? {}
    const [container] = spec.containers
    t.match(spec, { automountServiceAccountToken: false, enableServiceLinks: false }, name)
    t.match(spec.securityContext, {
      ...{ runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532 },
      ...{ fsGroupChangePolicy: 'OnRootMismatch', seccompProfile: { type: 'RuntimeDefault' } },
    })
    t.match(container.securityContext, {
      ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
    })
    const paths: string[] = container.volumeMounts.map(({ mountPath }: { mountPath: string }) => mountPath)
    const known = new Set(Object.values(settingsTable).map(setting => setting.name))
    for (const { name, value } of container.env) {
      t.ok(known.has(name), name)
      if (name.endsWith('_FILE'))
        t.ok(
          paths.some(path => value.startsWith(`${path}/`)),
          value,
        )
    }
    for (const { secret } of spec.volumes) if (secret !== undefined) t.equal(secret.defaultMode, 0o440)
    for (const mount of container.volumeMounts) t.notOk(mount.subPath, 'the kubelet updates whole folders only')
    t.ok(spec.terminationGracePeriodSeconds > container.lifecycle.preStop.sleep.seconds + 9)
  }
  t.match(find('everything', 'Deployment')?.spec.template.spec.containers[0].env, [
    ...Array(9).fill({ value: String }),
    { name: 'TLSBOUND_SIGNING_KEYS_FILE' },
    { name: 'TLSBOUND_STATE_URL', value: url },
    { name: 'TLSBOUND_STATE_PASSWORD_FILE', value: '/etc/tlsbound/database/password' },
    { name: 'TLSBOUND_ACCESS_TOKEN_LIFETIME', value: '120' },
  ])
})

t.test('leaves user and groups to the cluster, and waits for a long start, if asked to', async t => {
  const none = { runAsUser: null, runAsGroup: null, fsGroup: null }
  const specOf = async (values: object) => {
    const { documents } = await renderChart({ ...leastValues, ...values })
    return documents.find(({ kind }) => kind === 'Deployment')?.spec.template.spec
  }
  for (const podSecurityContext of [none, null])
    t.same(Object.keys((await specOf({ podSecurityContext })).securityContext).sort(), [
      ...['fsGroupChangePolicy', 'runAsNonRoot', 'seccompProfile'],
    ])
  t.match((await specOf({ podSecurityContext: { runAsUser: 1_000_650_000 } })).securityContext, {
    ...{ runAsUser: 1_000_650_000, fsGroup: 65532, runAsNonRoot: true },
  })
  await t.rejects(specOf({ podSecurityContext: { runAsUser: 0 } }), /runAsUser/, 'root')
  const startOf = async (values: object) => (await specOf(values)).containers[0].startupProbe
  t.match(await startOf({}), { periodSeconds: 1, failureThreshold: 300 })
  t.match(await startOf({ startupSeconds: 3600 }), { periodSeconds: 1, failureThreshold: 3600 })
  const { documents } = await renderChart({ ...leastValues, startupSeconds: 3600 })
  const deployment = documents.find(({ kind }) => kind === 'Deployment')
  t.equal(deployment?.spec.progressDeadlineSeconds, 3900, 'by default a rollout counts as failed after 600 s')
})

t.test('lets one server use a volume, and several servers a database', async t => {
  t.match(find('the least', 'Deployment')?.spec, { replicas: 1, strategy: { type: 'Recreate' } })
  t.match(find('the least', 'PersistentVolumeClaim')?.spec, { accessModes: ['ReadWriteOncePod'] })
  t.notOk(find('the least', 'PodDisruptionBudget'))
  t.match(find('several servers', 'Deployment')?.spec, {
    replicas: 3,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0 } },
  })
  t.notOk(find('several servers', 'PersistentVolumeClaim'))
  t.match(find('several servers', 'PodDisruptionBudget')?.spec, { maxUnavailable: 1 })
  t.match(rendered.get('several servers')?.notes, /WARNING: the NetworkPolicy lets the pods reach DNS only/)
  t.notMatch(rendered.get('everything')?.notes, /WARNING/)
})

t.test('selects the pods of the release, and no Service publishes metrics to clients', async t => {
  for (const [name, { documents }] of rendered) {
    const { labels } = find(name, 'Deployment')?.spec.template.metadata ?? {}
    for (const { kind, spec } of documents) {
      const selector = kind === 'Service' ? spec.selector : (spec?.podSelector ?? spec?.selector)?.matchLabels
      if (selector !== undefined && kind !== 'ServiceMonitor') t.match(labels, selector, `${name}: ${kind}`)
    }
    for (const { kind, spec, metadata } of documents)
      if (kind === 'Service' && spec.clusterIP !== 'None')
        t.same(
          spec.ports.map(({ targetPort }: { targetPort: string }) => targetPort),
          ['tls'],
          metadata.name,
        )
  }
  const monitor = find('everything', 'ServiceMonitor')?.spec.selector.matchLabels
  const services = rendered.get('everything')?.documents.filter(({ kind }) => kind === 'Service') ?? []
  const matched = services.filter(({ metadata: { labels } }) =>
    Object.entries(monitor).every(([name, value]) => labels[name] === value),
  )
  t.same(
    matched.map(({ metadata }) => metadata.name),
    ['tokens-metrics'],
  )
})

t.test('requests a server certificate for its names, and client certificates for clients only', async t => {
  const certificates = rendered.get('everything')?.documents.filter(({ kind }) => kind === 'Certificate') ?? []
  t.match(certificates[0]?.spec, {
    usages: ['digital signature', 'server auth'],
    dnsNames: ['auth.example.org', 'tokens.prod.svc', 'tokens.prod.svc.cluster.local'],
  })
  t.same(
    certificates.slice(1).map(({ spec }) => [spec.commonName, spec.usages]),
    [
      ['alice', ['digital signature', 'client auth']],
      ['alice', ['digital signature', 'client auth']],
    ],
  )
  // A third of the duration is cert-manager's default: it rejects a certificate that is to be renewed before it was issued.
  t.match(certificates[1]?.spec, { duration: '2160h', renewBefore: undefined })
  t.match(certificates[2]?.spec, { duration: '24h', renewBefore: '8h' })
  const short = { certManager: { ...certManager, duration: '24h' } }
  const { documents } = await renderChart({
    ...leastValues,
    serverCertificate: { ...short, existingSecret: '' },
    clientCertificates: [{ ...client, duration: '12h' }],
  })
  t.same(
    documents.filter(({ kind }) => kind === 'Certificate').map(({ spec }) => [spec.duration, spec.renewBefore]),
    [
      ['24h', undefined],
      ['12h', undefined],
    ],
  )
})

t.test('refuses values that cannot work, with what to do', async t => {
  const wrong: readonly (readonly [values: object, message: RegExp])[] = [
    [{ issuer: '' }, /issuer is missing/],
    [{ issuer: 'http://auth.example.org' }, /\/issuer must match pattern/],
    [{ replicas: 2 }, /set postgres\.url/],
    [{ postgres: { existingSecret: 'database' } }, /postgres\.url is missing/],
    [{ postgres: { url } }, /signingKeys\.existingSecret is missing/],
    [{ ...shared, postgres: { url: url.replace('@', ':secret@') } }, /\/postgres\/url must match pattern/],
    [{ ...shared, postgres: { url: `${url}?password=secret` } }, /postgres\.url contains a password/],
    [
      { ...shared, postgres: { url: `${url}?sslmode=verify-full&password=secret` } },
      /postgres\.url contains a password/,
    ],
    [{ serverCertificate: { existingSecret: '' } }, /serverCertificate\.existingSecret is missing/],
    [{ serverCertificate: { existingSecret: 'a', certManager } }, /either existingSecret or certManager/],
    [{ serverCertificate: { certManager: { enabled: true } } }, /issuerRef\.name is missing/],
    [{ clientCa: { existingConfigMap: '' } }, /clientCa: set either/],
    [{ clientCa: { existingConfigMap: 'a', existingSecret: 'b' } }, /clientCa: set either/],
    [{ clients: [] }, /clients: list at least one/],
    [{ existingClientsConfigMap: 'a' }, /clients: list at least one registration, or set/],
    [{ port: 443 }, /\/port must be >= 1024/],
    [{ settings: { TLSBOUND_PORT: '1' } }, /\/settings property name/],
    [{ settings: { PATH: '1' } }, /\/settings property name/],
    [{ settings: { TLSBOUND_HTTP2: true } }, /\/settings\/TLSBOUND_HTTP2 must be string/],
    [{ settings: { TLSBOUND_WORKERS: 'auto' } }, /TLSBOUND_WORKERS: auto .* resources\.limits\.cpu/],
    [{ ...shared, settings: { TLSBOUND_AUDIT_FILE: '/data/events.jsonl' } }, /TLSBOUND_AUDIT_FILE: .* 16 MiB/],
    [{ ...shared, settings: { TLSBOUND_AUDIT_FILE: 'events.jsonl' } }, /TLSBOUND_AUDIT_FILE: .* 16 MiB/],
    [{ replica: 2 }, /must NOT have additional properties/],
    [{ image: { digest: 'latest' } }, /\/image\/digest must match pattern/],
  ]
  for (const [values, message] of wrong)
    await t.rejects(renderChart({ ...leastValues, ...values }), message, JSON.stringify(values))
  const accepted: readonly object[] = [
    { ...shared, postgres: { url: `${url}?sslmode=verify-full&sslrootcert=/etc/tlsbound/database-ca/ca.crt` } },
    { settings: { TLSBOUND_WORKERS: '2' } },
    { settings: { TLSBOUND_WORKERS: 'auto' }, resources: { limits: { cpu: 4 } } },
    { settings: { TLSBOUND_AUDIT_FILE: '/data/events.jsonl' } },
    { ...shared, settings: { TLSBOUND_AUDIT_FILE: '/var/log/tlsbound/events.jsonl' } },
  ]
  for (const values of accepted)
    await t.resolves(renderChart({ ...leastValues, ...values }), `control: ${JSON.stringify(values)}`)
})

t.test('has the version of the package, a schema for each value, and what helm lint asks for', async t => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  const chart = rendered.get('the least')?.chart
  t.match(chart, { apiVersion: 'v2', name: 'tlsbound', type: 'application', version, appVersion: version })
  const page = readFileSync('docs/how-to/run-on-kubernetes.md', 'utf8')
  t.match(page, `docker push registry.example/tlsbound:${version}`, 'the tag that the chart uses')
  const { properties } = JSON.parse(readFileSync(join(chartFolder, 'values.schema.json'), 'utf8'))
  const { values = {} } = rendered.get('the least') ?? {}
  t.same(Object.keys(properties).sort(), [...Object.keys(values), 'global'].sort())
  for (const name of readdirSync(join(chartFolder, 'templates'))) t.match(name, /^[_a-z]+\.(yaml|tpl)$|^NOTES\.txt$/)
})

t.test('accepts the values of the page about Kubernetes', async t => {
  const folder = t.testdir()
  const page = readFileSync('docs/how-to/run-on-kubernetes.md', 'utf8')
  const [first = '', ...others] = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text)
  t.equal(others.length, 4)
  const files = ['', ...others].map((text, i) => {
    const file = join(folder, `${i}.yaml`)
    writeFileSync(file, text || first)
    return file
  })
  for (const file of files) {
    // A certificate of cert-manager is in place of the Secret, and a Secret in place of the ConfigMap.
    const text = readFileSync(file, 'utf8')
    const values = {
      ...(text.includes('certManager:') && { serverCertificate: { existingSecret: '' } }),
      ...(/^clientCa:\n {2}existingSecret/m.test(text) && { clientCa: { existingConfigMap: '' } }),
    }
    const { documents } = await renderChart(values, { files: [files[0] as string, file] })
    t.same(await findManifestProblems(join(folder, `check-${files.indexOf(file)}`), documents), [], text)
  }
})
