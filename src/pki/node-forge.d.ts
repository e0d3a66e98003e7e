// The only part of node-forge that is loaded. Its main file would load all of its cryptography, which is unused and
// takes ten times as long.

declare module 'node-forge/lib/asn1.js' {
  import type { asn1 } from 'node-forge'

  const asn1Only: typeof asn1
  export default asn1Only
}
