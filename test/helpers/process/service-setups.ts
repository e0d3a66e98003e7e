// The environment in which the commands of the pages about an installed service run: a folder that stands for the root of a
// machine.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { issueCertificate } from '../../../src/pki/certificate.ts'
import { issueCrl } from '../../../src/pki/crl.ts'
import { register } from '../tokens/grants.ts'
import type { Setup } from './page.ts'
import { cli, commands, type Place, prepare } from './page-setups.ts'

const unit = 'deploy/tlsbound.service'

/**
 * A machine whose root is the folder, with stand-ins for systemd and its user: the tests run in containers without them.
 * `systemctl start` uses the command, environment and credential of the unit.
 */
async function prepareMachine(t: Test, more: (folder: string, pki: Machine) => unknown = () => {}): Promise<Place> {
  const place = await prepare(t)
  const at = (path: string) => join(place.folder, path)
  for (const path of [
    'etc/systemd/system',
    'etc/logrotate.d',
    'var/lib/tlsbound',
    'var/log/tlsbound',
    'var/backups',
    'bin',
    'deploy',
  ])
    mkdirSync(at(path), { recursive: true })
  for (const file of [unit, 'deploy/tlsbound.logrotate']) copyFileSync(file, at(file))
  const environment = [...readFileSync(unit, 'utf8').matchAll(/^Environment=(.*)$/gm)].map(([, line = '']) =>
    line.replace('%d/', at('credentials/')).replace('%L/', at('var/log/')).replace('/etc/', at('etc/')),
  )
  const systemctl = `#!/bin/bash
mkdir -p ${at('credentials')}
start() {
  install -m 0440 ${at('etc/tlsbound/server.key')} ${at('credentials/server.key')}
  touch ${at('journal')}
  local before=$(wc -c < ${at('journal')})
  cd ${at('var/lib/tlsbound')}
  env -i PATH="$PATH" ${environment.map(one => `'${one}'`).join(' ')} CREDENTIALS_DIRECTORY=${at('credentials')} \
    $(cat ${at('etc/tlsbound/settings.env')}) node ${cli} serve </dev/null >> ${at('journal')} 2>&1 &
  echo $! > ${at('pid')}
  for _ in $(seq 600); do
    tail -c +$((before + 1)) ${at('journal')} | grep -q 'listening for' && return
    kill -0 $(cat ${at('pid')}) || { tail -n 5 ${at('journal')}; exit 1; }
    sleep 0.1
  done
}
stop() { kill -TERM $(cat ${at('pid')}); while kill -0 $(cat ${at('pid')}) 2>/dev/null; do sleep 0.1; done; }
case $1 in
  daemon-reload) ;;
  enable | start) start ;;
  stop) stop ;;
  restart) stop; start ;;
  reload) kill -HUP $(cat ${at('pid')}); sleep 1 ;;
  is-active) kill -0 $(cat ${at('pid')}) && echo active ;;
  *) exit 1 ;;
esac
`
  writeFileSync(at('bin/systemctl'), systemctl, { mode: 0o755 })
  const prelude = `${commands}
PATH=${at('bin')}:$PATH
unset TLSBOUND_PORT TLSBOUND_OPS_PORT
umask 022
runuser() { shift 3; "$@"; }
journalctl() { cat ${at('journal')}; }
install() { local all=(); while [ $# -gt 0 ]; do case $1 in -o | -g) shift ;; *) all+=("$1") ;; esac; shift; done; command install "\${all[@]}"; }
`
  const paths = [
    '/etc/systemd',
    '/etc/logrotate.d',
    '/etc/tlsbound',
    '/var/lib/tlsbound',
    '/var/log/tlsbound',
    '/var/backups',
  ]
  const places = [...place.places, ...paths.map(path => [path, at(path)] as const)]
  await more(place.folder, writeMachinePki(place.folder))
  return { ...place, prelude, places }
}

type Machine = ReturnType<typeof writeMachinePki>

/** Writes the files of an operator: certificates other than the demo's, and registrations. */
function writeMachinePki(folder: string) {
  const notAfter = new Date(Date.now() + 90 * 86_400_000) // so that there is no warning
  const ca = issueCertificate({ ca: true, subject: [['CN', 'an authority']], notAfter })
  const server = issueCertificate({
    issuer: ca,
    subject: [['CN', 'localhost']],
    altNames: [{ dns: 'localhost' }],
    extendedKeyUsage: ['serverAuth'],
    notAfter,
  })
  const write = (name: string, content: string, mode = 0o644) => writeFileSync(join(folder, name), content, { mode })
  write('server.crt', server.certificate)
  write('server.key', server.key, 0o600)
  write('client-ca.crt', ca.certificate)
  const secret = { token_endpoint_auth_method: 'client_secret_basic' }
  write('clients.json', JSON.stringify([register('alice'), register('bob', secret)]))
  return { ca, server, notAfter, write }
}

/** The same after "Install the server as a service". */
const service =
  (more?: (folder: string, pki: Machine) => unknown): Setup =>
  async t => {
    const place = await prepareMachine(t, more)
    const at = (path: string) => join(place.folder, path)
    const { TLSBOUND_PORT: port, TLSBOUND_OPS_PORT: opsPort } = place.env
    mkdirSync(at('etc/tlsbound'))
    for (const name of ['server.crt', 'server.key', 'client-ca.crt', 'clients.json'])
      copyFileSync(at(name), at(`etc/tlsbound/${name}`))
    const settings = { TLSBOUND_PORT: port, TLSBOUND_OPS_PORT: opsPort, TLSBOUND_ISSUER: 'https://localhost:8443' }
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
    writeFileSync(at('etc/tlsbound/settings.env'), lines.join(''))
    return { ...place, prelude: `${place.prelude}\nsystemctl start tlsbound\n` }
  }

const renewals = (_folder: string, { ca, server, notAfter, write }: Machine): void => {
  const order = {
    issuer: ca,
    subject: [['CN', 'localhost']] as const,
    altNames: [{ dns: 'localhost' }] as const,
    extendedKeyUsage: ['serverAuth'] as const,
    notAfter,
  }
  write('new.crt', issueCertificate({ ...order, keyPair: server }).certificate)
  const other = issueCertificate(order)
  write('other.crt', other.certificate)
  write('other.key', other.key, 0o600)
  const successor = issueCertificate({ ca: true, subject: [['CN', 'its successor']], notAfter })
  write('new-ca.crt', successor.certificate)
  const lists = () => [ca, successor].map(issuer => issueCrl({ issuer, revoked: [] })).join('')
  write('lists.pem', lists())
  write('new-lists.pem', lists())
}

/** The environment of each page. */
export const serviceSetups: Readonly<Record<string, Setup>> = {
  'how-to/install-as-a-service': t => prepareMachine(t),
  'how-to/rotate-keys': async t => {
    const place = await service()(t)
    const folder = join(place.folder, 'var/lib/tlsbound')
    return { ...place, prelude: `${place.prelude}(cd ${folder}; tlsbound clients add-secret bob)\n` }
  },
  'how-to/renew-certificates': service(renewals),
  'how-to/back-up-and-restore': service(),
  'how-to/upgrade': service(),
}
