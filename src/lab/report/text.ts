// Text of a server that may mean harm, made harmless: for terminals, for HTML and for XML.

/** The text without what could steer a terminal, turn a line around or stand in no XML document; that is spelled out. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\ufffe\uffff]/gu, spell)
}

function spell(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`
}

/** A piece of HTML or XML. */
export interface Markup {
  readonly markup: string
}

type Value = string | number | Markup | readonly Markup[]

/** Builds markup. Whatever is put in that is no markup itself is escaped, so that there is no way to forget it. */
export function markup(parts: TemplateStringsArray, ...values: readonly Value[]): Markup {
  return { markup: String.raw({ raw: parts }, ...values.map(write)) }
}

function write(value: Value): string {
  if (typeof value === 'string' || typeof value === 'number') return escapeMarkup(String(value))
  return 'markup' in value ? value.markup : value.map(write).join('\n')
}

function escapeMarkup(text: string): string {
  return plain(text).replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
