// Keys for PASETO in a server with workers: every worker follows the file of keys and the file of clients, in this order.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { rotateKeysFile } from '../../src/process/signing-keys.ts'
import { prepareFolder, startWorkers } from '../helpers/process/workers.ts'
import { register } from '../helpers/tokens/grants.ts'
import { patience } from '../helpers/until.ts'

t.setTimeout(120_000)
const ofPaseto = register('alice', { access_token_format: 'paseto' })
const folder = t.testdir()
prepareFolder(folder, [register('alice'), register('bob'), register('mallory')])
const server = await startWorkers(t, folder)
/** The beginning of a token of each worker, or the reason why there is none. */
async function beginningsFor(who: string): Promise<string[]> {
  const connections = await server.connectBoth(who)
  const answers = await Promise.all(connections.map(connection => connection.requestToken()))
  for (const connection of connections) connection.close()
  return answers.map(({ status, body }) => (status === 200 ? body.access_token.split('.', 1)[0] : body.reason))
}
const bothIssuePaseto = async () => {
  const started = performance.now()
  while ((await beginningsFor('alice')).join() !== 'v4,v4') {
    if (performance.now() - started > patience) throw new Error('timed out')
    await pause(50)
  }
}
const writeClients = (clients: readonly object[]) =>
  writeFileSync(join(folder, 'clients.json'), JSON.stringify(clients))
const reload = async (seen = /clients were loaded again/) => {
  const since = server.stderr().length
  server.child.kill('SIGHUP')
  await server.seen(seen, since)
}

t.test('a reload with the first key for PASETO and a client for it reaches every worker', async t => {
  t.match(await beginningsFor('alice'), [/^eyJ/, /^eyJ/], 'control')
  await rotateKeysFile(join(folder, 'data/signing-keys.json'), 'v4.public', Math.floor(Date.now() / 1000) - 300)
  writeClients([ofPaseto, register('bob'), register('mallory')])
  await reload()
  await bothIssuePaseto()
  t.notMatch(server.stderr(), /"level":50/)
})

t.test(
  'the last key for PASETO is removed: the log names its clients, and others are served, by new workers too',
  async t => {
    const path = join(folder, 'data/signing-keys.json')
    const before = readFileSync(path)
    const { keys } = JSON.parse(String(before))
    const since = server.stderr().length
    writeFileSync(path, JSON.stringify({ keys: keys.filter(({ alg }: { alg: string }) => alg !== 'v4.public') }))
    await reload()
    await server.seen(/"level":50[^\n]*no signing key with alg v4\.public signs now[^\n]*\\"alice\\"; add one/, since)
    const [first = 0] = await server.pids()
    process.kill(first, 'SIGKILL')
    await server.seen(/worker \d was replaced/, since)
    t.match(await beginningsFor('alice'), ['client_disabled', 'client_disabled'])
    t.match(await beginningsFor('bob'), [/^eyJ/, /^eyJ/])

    writeClients([ofPaseto, register('bob')])
    await reload(/clients were loaded again/)
    t.match(await beginningsFor('mallory'), ['unknown_client', 'unknown_client'], 'another client can be removed')
    writeClients([ofPaseto, register('bob', { access_token_format: 'paseto' })])
    await reload(/clients stay as they were: client \\"bob\\": access_token_format paseto requires/)
    t.match(await beginningsFor('bob'), [/^eyJ/, /^eyJ/])

    writeFileSync(path, before)
    await reload()
    await bothIssuePaseto()
    await server.seen(/"level":30[^\n]*no token request is refused any more/, since)
  },
)
