// Runs the pod of a Deployment as the kubelet does: its user and groups, its rights, its variables, and its volumes with their owners,
// modes and symbolic links. Probes are left to the caller.
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Manifest } from './chart.ts'
import { image } from './image.ts'
import { runOptions } from './podman.ts'

/** The content of Secrets and ConfigMaps, by their names. */
export type Contents = Readonly<Record<string, Readonly<Record<string, string>>>>

export interface Pod {
  /** What follows `podman run`. */
  readonly args: readonly string[]
  /** Replaces the files of a Secret or ConfigMap as the kubelet does: all at once, by one rename. */
  update(name: string, content: Readonly<Record<string, string>>): void
}

/** Variables of the Service `tlsbound` in the namespace of a pod with `enableServiceLinks`. */
const serviceLinks = {
  TLSBOUND_SERVICE_HOST: '10.96.0.7',
  TLSBOUND_SERVICE_PORT: '8443',
  TLSBOUND_SERVICE_PORT_TLS: '8443',
  TLSBOUND_PORT: 'tcp://10.96.0.7:8443',
  TLSBOUND_PORT_8443_TCP: 'tcp://10.96.0.7:8443',
  TLSBOUND_PORT_8443_TCP_PROTO: 'tcp',
  TLSBOUND_PORT_8443_TCP_PORT: '8443',
  TLSBOUND_PORT_8443_TCP_ADDR: '10.96.0.7',
}

/** Lays out the volumes of a Deployment's pod in a folder, which may have them from an earlier pod. Must run as root. */
export function preparePod(deployment: Manifest, name: string, folder: string, contents: Contents): Pod {
  const { spec } = deployment.spec.template
  const [container, ...others] = spec.containers
  if (others.length > 0) throw new Error('a pod with one container is expected')
  const { runAsUser, runAsGroup, fsGroup, runAsNonRoot, seccompProfile } = spec.securityContext
  const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = container.securityContext
  if (runAsNonRoot && !(runAsUser > 0)) throw new Error('the user is root') // as the kubelet says

  const sources = new Map<string, (content: Readonly<Record<string, string>>) => void>()
  for (const volume of spec.volumes) {
    const path = join(folder, volume.name)
    const { secret, configMap, emptyDir } = volume
    const source = secret ?? configMap
    if (source !== undefined) {
      const from = source.secretName ?? source.name
      const write = (content: Readonly<Record<string, string>>) => project(path, source, content, fsGroup)
      const content = contents[from]
      if (content === undefined) throw new Error(`${from} does not exist`)
      write(content)
      sources.set(from, write)
    } else {
      if (emptyDir !== undefined) rmSync(path, { recursive: true, force: true })
      mkdirSync(path, { recursive: true })
      setGroup(path, fsGroup, spec.securityContext.fsGroupChangePolicy)
    }
  }

  const variables: Record<string, string> = spec.enableServiceLinks === false ? {} : { ...serviceLinks }
  for (const { name, value } of container.env) variables[name] = value
  const mounts = container.volumeMounts.map((mount: { name: string; mountPath: string; readOnly?: boolean }) => [
    '--volume',
    `${join(folder, mount.name)}:${mount.mountPath}:${mount.readOnly ? 'ro' : 'rw'}`,
  ])
  const args = [
    ...['--name', name, ...runOptions],
    ...['--user', `${runAsUser}:${runAsGroup}`, '--group-add', String(fsGroup)],
    ...(readOnlyRootFilesystem ? ['--read-only', '--read-only-tmpfs=false'] : []),
    ...(capabilities.drop as string[]).flatMap(one => ['--cap-drop', one.toLowerCase()]),
    ...(allowPrivilegeEscalation === false ? ['--security-opt', 'no-new-privileges'] : []),
    ...(seccompProfile.type === 'RuntimeDefault' ? [] : ['--security-opt', 'seccomp=unconfined']),
    ...mounts.flat(),
    ...Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    image,
  ]
  return {
    args,
    update(name, content) {
      const write = sources.get(name)
      if (write === undefined) throw new Error(`no volume has ${name}`)
      write(content)
    },
  }
}

interface Source {
  readonly defaultMode: number
  readonly items: readonly { readonly key: string; readonly path: string }[]
}

let versions = 0

/** Writes a volume of a Secret or ConfigMap. Readers see all old files or all new ones, since `..data` is renamed. */
function project(folder: string, source: Source, content: Readonly<Record<string, string>>, group: number): void {
  const version = `..2026_11_30_${++versions}`
  mkdirSync(join(folder, version), { recursive: true })
  for (const { key, path } of source.items) {
    const text = content[key]
    if (text === undefined) throw new Error(`there is no key ${key}`)
    const file = join(folder, version, path)
    writeFileSync(file, text)
    chownSync(file, 0, group)
    chmodSync(file, source.defaultMode | 0o440) // what the group of a volume can always do
    if (dirname(path) !== '.') throw new Error('subfolders are not imitated')
  }
  for (const path of [folder, join(folder, version)]) {
    chownSync(path, 0, group)
    chmodSync(path, 0o2755)
  }
  const data = join(folder, '..data')
  const former = statSync(data, { throwIfNoEntry: false }) && readlinkSync(data)
  symlinkSync(version, `${data}_tmp`)
  renameSync(`${data}_tmp`, data)
  for (const { path } of source.items) {
    const link = join(folder, path)
    if (statSync(link, { throwIfNoEntry: false }) === undefined) symlinkSync(`..data/${path}`, link)
  }
  if (former !== undefined) rmSync(join(folder, former), { recursive: true })
}

/**
 * Gives a volume to a group, which may then write all of it. With `OnRootMismatch` the kubelet does so only if the folder itself
 * does not show that it was done; with `Always`, at each start.
 */
export function setGroup(folder: string, group: number, policy: 'OnRootMismatch' | 'Always' = 'OnRootMismatch'): void {
  const { gid, mode } = statSync(folder)
  if (policy === 'OnRootMismatch' && gid === group && (mode & 0o2070) === 0o2070) return
  for (const name of ['.', ...readdirSync(folder)]) {
    const path = join(folder, name)
    const stats = statSync(path)
    chownSync(path, stats.uid, group)
    chmodSync(path, (stats.mode & 0o7777) | (stats.isDirectory() ? 0o2770 : 0o660))
  }
}
