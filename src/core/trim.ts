/**
 * Removes the given characters around a text, in linear time. An expression for those at the end takes quadratic time for a text with many
 * of them inside.
 */
export function trimCharacters(text: string, characters: string): string {
  let [start, end] = [0, text.length]
  while (start < end && characters.includes(text[start] as string)) start++
  while (end > start && characters.includes(text[end - 1] as string)) end--
  return text.slice(start, end)
}
