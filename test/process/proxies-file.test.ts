// TLSBOUND_CLIENT_CERT_FROM of a server process: loaded at the start, again with SIGHUP, and examined by the
// doctor. The client mallory of the demo is in the place of the proxy.

import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readCertificate } from '../../src/core/presenter.ts'
import { writeDemoPki } from '../../src/pki/demo.ts'
import { type RunningServer, runTlsbound, startTlsbound } from '../helpers/process/process.ts'

t.setTimeout(120_000)
const folder = t.testdir()
writeDemoPki(join(folder, 'certs'))
const x509 = (name: string) => new X509Certificate(readFileSync(join(folder, `certs/${name}.crt`)))
const field = { 'client-cert': `:${x509('alice').raw.toString('base64')}:` }
const write = (list: unknown) => writeFileSync(join(folder, 'proxies.json'), JSON.stringify(list))
const known = [{ form: 'client-cert', 'x5t#S256': readCertificate(x509('mallory')).thumbprint }]
const env = { TLSBOUND_CLIENT_CERT_FROM: 'proxies.json' }

/** Whether the server takes mallory for a proxy. */
async function isBelieved(server: RunningServer): Promise<boolean> {
  const connection = await server.connect('mallory')
  const { body } = await connection.call('/binding', { headers: field })
  return body.attested === 'proxy' && body.certificate.subject === 'CN=alice'
}

t.test('a server loads the list at its start and with SIGHUP, and keeps the old one when it has a mistake', async t => {
  write(known)
  const server = await startTlsbound(t, folder, env)
  t.ok(await isBelieved(server))
  const reload = async (pattern: RegExp) => {
    const since = server.stderr().length
    server.child.kill('SIGHUP')
    await server.seen(pattern, since)
  }
  write([{ ...known[0], form: 'ngnix' }])
  await reload(/stay as they were: proxies\.json:.*form must be one of client-cert, nginx/)
  t.ok(await isBelieved(server), 'the old list is in use')
  write([])
  await reload(/lists were loaded again/)
  t.notOk(await isBelieved(server))
  write(known)
  await reload(/lists were loaded again/)
  t.ok(await isBelieved(server))
  t.equal((await server.end('SIGTERM')).code, 0)
})

t.test('refuses to start with a list that has a mistake, and the doctor names it', async t => {
  write([{ form: 'nginx' }, 7])
  const started = await runTlsbound(['serve'], folder, env)
  t.not(started.code, 0)
  t.match(started.stderr, /proxies\.json:/)
  t.match(started.stderr, /proxy number 1: exactly one of x5t#S256/)
  t.match(started.stderr, /proxy number 2: must be a JSON object/)
  const examined = await runTlsbound(['doctor'], folder, env)
  t.match(examined.stdout + examined.stderr, /proxy number 2: must be a JSON object/)
  write(known)
  const fine = await runTlsbound(['doctor'], folder, env)
  t.match(fine.stdout + fine.stderr, /states its clients in client-cert, in the form client-cert/)
})

t.test('refuses a proxy whose name or certificate is that of a client, at the start and with each reload', async t => {
  const files = { ...env, TLSBOUND_CLIENTS_FILE: 'clients.json' }
  const register = (clients: unknown) => writeFileSync(join(folder, 'clients.json'), JSON.stringify(clients))
  const client = (id: string) => ({
    ...{ client_id: id, token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: `CN=${id}` },
    ...{ token_bindings: ['certificate'] },
  })
  const named = [known[0], { form: 'nginx', tls_client_auth_subject_dn: 'CN=bob' }]
  const sentence = /proxy number 2 of clientCertFrom \(TLSBOUND_CLIENT_CERT_FROM\) has the name of client bob/
  register([client('alice'), client('bob')])
  write(named)
  const started = await runTlsbound(['serve'], folder, files)
  t.not(started.code, 0)
  t.match(started.stderr, sentence)
  const examined = await runTlsbound(['doctor'], folder, files)
  t.match(examined.stdout, sentence)
  register([client('alice')])
  const server = await startTlsbound(t, folder, files)
  const reload = async (pattern: RegExp) => {
    const since = server.stderr().length
    server.child.kill('SIGHUP')
    await server.seen(pattern, since)
  }
  register([client('alice'), client('bob')])
  await reload(/clients stay as they were: .*proxy number 2/)
  write(known)
  await reload(/clients were loaded again/)
  write(named)
  await reload(/stay as they were: .*has the name of client bob/)
  t.ok(await isBelieved(server), 'control: the proxy that is no client')
  t.equal((await server.end('SIGTERM')).code, 0)
})
