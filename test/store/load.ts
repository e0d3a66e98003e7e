// A process that uses the store named in its argument as fast as possible, and writes a line for each acknowledged change.
// It runs until it is killed.
import { writeSync } from 'node:fs'
import { openSqlite } from '../../src/store/sqlite.ts'
import { grant, successor } from '../../src/testing/store-contract/grant.ts'

const [path, name] = process.argv.slice(2) as [string, string]
const store = openSqlite(path)
writeSync(1, 'open\n')

async function live(caller: number): Promise<void> {
  for (let count = 0; count < 100_000; count++) {
    const id = `${name}-${caller}-${count}`
    await store.createGrant(grant(id), `${id}-0`)
    writeSync(1, `created ${id}\n`)
    await store.rotateRefreshToken(`${id}-0`, successor(`${id}-1`), 2_000_000)
    writeSync(1, `rotated ${id}\n`)
    if (count % 3 > 0) continue
    await store.revoke({ kind: 'grant', value: id, notBefore: 1, expires: 1_000_000 })
    writeSync(1, `revoked ${id}\n`)
  }
}

await Promise.all(Array.from({ length: 8 }, (_, caller) => live(caller)))
