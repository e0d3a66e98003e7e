// The one part of node-forge that we load. The package's main file would load all of its cryptography as well,
// which we do not use and which takes ten times as long.

declare module 'node-forge/lib/asn1.js' {
  import type { asn1 } from 'node-forge'

  const asn1Only: typeof asn1
  export default asn1Only
}
