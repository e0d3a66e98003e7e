// The parameters of openSqlite and openPostgres: wrong and unknown ones are named.
import t from 'tap'
import { openPostgres, openSqlite } from '../../src/process/embed.ts'

t.test('openSqlite names a wrong path and each wrong or unknown option', async t => {
  for (const [path, found] of [
    [undefined, 'undefined'],
    ['', '""'],
    [7, '7'],
    [Buffer.from('a'), 'a Buffer'],
  ] as const)
    t.throws(() => openSqlite(path as never), {
      name: 'TypeError',
      message: `path must be the path of a file, not ${found}`,
    })
  for (const [options, message] of [
    [{ maximumPage: 10 }, /^maximumPage is not an option; did you mean maximumPages\?$/],
    [{ maximumPages: 0 }, /^maximumPages must be an integer of at least 1, not 0$/],
    [{ maximumPages: '10; DROP' }, /^maximumPages must be an integer/],
    [{ isIntact: 'no' }, /^isIntact must be true or false, not "no"$/],
    ['x', /^options must be an object with maximumPages, isIntact, not "x"$/],
  ] as const)
    t.throws(() => openSqlite(':memory:', options as never), { name: 'TypeError', message })
  const store = openSqlite(':memory:', { maximumPages: 1000, isIntact: false })
  await store.check()
  await store.close()
})

t.test('openPostgres names each wrong or unknown option', async t => {
  const url = 'postgres://u:p@localhost/d'
  for (const [options, message] of [
    [{ connection: 4 }, /^connection is not an option; did you mean connections\?$/],
    [{ connections: 0 }, /^connections must be an integer of at least 1, not 0$/],
    [{ connections: '4' }, /^connections must be an integer of at least 1, not "4"$/],
    [4, /^options must be an object with connections, findPassword, not 4$/],
  ] as const)
    t.throws(() => openPostgres(url, options as never), { name: 'TypeError', message })
  await openPostgres(url, { connections: 4 }).close() // connects on first use only
})
