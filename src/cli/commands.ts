// All commands in the order of help. Each is imported when it is used, so that help is fast and a command loads only
// what it needs.
import type { Command, NamedCommand } from './command.ts'

interface Entry {
  /** The command's line in the list of help. */
  readonly summary: string
  readonly load: () => Promise<{ readonly command: Command }>
}

export const commands: Readonly<Record<string, Entry>> = {
  serve: { summary: 'runs the server, or checks its settings and files', load: () => import('./serve.ts') },
  certs: { summary: 'creates the certificates and keys of the demo', load: () => import('./certs.ts') },
  doctor: {
    summary: 'finds what is wrong with settings, files or a running server',
    load: () => import('./doctor.ts'),
  },
  ready: { summary: 'whether the server of this machine is ready, as an exit code', load: () => import('./ready.ts') },
  reload: { summary: 'loads the files of a running server again', load: () => import('./reload.ts') },
  token: { summary: 'requests an access token', load: () => import('./token.ts') },
  call: { summary: 'sends one HTTP request with a bound token, like curl', load: () => import('./call.ts') },
  inspect: { summary: 'explains a token, and whether it would be accepted', load: () => import('./inspect.ts') },
  sidecar: {
    summary: 'lets local programs use a protected server over plain HTTP',
    load: () => import('./sidecar.ts'),
  },
  gateway: {
    summary: 'protects services in any language: verifies requests, and forwards them',
    load: () => import('./gateway.ts'),
  },
  clients: { summary: 'lists and changes the clients of a running server', load: () => import('./clients.ts') },
  revoke: { summary: 'revokes tokens of a running server', load: () => import('./revoke.ts') },
  scan: { summary: 'finds leaked tokens in files and git history', load: () => import('./scan.ts') },
  backup: { summary: 'saves the state of a running server to a file', load: () => import('./backup.ts') },
  restore: { summary: 'checks a backup, and restores it while no server runs', load: () => import('./restore.ts') },
  webhooks: { summary: 'sends a test notification to each webhook', load: () => import('./webhooks.ts') },
  keys: { summary: 'creates, lists and rotates the signing keys', load: () => import('./keys.ts') },
  audit: {
    summary: 'verifies that stored security events are complete and unchanged',
    load: () => import('./audit.ts'),
  },
  lab: { summary: 'tests whether a server rejects stolen tokens', load: () => import('./lab.ts') },
  completion: {
    summary: 'writes the completion script for a shell',
    async load() {
      const { createCompletion } = await import('./completion.ts')
      return { command: createCompletion(loadCommands) }
    },
  },
}

/** Loads a command; undefined for an unknown name. */
export async function loadCommand(name: string): Promise<NamedCommand | undefined> {
  if (!Object.hasOwn(commands, name)) return undefined
  const { summary, load } = commands[name] as Entry
  return { ...(await load()).command, name, summary }
}

/** Loads every command, for completion, the man page and the reference page. */
export async function loadCommands(): Promise<NamedCommand[]> {
  const loaded = await Promise.all(Object.keys(commands).map(loadCommand))
  return loaded.filter(command => command !== undefined)
}
