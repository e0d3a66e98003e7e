// Containers of the built image, and what a test needs around them: certificates, the contents of Secrets and ConfigMaps, and pods of
// the chart on free ports.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import type { Test } from 'tap'
import { findFreePort } from '../../../src/testing/free-port.ts'
import { type RunningServer, startTlsbound } from '../process/process.ts'
import { writeOwnPki } from '../process/production.ts'
import { register } from '../tokens/grants.ts'
import { leastValues, type Manifest, renderChart } from './chart.ts'
import type { Contents } from './kubelet.ts'
import type { Engine } from './podman.ts'

/** The user of the image. */
export const user = 65532

/** What the system reports of a process without rights. */
export const noRights = {
  Uid: `${user}\t${user}\t${user}\t${user}`,
  Gid: `${user}\t${user}\t${user}\t${user}`,
  NSpid: /\t1$/,
  ...Object.fromEntries(['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map(name => [name, /^0+$/])),
  NoNewPrivs: '1',
  Seccomp: '2',
}

/** A Deployment of the chart, and the ports of its pod: TLS, and probes. */
export type Deployment = Manifest & { readonly ports: readonly [port: number, probePort: number] }

/** Renders the chart for free ports, and returns its Deployment. */
export async function renderDeployment(values: object = {}): Promise<Deployment> {
  const ports = [await findFreePort(), await findFreePort()] as const
  const { documents } = await renderChart({
    ...leastValues,
    issuer: 'https://localhost:8443',
    port: ports[0],
    probePort: ports[1],
    settings: { TLSBOUND_OPS_PORT: String(await findFreePort()) },
    ...values,
  })
  return { ...(documents.find(({ kind }) => kind === 'Deployment') as Manifest), ports }
}

/** Sends the probes of a Deployment as the kubelet does, and returns their statuses. */
export function probe({ spec, ports: [, port] }: Deployment): Promise<number[]> {
  const [container] = spec.template.spec.containers
  const probes = ['startupProbe', 'readinessProbe', 'livenessProbe'].map(name => container[name].httpGet.path as string)
  return Promise.all(probes.map(async path => (await fetch(`http://127.0.0.1:${port}${path}`)).status))
}

export type Containers = ReturnType<typeof prepareContainers>

/** Prepares the files that containers need, in the folder of the engine. */
export function prepareContainers({ folder: place, command, podman }: Engine) {
  const folder = join(place, 'files')
  const { ca } = writeOwnPki(join(folder, 'certs'))
  const read = (name: string) => readFileSync(join(folder, 'certs', name), 'utf8')
  const contents: Contents = {
    'server-tls': { 'tls.crt': read('server.crt'), 'tls.key': read('server.key') },
    'client-ca': { 'ca.crt': read('ca.crt') },
    'auth-tlsbound-clients': { 'clients.json': JSON.stringify([register('alice')]) },
  }
  return {
    /** A folder with `certs`, whose files belong to root. */
    folder,
    ca,
    read,
    contents,

    /** Starts a container with the arguments of `podman run`, which begin with its name, and waits until it listens. */
    async start(t: Test, port: number, args: readonly string[]): Promise<RunningServer> {
      const [option = '', name = '', ...others] = args
      // Before the end of the process that waits for the container, which would wait for ever.
      const remove = () => podman('rm', '--force', '--ignore', '--time', '0', name)
      try {
        const run = [...command, 'run', option, name, ...others]
        const server = await startTlsbound(t, folder, { TLSBOUND_PORT: String(port) }, 1, run)
        t.teardown(remove)
        return server
      } catch (error) {
        await remove()
        throw error
      }
    },

    /** Runs a container that does not start, and returns its log. */
    async refusalOf(args: readonly string[]): Promise<string> {
      const error = await podman('run', '--rm', ...args).then(
        () => undefined,
        (cause: Error) => cause,
      )
      if (error === undefined) throw new Error('the server ended without an error')
      return error.message
    },

    /** Returns the rights of a container's process 1, as the system reports them. */
    async rightsOf(name: string): Promise<Readonly<Record<string, string>>> {
      const pid = await podman('inspect', '--format', '{{.State.Pid}}', name)
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      return Object.fromEntries(status.split('\n').map(line => line.split(/:\s*/, 2)))
    },

    /** Returns the fingerprint of the certificate that a new connection gets. */
    async certificateAt(port: number): Promise<string> {
      const socket = connect({ port, servername: 'localhost', ca: read('ca.crt') })
      await once(socket, 'secureConnect')
      const { fingerprint256 } = socket.getPeerCertificate()
      socket.destroy()
      return fingerprint256
    },
  }
}
