// Reads the revocations of a large SQLite file, and checks it for damage, each in a thread of its own (sqlite-thread.ts).
import { hashRevocation, type PackedColumns, RevocationPacker } from '../core/packed-revocations.ts'
import type { DatabaseSync } from './node-sqlite.ts'
import { DamagedError, requireIntegrity, requireSoundPages } from './sqlite-file.ts'

/** The revocations of a file, as of one position. */
export interface LoadedRevocations {
  /** Undefined: values that cannot be packed, so that the store reads all revocations one by one. */
  readonly packed: PackedColumns | undefined
  /** The position of the store then. */
  readonly position: number
}

/** Rows of one read. */
const portion = 5000

/** The number of revocations, and a sum over what each index has of them. */
export interface Sums {
  readonly count: number
  readonly values: number
  readonly times: number
}

/** The sums are undefined if they have nothing to be compared with. */
export interface LoadedRows extends LoadedRevocations {
  readonly sums: Sums | undefined
}

/**
 * Reads the rows of the revocations. Checks the file for damage if they cannot be packed, unless `isIntact`.
 * @throws DamagedError, or an error of SQLite
 */
export function loadRows(database: DatabaseSync, isIntact: boolean): LoadedRows {
  const ask = (sql: string) => Number(Object.values(database.prepare(sql).get() ?? {})[0])
  const position = ask('SELECT value FROM news_sequence')
  if (!Number.isSafeInteger(position)) throw new DamagedError() // SQLite finds no row before or after NaN
  const table = readTable(database, ask('SELECT count(*) FROM revocations'))
  if (table === undefined && !isIntact) requireIntegrity(database)
  return { packed: table?.packed, position, sums: table?.sums }
}

/**
 * Checks the file for damage, but for the rows of the revocations: compare the sums with theirs. PRAGMA integrity_check would search each
 * row in each index, which takes seconds for a million. Here each index is read in its order, and its entries are added up. That also
 * finds an entry that differs from its row, is missing, is one too many, or is in the wrong place. `unknown`: a value cannot be packed.
 * @throws DamagedError, or an error of SQLite
 */
export function checkIndexes(database: DatabaseSync): Sums | 'unknown' {
  requireSoundPages(database)
  requireIntegrity(database, ['clients'])
  const [values, times] = [addUpValues(database), addUpTimes(database)]
  if (values === undefined) return 'unknown'
  if (values.count !== times.count) throw new DamagedError()
  return { count: values.count, values: values.sum, times: times.sum }
}

/** @throws DamagedError when the rows and the indexes differ. */
export function requireSame({ sums }: LoadedRows, indexes: Sums | 'unknown'): void {
  if (sums === undefined) return
  if (indexes === 'unknown') throw new DamagedError()
  const { count, values, times } = indexes
  if (sums.count !== count || sums.values !== values || sums.times !== times) throw new DamagedError()
}

interface Table {
  readonly packed: PackedColumns
  readonly sums: Sums
}

/** Reads the rows. Undefined: a value cannot be packed. */
function readTable(database: DatabaseSync, expected: number): Table | undefined {
  const packer = new RevocationPacker(expected)
  let [count, values, times, last] = [0, 0, 0, beforeAll]
  const sql = 'SELECT sequence, kind, value, not_before, expires FROM revocations NOT INDEXED WHERE sequence > ?'
  for (const rows of readPortions(database, `${sql} ORDER BY sequence`, [beforeAll], ([sequence]) => [sequence])) {
    for (const [sequence, kind, value, notBefore, expires] of rows) {
      if (!isText(kind) || !isText(value) || !isNumber(sequence) || !isNumber(notBefore) || !isNumber(expires))
        throw new DamagedError()
      if (sequence <= last) throw new DamagedError()
      const hash = packer.add(kind, value, expires)
      if (hash === undefined) return undefined
      last = sequence
      count++
      values = (values + mix(hash, sequence)) | 0
      times = (times + mix(mix(mix(0, expires), notBefore), sequence)) | 0
    }
  }
  return { packed: packer.finish(), sums: { count, values, times } }
}

interface IndexSum {
  readonly count: number
  readonly sum: number
}

/**
 * Adds up the index of the kinds and values. Undefined: a value cannot be packed, and need not be in the order of JavaScript.
 * @throws DamagedError for a wrong order
 */
