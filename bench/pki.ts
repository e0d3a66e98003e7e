// The certificates of a run, as they are passed to the processes of the bench: PEM text of a temporary PKI.
import type { Identity } from '../src/pki/certificate.ts'
import { makeDemoPki } from '../src/pki/demo.ts'

type Pem = Pick<Identity, 'certificate' | 'key'>

export interface Pki {
  ca: Pem
  server: Pem
  alice: Pem
  bob: Pem
}

export function makePki(): Pki {
  const { ca, server, alice, bob } = makeDemoPki()
  const pem = ({ certificate, key }: Identity): Pem => ({ certificate, key })
  return { ca: pem(ca), server: pem(server), alice: pem(alice), bob: pem(bob) }
}
