// The environment in which the commands of the page about containers run: `docker` is the engine of the test, which has the image.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findFreePort } from '../../../src/testing/free-port.ts'
import type { PageOptions } from '../process/page.ts'
import type { Containers } from './containers.ts'
import { type Engine, runOptions } from './podman.ts'

/** The page, whose commands image.test.ts runs. */
export const containerPage = 'how-to/run-in-containers'

/** Writes the reader's files into a folder. */
export async function prepareContainerPage(
  folder: string,
  { command }: Engine,
  { read, contents }: Containers,
): Promise<PageOptions> {
  const tls = join(folder, 'tls')
  mkdirSync(tls)
  writeFileSync(join(tls, 'server.crt'), read('server.crt'))
  writeFileSync(join(tls, 'server.key'), read('server.key'), { mode: 0o600 })
  writeFileSync(join(tls, 'client-ca.crt'), read('ca.crt'))
  writeFileSync(join(tls, 'clients.json'), contents['auth-tlsbound-clients']?.['clients.json'] ?? '')
  // In the network of the host, where ports may be taken: others are used, and none is published.
  const ports = [`TLSBOUND_PORT=${await findFreePort()}`, `TLSBOUND_OPS_PORT=${await findFreePort()}`]
  const options = [...runOptions, ...ports.flatMap(port => ['--env', port])]
  const prelude = `docker() {
  local all=("$1")
  if [ "$1" = run ]; then all+=(${options.join(' ')}); fi
  shift
  while [ $# -gt 0 ]; do case $1 in --publish) shift ;; *) all+=("$1") ;; esac; shift; done
  ${command.join(' ')} "\${all[@]}"
}
`
  return { folder, prelude }
}
