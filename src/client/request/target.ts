// The target of a request, as it is sent.
import { type ParsedUrlQueryInput, stringify } from 'node:querystring'
import type { Dispatcher } from 'undici'

/** Returns the path with the query of undici's options. */
export function buildTarget({
  path,
  query,
}: Pick<Dispatcher.DispatchOptions, 'path'> & { readonly query?: object | undefined }): string {
  const text = query === undefined ? '' : stringify(query as ParsedUrlQueryInput)
  return text === '' ? path : `${path}?${text}`
}
