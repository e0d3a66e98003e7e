// Draws a thumbprint as a small picture, recognisable and different from others. Only a visual aid beside the text; nothing
// depends on it.

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/**
 * Draws the first 18 bits of base64url in the upper half of six by six squares, and the same rotated in the lower half.
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
