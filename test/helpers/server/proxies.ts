// A server behind a proxy that ends TLS: the proxy's own certificate, and the fields in which proxies forward that of a client.
import { hash } from 'node:crypto'
import { readCertificate } from '../../../src/core/presenter.ts'
import { issueCertificate } from '../../../src/pki/certificate.ts'
import type { Identity, TestConnection } from '../../../src/testing/server.ts'

/** Issues the certificate of a proxy. */
export const issueProxy = (name: string, issuer: Identity, more: object = {}): Identity =>
  issueCertificate({ subject: [['CN', name]], issuer, extendedKeyUsage: ['clientAuth'], ...more })

export const thumbprintOf = ({ x509 }: Identity): string => readCertificate(x509).thumbprint

const base64 = ({ x509 }: Identity) => x509.raw.toString('base64')
const encodedPem = ({ x509 }: Identity) => encodeURIComponent(x509.toString())

/** The value of the field of each form, as the documentation of the proxies describes it. */
export const fieldOf = {
  'client-cert': (who: Identity) => `:${base64(who)}:`,
  nginx: encodedPem,
  envoy: (who: Identity) =>
    `By=spiffe://mesh/edge;Hash=${hash('sha256', who.x509.raw, 'hex')};Cert="${encodedPem(who)}";Subject="CN=a\\"b,O=c;d";URI=spiffe://a;URI=spiffe://b`,
  traefik: base64,
  // `+`, `=` and `/` are safe characters there.
  aws: (who: Identity) => encodedPem(who).replace(/%(?:2B|3D|2F)/g, decodeURIComponent),
  'aws-passthrough': (who: Identity, issuer = who) =>
    encodeURIComponent(`${who.x509.toString()}${issuer.x509.toString()}`).replace(/%(?:2B|3D|2F)/g, decodeURIComponent),
} as const

/** Requests of a client on the connection of a proxy, which forwards its certificate in these fields. */
export function through(proxy: TestConnection, fields: Readonly<Record<string, string | string[]>>) {
  const call: TestConnection['call'] = (path, options = {}) =>
    proxy.call(path, { ...options, headers: { ...options.headers, ...fields } })
  const requestToken = (form: Readonly<Record<string, string>>) =>
    call('/oauth/token', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ grant_type: 'client_credentials', ...form }).toString(),
    })
  return {
    call,
    requestToken,
    get: (path: string, token?: string) => call(path, token === undefined ? {} : { token }),
    async token(form: Readonly<Record<string, string>>): Promise<string> {
      const { body, text } = await requestToken({ token_binding: 'certificate', ...form })
      if (typeof body?.access_token !== 'string') throw new Error(`no token was issued: ${text}`)
      return body.access_token
    },
  }
}
