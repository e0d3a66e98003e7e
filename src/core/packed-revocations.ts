// Revocations of tokens and grants in a few arrays, for the many that a server reads at its start. An object for each would take four
// times the memory, and a second for a million. `Revocations` adds later ones.

/** The arrays, which one thread can give to another. */
export interface PackedColumns {
  /** The letter of the kind, then the value in ASCII, of one entry after the other. */
  readonly octets: Uint8Array<ArrayBuffer>
  /** Where each entry ends in `octets`. */
  readonly ends: Uint32Array<ArrayBuffer>
  /** Seconds since 1970. */
  readonly expires: Float64Array<ArrayBuffer>
  /** The number of an entry plus 1, by its hash, or 0 if free. The number of slots is a power of two, at least twice that of entries. */
  readonly slots: Uint32Array<ArrayBuffer>
}

/** Of each kind. */
const letters: ReadonlyMap<string, number> = new Map(
  [
    ['token', 't'] as const,
    ['grant', 'g'] as const,
    ['client', 'c'] as const,
    ['certificate', 'x'] as const,
    ['all', 'a'] as const,
  ].map(([kind, letter]) => [kind, letter.charCodeAt(0)]),
)

/** Collects entries. `expected`: about how many. */
export class RevocationPacker {
  #octets: Uint8Array<ArrayBuffer>
  #ends: Uint32Array<ArrayBuffer>
  #expires: Float64Array<ArrayBuffer>
  #hashes: Uint32Array<ArrayBuffer>
  #size = 0
  #end = 0

  constructor(expected = 64) {
    this.#octets = new Uint8Array(expected * usualLength)
    this.#ends = new Uint32Array(expected)
    this.#expires = new Float64Array(expected)
    this.#hashes = new Uint32Array(expected)
  }

  /** Returns the hash of kind and value; undefined for an unknown kind, and for a value that is not ASCII: then nothing is added. */
  add(kind: string, value: string, expires: number): number | undefined {
    const letter = letters.get(kind)
    if (letter === undefined) return undefined
    const [start, end] = [this.#end, this.#end + value.length + 1]
    if (end > this.#octets.length) this.#octets = enlarge(this.#octets, end)
    if (this.#size >= this.#ends.length) {
      this.#ends = enlarge(this.#ends, this.#size + 1)
      this.#expires = enlarge(this.#expires, this.#size + 1)
      this.#hashes = enlarge(this.#hashes, this.#size + 1)
    }
    const octets = this.#octets
    octets[start] = letter
    let hash = step(basis, letter)
    for (let at = 0; at < value.length; at++) {
      const code = value.charCodeAt(at)
      if (code > 0x7f) return undefined
      octets[start + 1 + at] = code
      hash = step(hash, code)
    }
    this.#ends[this.#size] = end
    this.#expires[this.#size] = expires
    this.#hashes[this.#size] = hash
    this.#size++
    this.#end = end
    return hash
  }

  finish(): PackedColumns {
    const slots = new Uint32Array(2 ** Math.ceil(Math.log2(2 * this.#size + 1)))
    for (let index = 0; index < this.#size; index++) {
      let slot = (this.#hashes[index] as number) & (slots.length - 1)
      while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1)
      slots[slot] = index + 1
    }
    return {
      octets: this.#octets.slice(0, this.#end),
      ends: this.#ends.slice(0, this.#size),
      expires: this.#expires.slice(0, this.#size),
      slots,
    }
  }
}

/** Returns the hash of kind and value, as `RevocationPacker#add` does. */
export function hashRevocation(kind: string, value: string): number {
  let hash = step(basis, letters.get(kind) ?? 0)
  for (let at = 0; at < value.length; at++) hash = step(hash, value.charCodeAt(at))
  return hash
}

export class PackedRevocations {
  #columns: PackedColumns
  #earliest = Number.NEGATIVE_INFINITY
  #size: number

  constructor(columns: PackedColumns) {
    this.#columns = columns
    this.#size = columns.expires.length
  }

  /** The number of entries that have not been removed. */
  get size(): number {
    return this.#size
  }

  /** Returns the position of an entry in the order in which the entries were added; -1 if there is none. */
  find(kind: string, value: string): number {
    const { octets, ends, slots } = this.#columns
    const letter = letters.get(kind)
    const last = slots.length - 1
    for (let slot = hashRevocation(kind, value) & last; slots[slot] !== 0; slot = (slot + 1) & last) {
      const index = (slots[slot] as number) - 1
      if (index === removed) continue
      const start = index === 0 ? 0 : (ends[index - 1] as number)
      if ((ends[index] as number) - start !== value.length + 1 || octets[start] !== letter) continue
      let at = 0
      while (at < value.length && octets[start + 1 + at] === value.charCodeAt(at)) at++
      if (at === value.length) return index
    }
    return -1
  }

  expiryOf(index: number): number {
    return this.#columns.expires[index] as number
  }

  /** Removes expired entries. Their memory is freed when no entry is left. `now` is in seconds since 1970. */
  removeExpired(now: number): void {
    if (now < this.#earliest) return
    const { expires, slots } = this.#columns
    this.#earliest = Number.POSITIVE_INFINITY
    let size = 0
    for (const end of expires)
      if (end > now) {
        size++
        if (end < this.#earliest) this.#earliest = end
      }
    if (size === this.#size) return
    this.#size = size
    if (size === 0) this.#columns = new RevocationPacker().finish()
    else
      for (let slot = 0; slot < slots.length; slot++) {
        const index = (slots[slot] as number) - 1
        if (index >= 0 && index !== removed && (expires[index] as number) <= now) slots[slot] = removed + 1
      }
  }
}

/** Marks the slot of an entry that was removed: the search for another one continues behind it. */
const removed = 0xffff_fffe

const basis = 0x811c9dc5

/** FNV-1a. No client chooses the values: they are ids of tokens and grants that this server has made. */
function step(hash: number, octet: number): number {
  return Math.imul(hash ^ octet, 0x01000193)
}

/** Octets of most entries: a letter and a UUID. */
const usualLength = 37

/** Returns a copy with room for `least` elements and more. */
function enlarge<T extends Uint8Array | Uint32Array | Float64Array>(array: T, least: number): T {
  const larger = new (array.constructor as new (length: number) => T)(least + (least >> 1))
  larger.set(array)
  return larger
}
