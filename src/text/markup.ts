// Builds HTML and XML. Every value that is not markup is escaped automatically.
import { escapeForDisplay } from '../core/escape-for-display.ts'

/** A piece of HTML or XML. */
export interface Markup {
  readonly markup: string
}

type Value = string | number | Markup | readonly Markup[]

/** Builds markup from a template: markup`<p>${text}</p>`. Pieces in a list are separated by line breaks. */
export function markup(parts: TemplateStringsArray, ...values: readonly Value[]): Markup {
  return { markup: String.raw({ raw: parts }, ...values.map(write)) }
}

function write(value: Value): string {
  if (typeof value === 'string' || typeof value === 'number') return escapeMarkup(String(value))
  return 'markup' in value ? value.markup : value.map(write).join('\n')
}

function escapeMarkup(text: string): string {
  return escapeForDisplay(text).replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
