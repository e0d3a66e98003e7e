// A thumbprint as a small picture: who has seen it once knows it again, and two that differ look different. For the eye
// only, with the text beside it; nothing is decided by it.

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/**
 * Draws the beginning of base64url on six by six squares: the upper half, and the same turned upside down.
 * @param {string} thumbprint
 * @returns {{ path: string, hue: number }} the path of an SVG, and one of six hues
 */
export function drawGlyph(thumbprint) {
  const values = [...thumbprint].map(character => alphabet.indexOf(character))
  const squares = []
  for (let cell = 0; cell < 18; cell++) {
    if ((((values[Math.floor(cell / 6)] ?? 0) >> (cell % 6)) & 1) === 0) continue
    const [column, row] = [cell % 6, Math.floor(cell / 6)]
    squares.push(`M${column} ${row}h1v1h-1z`, `M${5 - column} ${5 - row}h1v1h-1z`)
  }
  return { path: squares.join(''), hue: (values[3] ?? 0) % 6 }
}
