// The field TLS-Channel-Binding of a signed request: the hash of the `tls-exporter` channel binding of its connection.
import { byteSequence, FieldError, octetsOf, parseUniqueDictionary, serializeDictionary } from './structured-fields.ts'

/** The field, in lower case. */
export const channelBindingField = 'tls-channel-binding'

/** Builds the field. `binding`: base64url, as in `ChannelBindings`. */
export function formatChannelBinding(binding: string): string {
  return serializeDictionary(new Map([['tls-exporter', byteSequence(Buffer.from(binding, 'base64url'))]]))
}

/** Parses the field. Returns the 32 octets; undefined if it has another form. */
export function parseChannelBinding(value: string): Buffer | undefined {
  try {
    const members = parseUniqueDictionary(value)
    const octets = members.size === 1 ? octetsOf(members.get('tls-exporter')) : undefined
    return octets?.length === 32 ? octets : undefined
  } catch (error) {
    if (error instanceof FieldError) return undefined
    throw error
  }
}