function addUpValues(database: DatabaseSync): IndexSum | undefined {
  let [count, sum, lastKind, lastValue] = [0, 0, '', '']
  const sql =
    'SELECT kind, value, sequence FROM revocations INDEXED BY sqlite_autoindex_revocations_1 WHERE (kind, value) > (?, ?)'
  const next = ([kind, value]: Row): Row => [kind, value]
  for (const rows of readPortions(database, `${sql} ORDER BY kind, value`, ['', ''], next)) {
    for (const [kind, value, sequence] of rows) {
      if (!isText(kind) || !isText(value) || !isNumber(sequence)) throw new DamagedError()
      if (notAscii.test(kind) || notAscii.test(value)) return undefined
      if (kind < lastKind || (kind === lastKind && value <= lastValue && count > 0)) throw new DamagedError()
      lastKind = kind
      lastValue = value
      count++
      sum = (sum + mix(hashRevocation(kind, value), sequence)) | 0
    }
  }
  return { count, sum }
}

/** Adds up the index of the times. @throws DamagedError for a wrong order */
function addUpTimes(database: DatabaseSync): IndexSum {
  let [count, sum, lastExpires, lastBefore, last] = [0, 0, beforeAll, beforeAll, beforeAll]
  for (const rows of readTimes(database)) {
    for (const [expires, notBefore, sequence] of rows) {
      if (!isNumber(expires) || !isNumber(notBefore) || !isNumber(sequence)) throw new DamagedError()
      const isLater = notBefore > lastBefore || (notBefore === lastBefore && sequence > last)
      if (expires < lastExpires || (expires === lastExpires && !isLater)) throw new DamagedError()
      lastExpires = expires
      lastBefore = notBefore
      last = sequence
      count++
      sum = (sum + mix(mix(mix(0, expires), notBefore), sequence)) | 0
    }
  }
  return { count, sum }
}

/**
 * Adds a number to a hash, as the finalizer of MurmurHash3. Each bit changes all bits of the result: otherwise two rows in which the same
 * bit has flipped could leave the sum as it was.
 */
function mix(hash: number, number: number): number {
  let mixed = Math.imul(hash ^ (number | 0), 0x9e3779b1) ^ Math.floor(number / 2 ** 32)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

type Cell = string | number | null | undefined
type Row = readonly Cell[]

/** Reads rows in portions; `next` returns the values with which the portion after a row begins. */
function* readPortions(
  database: DatabaseSync,
  sql: string,
  first: Row,
  next: (row: Row) => Row,
): Generator<readonly Row[], void> {
  const statement = database.prepare(`${sql} LIMIT ${portion}`)
  statement.setReturnArrays(true)
  for (let from = first; ; ) {
    const rows = statement.all(...(from as (string | number)[])) as unknown as readonly Row[]
    yield rows
    if (rows.length < portion) return
    from = next(rows.at(-1) as Row)
  }
}

/**
 * Reads the index of the times in portions. The rows of one second that a portion leaves over are asked for alone: SQLite does not look up
 * a row's number behind the columns of an index in `(expires, not_before, sequence) > (?, ?, ?)`, and would read all rows of that second
 * again for each portion.
 */
function* readTimes(database: DatabaseSync): Generator<readonly Row[], void> {
  const columns = 'expires, not_before, sequence'
  const prepare = (condition: string) => {
    const rows = `SELECT ${columns} FROM revocations INDEXED BY revocations_by_expiry WHERE ${condition}`
    const statement = database.prepare(`${rows} ORDER BY ${columns} LIMIT ${portion}`)
    statement.setReturnArrays(true)
    return (...from: readonly Cell[]) => statement.all(...(from as number[])) as unknown as readonly Row[]
  }
  const later = prepare('(expires, not_before) > (?, ?)')
  const leftOver = prepare('expires = ? AND not_before = ? AND sequence > ?')
  let [expires, notBefore, sequence]: Row = [beforeAll, beforeAll, beforeAll]
  for (let isWithinSecond = false; ; ) {
    const rows: readonly Row[] = isWithinSecond ? leftOver(expires, notBefore, sequence) : later(expires, notBefore)
    yield rows
    const isAll = rows.length < portion
    if (isAll && !isWithinSecond) return
    if (!isAll) [expires, notBefore, sequence] = rows.at(-1) as Row
    isWithinSecond = !isAll
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const notAscii = /[^\x00-\x7f]/

/** Less than every number of a row. */
const beforeAll = Number.MIN_SAFE_INTEGER

const isText = (cell: Row[number]): cell is string => typeof cell === 'string'
const isNumber = (cell: Row[number]): cell is number => typeof cell === 'number'
