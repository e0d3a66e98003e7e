// The messages of `tlsbound audit verify`.
import type { Finding, Place, What } from './verify.ts'

const words: Readonly<Record<What, (other: string) => string>> = {
  broken: other =>
    other === ''
      ? 'does not refer to the line named by --after: lines before it are missing or were changed'
      : `does not refer to ${other} before it: that line was changed, or lines between the two are missing`,
  inserted: () => 'does not belong here: it was inserted or moved',
  bypassed: other => `refers to ${other}: the lines between the two were inserted or moved`,
  swapped: other => `is swapped with ${other}`,
  foreign: () => 'is not a security event of tlsbound: it was inserted or changed',
  cut_off: () => 'no line has the hash named by --expect: the end was cut off, or the line was changed',
  cut_short: () =>
    'names the end of the events of a worker, which is another one: the last of them are missing or were changed',
  unannounced: () => 'is of a worker that no line before it announces: it was inserted',
  new_chain: () => 'a new chain starts here: earlier lines, if any, cannot be verified',
  later_chain: () => 'the chain starts before this line: pass the earlier files, or their last hash as --after',
  torn: () => 'incomplete line, as after a full disk or a crash: it was not an event',
}

/** Returns a finding as one line of text. */
export function describeFinding({ what, isProblem, file, line, other }: Finding): string {
  const place = file === undefined || what === 'cut_off' ? '' : `${showPlace({ file, line: line ?? 0 })}: `
  return `${place}${isProblem ? '' : 'note: '}${words[what](other === undefined ? '' : showPlace(other))}`
}

function showPlace({ file, line }: Place): string {
  return `${file}:${line}`
}
