// Builds HTML. Whatever is put in that is no HTML itself is escaped, so that there is no way to forget it.

/** A piece of HTML. */
export interface Html {
  readonly html: string
}

type Value = string | number | Html | readonly Html[]

/** A template: html`<p>${text}</p>`. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  return { html: String.raw({ raw: parts }, ...values.map(write)) }
}

function write(value: Value): string {
  if (typeof value === 'string' || typeof value === 'number')
    return String(value).replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
  return 'html' in value ? value.html : value.map(write).join('\n')
}
