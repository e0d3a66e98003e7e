// What `tlsbound audit verify` finds, in words.
import type { Finding, Place, What } from './verify.ts'

const words: Readonly<Record<What, (other: string) => string>> = {
  broken: other =>
    other === ''
      ? 'does not refer to the line that --after names: what stood before it is missing, or changed'
      : `does not refer to ${other} before it: that line was changed, or what stood between the two is missing`,
  inserted: () => 'does not belong here: it was inserted, or moved here from elsewhere',
  bypassed: other => `refers to ${other}: what stands between the two was inserted, or moved here from elsewhere`,
  swapped: other => `is swapped with ${other}`,
  foreign: () => 'is no security event of tlsbound: it was inserted, or changed',
  cut_off: () => 'no line has the hash that --expect names: the end was cut off, or the line changed',
  new_chain: () => 'a new chain starts here: what came before, if anything did, is not vouched for',
  later_chain: () => 'the chain starts before this line: give the files before, or what they end with as --after',
  torn: () => 'a line that was not written whole, as by a full disk or a crash: it was no event',
}

/** One line for a person. */
export function describeFinding({ what, isProblem, file, line, other }: Finding): string {
  const place = file === undefined || what === 'cut_off' ? '' : `${showPlace({ file, line: line ?? 0 })}: `
  return `${place}${isProblem ? '' : 'note: '}${words[what](other === undefined ? '' : showPlace(other))}`
}

function showPlace({ file, line }: Place): string {
  return `${file}:${line}`
}
