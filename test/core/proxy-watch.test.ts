// When the tokens of several clients from one source count as a proxy, and how often that is reported.
import t from 'tap'
import { ProxyWatch, proxyLimits } from '../../src/core/proxy-watch.ts'

const { clients: most, within, quiet, again } = proxyLimits
const source = (certificate: string | undefined, peer: string | undefined = '192.0.2.1') => ({ certificate, peer })
const names = Array.from({ length: most }, (_, index) => `client ${index}`)

t.test('suspects a proxy from the fifth client on, and reports it once', async t => {
  const watch = new ProxyWatch()
  for (const name of names.slice(0, -1)) t.equal(watch.note(source('a'), name, 1000), undefined)
  for (let index = 0; index < 100; index++)
    t.equal(watch.note(source('a'), 'client 0', 1001), undefined, 'the same client')
  t.same(watch.note(source('a'), 'client 4', 1002), { isDue: true, clients: 5, count: most + 100 })
  for (let second = 1002; second < 1002 + again; second += quiet - 1)
    t.match(watch.note(source('a'), `at ${second}`, second), { isDue: false })
  t.match(watch.note(source('a'), 'client 0', 1002 + again), { isDue: true, count: Math.ceil(again / (quiet - 1)) + 1 })
})

t.test('counts each certificate, and each address without one, for itself', async t => {
  const watch = new ProxyWatch()
  for (const name of names) t.equal(watch.note(source(name), name, 0), undefined)
  for (const name of names) t.equal(watch.note(source(undefined, name), name, 0), undefined)
  for (const name of names) t.equal(watch.note({ certificate: undefined, peer: undefined }, name, 0), undefined)
  t.equal(watch.note(source('192.0.2.1'), 'x', 0), undefined, 'an address is no certificate')
  for (const name of names.slice(0, -1)) watch.note(source(undefined), name, 0)
  t.match(watch.note(source(undefined), 'client 4', 0), { isDue: true })
})

t.test('forgets what is too long ago, and what a clock set back makes uncertain', async t => {
  const watch = new ProxyWatch()
  for (const [index, name] of names.entries())
    t.equal(watch.note(source('slow'), name, index * (within / 4)), undefined)
  for (const name of names) watch.note(source('a'), name, 1000)
  t.equal(watch.note(source('a'), 'client 0', 1000 + quiet), undefined, 'after a quiet time')
  for (const name of names) watch.note(source('b'), name, 1000)
  t.equal(watch.note(source('b'), 'client 0', 900), undefined)
})

t.test('has a bounded memory', async t => {
  const watch = new ProxyWatch()
  for (let index = 0; index < 5000; index++) watch.note(source(`certificate ${index}`), 'x', 0)
  for (let index = 0; index < 5000; index++) watch.note(source('a'), `client ${index}`, 0)
  t.match(watch.note(source('a'), 'x', 1), { clients: 1000 })
})
