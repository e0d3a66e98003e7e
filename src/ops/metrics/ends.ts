// When what a listener uses will have ended: its certificate, the authorities for clients, their revocation lists. Of several,
// the first counts. An expired revocation list refuses everybody, so it matters as much as a certificate.
import { X509Certificate } from 'node:crypto'
import { readNextUpdate } from '../../core/certificate-fields.ts'
import { readRevocationLists, type TlsMaterial } from '../../http/tls.ts'
import { decodePem } from '../../http/trust.ts'

/** Seconds since 1970, of what there is. */
export type Ends = Readonly<Partial<Record<'server_certificate' | 'client_authorities' | 'revocation_lists', number>>>

type Material = Omit<TlsMaterial, 'key'>

const known = new WeakMap<Material, Ends>()

/** Reads the material once, however often it is asked for: a reload brings a new one. */
export function readEnds(material: Material): Ends {
  const ends = known.get(material) ?? {
    ...first('server_certificate', readCertificateEnds(material.cert)),
    ...first('client_authorities', readCertificateEnds(material.ca)),
    ...first('revocation_lists', readListEnds({ ...material, key: '' })),
  }
  known.set(material, ends)
  return ends
}

function first(name: keyof Ends, ends: readonly number[]): Ends {
  return ends.length === 0 ? {} : { [name]: Math.min(...ends) / 1000 }
}

function readCertificateEnds(pem: string): number[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.map(block => new X509Certificate(block).validToDate.getTime())
}

function readListEnds(material: TlsMaterial): number[] {
  return readRevocationLists(material).flatMap(list => {
    try {
      return readNextUpdate(decodePem(list)) ?? []
    } catch {
      return 0 // an end that nobody can read is an alarm
    }
  })
}
