// Finds a known name that is similar to an unknown one, for "did you mean" messages.

/** Finds the shortest known name with all words of the unknown one, otherwise the one with the smallest edit distance, at most 2. */
export function findSimilarName(name: string, known: readonly string[]): string | undefined {
  if (name.length > 100) return undefined
  const words = name.split('_')
  const [shortest] = known
    .filter(candidate => words.every(word => candidate.split('_').includes(word)))
    .sort((one, other) => one.length - other.length)
  if (shortest !== undefined) return shortest
  const [nearest] = known
    .map(candidate => ({ candidate, distance: distanceOf(name, candidate) }))
    .sort((one, other) => one.distance - other.distance)
  return nearest !== undefined && nearest.distance <= 2 ? nearest.candidate : undefined
}

/** Returns the edit distance: insertions, deletions, substitutions and transpositions of characters. */
function distanceOf(one: string, other: string): number {
  const rows = [Array.from({ length: other.length + 1 }, (_, column) => column)]
  const at = (row: number, column: number) => rows[row]?.[column] ?? Number.POSITIVE_INFINITY
  for (let row = 1; row <= one.length; row++) {
    rows[row] = [row]
    for (let column = 1; column <= other.length; column++) {
      const [last, here] = [row - 1, column - 1]
      const isSwapped = one[last] === other[here - 1] && one[last - 1] === other[here]
      const replaced = at(last, here) + (one[last] === other[here] ? 0 : 1)
      const swapped = isSwapped ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY
      ;(rows[row] as number[])[column] = Math.min(at(row, here) + 1, at(last, column) + 1, replaced, swapped)
    }
  }
  return at(one.length, other.length)
}
