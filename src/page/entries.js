// A list of entries, latest first; a repeated entry moves to the top.

/** The number of entries that are shown. */
const maximum = 100

/**
 * @template {{ id: number }} Entry
 * @typedef {object} Entries
 * @property {(entries: readonly Entry[]) => void} show shows new and changed entries, given oldest first
 * @property {() => void} forget removes all
 * @property {() => [HTMLElement, Entry][]} all the latest first
 */

/**
 * @template {{ id: number }} Entry
 * @param {HTMLElement} list
 * @param {(entry: Entry) => HTMLElement} describe builds the row of an entry
 * @returns {Entries<Entry>}
 */
export function createEntries(list, describe) {
  /** @type {Map<number, [HTMLElement, Entry]>} */
  const shown = new Map() // in the order in which they happened
  return {
    show(entries) {
      for (const entry of entries) {
        shown.get(entry.id)?.[0].remove()
        shown.delete(entry.id)
        const row = describe(entry)
        shown.set(entry.id, [row, entry])
        list.prepend(row)
      }
      for (const [id, [row]] of [...shown].slice(0, Math.max(0, shown.size - maximum))) {
        row.remove()
        shown.delete(id)
      }
    },
    forget() {
      shown.clear()
      list.replaceChildren()
    },
    all: () => [...shown.values()].reverse(),
  }
}
