// Structured fields (RFC 9651), as far as signed requests use them: dictionaries of inner lists, byte sequences and parameters.
// The library parses and serialises; here is what it leaves open, since the RFC does: a key that occurs twice.
import { type Dictionary, type InnerList, type Item, isInnerList, parseDictionary } from 'structured-headers'

export type { BareItem, Dictionary, InnerList, Item, Parameters } from 'structured-headers'
export { isInnerList, serializeDictionary, serializeInnerList, serializeItem } from 'structured-headers'

/** Why a field is not the dictionary that is needed. The message fits a sentence: `Expected , at offset 3`. */
export class FieldError extends Error {}

/**
 * Parses a field value as a dictionary in which each key occurs once. RFC 9651 §4.2.2 takes the last of two, and another
 * implementation in front may take the first. Takes time in proportion to the length of the value.
 * @throws FieldError
 */
export function parseUniqueDictionary(value: string): Dictionary {
  const dictionary = parse(value)
  const members = countMembers(value)
  if (dictionary.size === 0) throw new FieldError('empty')
  if (members !== dictionary.size) throw new FieldError(`${members} members with ${dictionary.size} keys`)
  return dictionary
}

/** Counts the members of a valid dictionary: they are separated by commas, and only a string can contain another comma. */
function countMembers(value: string): number {
  let members = 1
  let inString = false
  let escapes = false
  for (let at = 0; at < value.length; at++) {
    const sign = value[at]
    if (inString && escapes && sign === '\\') at++
    else if (sign === '"') {
      escapes = value[at - 1] !== '%' // a display string has no escaped quotes (RFC 9651 §4.2.10)
      inString = !inString
    } else if (sign === ',' && !inString) members++
  }
  return members
}

function parse(value: string): Dictionary {
  try {
    return parseDictionary(value)
  } catch (error) {
    throw new FieldError((error as Error).message.replace(/^Parse error: /, ''))
  }
}

/** Returns octets as a byte sequence without parameters. */
export function byteSequence(octets: Uint8Array): Item {
  return [octets as Uint8Array<ArrayBuffer>, new Map()] // with the types of browsers, the library excludes shared memory
}

/** Returns the octets of a member that is a byte sequence without parameters; undefined if it is anything else. */
export function octetsOf(member: Item | InnerList | undefined): Buffer | undefined {
  if (member === undefined || isInnerList(member) || member[1].size > 0) return undefined
  const [value] = member
  return value instanceof ArrayBuffer ? Buffer.from(value) : undefined
}
