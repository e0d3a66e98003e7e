// Doors that Node leaves open on demand, and through which keys and tokens get out: debuggers, key logs, dumps, talk about
// what goes on inside. Found in the environment and in the options that Node was started with.

/** Something that lets secrets out: what it is called, and a sentence about it. */
export interface Exposure {
  readonly name: string
  readonly sentence: string
}

export const exposingVariables: readonly (readonly [name: string, isOpen: (value: string) => boolean, what: string])[] =
  [
    ['NODE_DEBUG', isSet, 'writes what Node does inside, with tokens, to stderr'],
    ['NODE_DEBUG_NATIVE', isSet, 'writes what Node does inside to stderr'],
    ['SSLKEYLOGFILE', isSet, 'asks for a file with the keys of all TLS connections'],
    ['NODE_TLS_REJECT_UNAUTHORIZED', value => value === '0', 'lets anybody pose as a server that we ask'],
  ]

/** By their beginning, since each has its variants. */
export const exposingOptions: readonly (readonly [beginning: string, what: string])[] = [
  ['--inspect', 'lets a debugger read everything, keys too'],
  ['--debug', 'lets a debugger read everything, keys too'],
  ['--tls-keylog', 'writes the keys of all TLS connections to a file'],
  ['--trace-tls', 'writes the content of TLS connections to stderr'],
  ['--heapsnapshot', 'writes the memory, with keys, to a file'],
  ['--heap-prof', 'writes about the memory to a file'],
  ['--report-', 'writes the environment and the state of the process to a file'],
  ['--abort-on-uncaught-exception', 'leaves the memory, with keys, in a core dump'],
  ['--insecure-http-parser', 'takes requests that are read in two ways'],
  ['--security-revert', 'brings back a hole that was closed'],
  ['--experimental-config-file', 'takes options from a file, where any of these can stand'],
  ['--experimental-default-config-file', 'takes options from a file, where any of these can stand'],
]

/** Less open than it was is no door. */
const closing = ['--report-exclude-env', '--report-exclude-network']

/** Finds the doors that are open. `execArgv`: the options that Node was started with. */
export function findExposures(env: NodeJS.ProcessEnv, execArgv: readonly string[]): Exposure[] {
  const inEnvironment = exposingVariables
    .filter(([name, isOpen]) => isOpen(env[name] ?? ''))
    .map(([name, , what]) => ({ name, sentence: `${name} ${what}: take it out of the environment` }))
  const given = [...execArgv, ...(env.NODE_OPTIONS ?? '').split(/\s+/)].map(readName)
  const found = [...new Set(given)].flatMap(name => {
    const what = exposingOptions.find(([beginning]) => name.startsWith(beginning))?.[1]
    if (what === undefined || closing.includes(name)) return []
    return { name, sentence: `${name} ${what}: start Node without it, and look for it in NODE_OPTIONS` }
  })
  return [...inEnvironment, ...found]
}

function isSet(value: string): boolean {
  return value !== ''
}

/** Node takes underscores for hyphens, values after `=`, and in NODE_OPTIONS quotes. */
function readName(option: string): string {
  return option.replace(/["\\]/g, '').replace(/=.*$/s, '').replaceAll('_', '-')
}
