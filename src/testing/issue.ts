// Certificates and lists for the tests of users, who may have no types: a wrong or unknown member of an order is named.
import { booleanRule, checkOptions, listRule, objectRule, oneOf, type Rule, type Rules } from '../core/check-options.ts'
import { type CertificateOrder, type Identity, issueCertificate as issue } from '../pki/certificate.ts'
import { type CrlOrder, issueCrl as issueList } from '../pki/crl.ts'

const dateRule: Rule = {
  expected: 'a valid Date',
  isValid: value => value instanceof Date && !Number.isNaN(value.getTime()),
}
const orNull = ({ expected, isValid }: Rule): Rule => ({
  expected: `${expected}, or null`,
  isValid: value => value === null || isValid(value),
})
const bufferRule: Rule = { expected: 'a Buffer', isValid: Buffer.isBuffer }
const issuerRule: Rule = {
  expected: 'an identity such as server.pki.ca, or the result of issueCertificate(…)',
  isValid: value => (value as Partial<Identity> | null)?.privateKey !== undefined,
}
const digestRule = oneOf(['sha256', 'sha1'])

const subjectRules: Rules = {
  subject: {
    expected: "a list of types and values, such as [['CN', 'carol']]",
    isValid: value => Array.isArray(value) && value.every(part => Array.isArray(part) && part.length === 2),
  },
}

const certificateRules: Rules = {
  issuer: issuerRule,
  keyType: oneOf(['ec', 'ec384', 'ed25519', 'rsa', 'rsa1024']),
  keyPair: objectRule,
  ca: {
    expected: 'true, false, or an object with pathLength',
    isValid: value => booleanRule.isValid(value) || objectRule.isValid(value),
  },
  keyUsage: listRule,
  extendedKeyUsage: listRule,
  altNames: listRule,
  permittedDns: listRule,
  distributionPoints: listRule,
  subjectKeyIdentifier: orNull(bufferRule),
  authorityKeyIdentifier: orNull(objectRule),
  extensions: listRule,
  serial: { expected: 'a bigint', isValid: value => typeof value === 'bigint' },
  notBefore: dateRule,
  notAfter: dateRule,
  digest: digestRule,
}

const requiredListRules: Rules = { issuer: issuerRule, revoked: listRule }

const listRules: Rules = {
  thisUpdate: dateRule,
  nextUpdate: orNull(dateRule),
  number: { expected: 'an integer', isValid: Number.isSafeInteger },
  scope: objectRule,
  authorityKeyIdentifier: orNull(objectRule),
  extensions: listRule,
  version: { expected: '1 or 2', isValid: value => value === 1 || value === 2 },
  digest: digestRule,
}

/** Issues the requested certificate, by default for a new key. @throws TypeError that names each wrong or unknown member. */
export function issueCertificate(order: CertificateOrder): Identity {
  checkOptions(order, 'order', subjectRules, certificateRules)
  return issue(order)
}

/** Issues the list in PEM; its entries are revoked since `thisUpdate`. @throws TypeError that names each wrong or unknown member. */
export function issueCrl(order: CrlOrder): string {
  checkOptions(order, 'order', requiredListRules, listRules)
  return issueList(order)
}
