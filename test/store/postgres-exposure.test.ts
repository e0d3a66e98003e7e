// Which connections to PostgreSQL others on the network could read or change, and that the operator is warned.
import t from 'tap'
import { describeExposure } from '../../src/store/postgres-exposure.ts'
import { runTlsbound } from '../helpers/process/process.ts'

t.setTimeout(60_000)

const advice = /sslmode=verify-full&sslrootcert=FILE .*TLSBOUND_STATE_URL/

t.test('warns of a database on another machine without TLS, or whose certificate is not verified', t => {
  for (const url of [
    'postgres://tlsbound@db.example/tlsbound',
    'postgres://tlsbound:secret@10.0.0.5:5433/tlsbound?options=-c%20lock_timeout%3D1s',
    'postgresql://tlsbound@[fd00::5]/tlsbound?sslmode=disable',
    'postgres://tlsbound@localhost.example/tlsbound',
  ]) {
    const sentence = describeExposure(url)
    t.match(sentence, /^the connection to the database at \S+ is not encrypted: others on the network/, url)
    t.match(sentence, advice)
    t.notMatch(sentence, /secret/)
  }
  const unverified = describeExposure('postgres://tlsbound@db.example/tlsbound?sslmode=no-verify')
  t.match(unverified, /^the certificate of the database at db\.example:5432 is not verified: others on the network/)
  t.match(unverified, advice)
  t.end()
})

t.test('does not warn of TLS, a socket, or this machine', t => {
  for (const url of [
    'postgres://tlsbound@db.example/tlsbound?sslmode=verify-full',
    'postgres://tlsbound@db.example/tlsbound?sslmode=require',
    'postgres://tlsbound@/tlsbound?host=/run/postgresql',
    'postgres://tlsbound@localhost/tlsbound',
    'postgres://tlsbound@127.0.0.2:5433/tlsbound',
    'postgres://tlsbound@[::1]/tlsbound',
    'sqlite:tlsbound.db',
  ])
    t.equal(describeExposure(url), undefined, url)
  t.end()
})

t.test('is logged at the start, also if the database does not answer', async t => {
  const env = { TLSBOUND_STATE_URL: 'postgres://tlsbound:secret@database.invalid/tlsbound' }
  const { stderr } = await runTlsbound(['serve'], t.testdir(), env)
  t.match(stderr, /the connection to the database at database\.invalid:5432 is not encrypted/)
  t.match(stderr, /the store cannot be used: /, 'control: it was tried')
  t.notMatch(stderr, /secret@/)
})
