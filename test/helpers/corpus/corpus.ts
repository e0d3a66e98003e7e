// The whole corpus, from the files beside this one.
import { authorities } from './authorities.ts'
import { clientChains } from './client-chains.ts'
import { clientEncodings } from './client-encodings.ts'
import { clientExtensions } from './client-extensions.ts'
import { clientKeys } from './client-keys.ts'
import { clientNames } from './client-names.ts'
import type { ClientEntry, Entry, TrustEntry } from './entry.ts'
import { jsonFiles } from './json-files.ts'
import { revocationLists } from './lists.ts'
import { privateKeys, serverCertificates } from './server-files.ts'

/** Certificates that clients present. */
export const buildClients = (): ClientEntry[] =>
  [clientNames, clientEncodings, clientExtensions, clientChains, clientKeys].flatMap(build => build())

/** Authorities and revocation lists, with the clients that test them. */
export const buildTrusts = (): TrustEntry[] => [...authorities(), ...revocationLists()]

export const buildServerFiles = () => [...serverCertificates(), ...privateKeys()]

export const buildJsonFiles = jsonFiles

/** Every entry. Their names are unique. */
export const buildCorpus = (): Entry[] => [
  ...buildClients(),
  ...buildTrusts(),
  ...buildServerFiles(),
  ...buildJsonFiles(),
]
