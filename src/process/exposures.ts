// Debugging features of Node that expose keys and tokens: debuggers, key logs, dumps, verbose output. They are found in the
// environment and in Node's options.

/** A feature that exposes secrets, with a message about it. */
export interface Exposure {
  readonly name: string
  readonly sentence: string
}

export const exposingVariables: readonly (readonly [name: string, isOpen: (value: string) => boolean, what: string])[] =
  [
    ['NODE_DEBUG', isSet, 'writes the internal activity of Node, including tokens, to stderr'],
    ['NODE_DEBUG_NATIVE', isSet, 'writes the internal activity of Node to stderr'],
    ['SSLKEYLOGFILE', isSet, 'requests a file with the keys of all TLS connections'],
    ['NODE_TLS_REJECT_UNAUTHORIZED', value => value === '0', 'disables the verification of server certificates'],
  ]

/** By prefix, since each option has variants. */
export const exposingOptions: readonly (readonly [beginning: string, what: string])[] = [
  ['--inspect', 'lets a debugger read the memory, including keys'],
  ['--debug', 'lets a debugger read the memory, including keys'],
  ['--tls-keylog', 'writes the keys of all TLS connections to a file'],
  ['--trace-tls', 'writes the content of TLS connections to stderr'],
  ['--heapsnapshot', 'writes the memory, including keys, to a file'],
  ['--heap-prof', 'writes a memory profile to a file'],
  ['--report-', 'writes the environment and the state of the process to a file'],
  ['--abort-on-uncaught-exception', 'writes the memory, including keys, to a core dump'],
  ['--insecure-http-parser', 'accepts ambiguous requests'],
  ['--security-revert', 'reverts a security fix'],
  ['--experimental-config-file', 'reads options from a file, which may contain any of these'],
  ['--experimental-default-config-file', 'reads options from a file, which may contain any of these'],
]

/** Options that only reduce what a report contains. */
const closing = ['--report-exclude-env', '--report-exclude-network']

/** Finds exposing variables and options. `execArgv`: the options that Node was started with. */
export function findExposures(env: NodeJS.ProcessEnv, execArgv: readonly string[]): Exposure[] {
  const inEnvironment = exposingVariables
    .filter(([name, isOpen]) => isOpen(env[name] ?? ''))
    .map(([name, , what]) => ({ name, sentence: `${name} ${what}: remove it from the environment` }))
  const given = [...execArgv, ...(env.NODE_OPTIONS ?? '').split(/\s+/)].map(readName)
  const found = [...new Set(given)].flatMap(name => {
    const what = exposingOptions.find(([beginning]) => name.startsWith(beginning))?.[1]
    if (what === undefined || closing.includes(name)) return []
    return { name, sentence: `${name} ${what}: start Node without it, and check NODE_OPTIONS` }
  })
  return [...inEnvironment, ...found]
}

function isSet(value: string): boolean {
  return value !== ''
}

/** Normalizes an option: Node accepts underscores for hyphens, values after `=`, and quotes in NODE_OPTIONS. */
function readName(option: string): string {
  return option.replace(/["\\]/g, '').replace(/=.*$/s, '').replaceAll('_', '-')
}
