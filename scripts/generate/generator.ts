// The interface of a generator: a module that builds files from the code.

/** The content of each file, by its path in the repository. */
export type Files = Readonly<Record<string, string>>

export interface Generator {
  /** Builds the files without writing them. Throws if the code lacks something that the files need. */
  generate(): Files | Promise<Files>
}

/** Builds a Markdown table. A vertical bar in a cell is escaped. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |\n`
  return [line(header), `|${'---|'.repeat(header.length)}\n`, ...rows.map(line)].join('')
}

/** Returns a comment for the top of a page that names its source. */
export function generatedFrom(source: string, name: string): string {
  return `<!-- Generated from ${source}: do not edit. \`node scripts/generate.ts ${name}\` writes this page. -->\n`
}
