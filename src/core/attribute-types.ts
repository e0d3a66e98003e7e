// The attribute types of distinguished names: their short names and object identifiers.

/** By the name that is written, spelled as in its specification. Aliases follow the object identifier. */
const types: Readonly<Record<string, readonly [oid: string, ...others: string[]]>> = {
  // RFC 4514 §3
  CN: ['2.5.4.3', 'commonName'],
  L: ['2.5.4.7', 'localityName'],
  ST: ['2.5.4.8', 'stateOrProvinceName'],
  O: ['2.5.4.10', 'organizationName'],
  OU: ['2.5.4.11', 'organizationalUnitName'],
  C: ['2.5.4.6', 'countryName'],
  STREET: ['2.5.4.9', 'streetAddress'],
  DC: ['0.9.2342.19200300.100.1.25', 'domainComponent'],
  UID: ['0.9.2342.19200300.100.1.1', 'userId'],
  // RFC 4519 §2
  businessCategory: ['2.5.4.15'],
  description: ['2.5.4.13'],
  destinationIndicator: ['2.5.4.27'],
  distinguishedName: ['2.5.4.49'],
  dnQualifier: ['2.5.4.46'],
  enhancedSearchGuide: ['2.5.4.47'],
  facsimileTelephoneNumber: ['2.5.4.23'],
  generationQualifier: ['2.5.4.44'],
  givenName: ['2.5.4.42', 'GN'],
  houseIdentifier: ['2.5.4.51'],
  initials: ['2.5.4.43'],
  internationalISDNNumber: ['2.5.4.25'],
  member: ['2.5.4.31'],
  name: ['2.5.4.41'],
  owner: ['2.5.4.32'],
  physicalDeliveryOfficeName: ['2.5.4.19'],
  postalAddress: ['2.5.4.16'],
  postalCode: ['2.5.4.17'],
  postOfficeBox: ['2.5.4.18'],
  preferredDeliveryMethod: ['2.5.4.28'],
  registeredAddress: ['2.5.4.26'],
  roleOccupant: ['2.5.4.33'],
  searchGuide: ['2.5.4.14'],
  seeAlso: ['2.5.4.34'],
  serialNumber: ['2.5.4.5'],
  SN: ['2.5.4.4', 'surname'],
  telephoneNumber: ['2.5.4.20'],
  teletexTerminalIdentifier: ['2.5.4.22'],
  telexNumber: ['2.5.4.21'],
  title: ['2.5.4.12'],
  uniqueMember: ['2.5.4.50'],
  userPassword: ['2.5.4.35'],
  x121Address: ['2.5.4.24'],
  x500UniqueIdentifier: ['2.5.4.45'],
  // In neither RFC, but used in certificates: X.520, RFC 2985 §5, CA/Browser Forum EV Guidelines §7.1.4.2.
  pseudonym: ['2.5.4.65'],
  role: ['2.5.4.72'],
  organizationIdentifier: ['2.5.4.97'],
  emailAddress: ['1.2.840.113549.1.9.1', 'E'],
  unstructuredName: ['1.2.840.113549.1.9.2'],
  unstructuredAddress: ['1.2.840.113549.1.9.8'],
  jurisdictionL: ['1.3.6.1.4.1.311.60.2.1.1', 'jurisdictionLocalityName'],
  jurisdictionST: ['1.3.6.1.4.1.311.60.2.1.2', 'jurisdictionStateOrProvinceName'],
  jurisdictionC: ['1.3.6.1.4.1.311.60.2.1.3', 'jurisdictionCountryName'],
}

const entries = Object.entries(types)
const names: ReadonlyMap<string, string> = new Map(entries.map(([name, [oid]]) => [oid, name]))
const identifiers: ReadonlyMap<string, string> = new Map(
  entries.flatMap(([name, [oid, ...others]]) => [name, ...others].map(one => [one.toLowerCase(), oid])),
)

/** Returns the name of a type, or undefined if it is written as an object identifier. */
export function nameOfType(oid: string): string | undefined {
  return names.get(oid)
}

/** Parses an attribute type, a name in any letter case or an object identifier. Returns the identifier. @throws RangeError */
export function parseAttributeType(text: string): string {
  // RFC 4512 §1.4 `numericoid`, within X.660: the first number is at most 2, the second below 40 under 0 and 1.
  if (/^(?:[01]\.[1-3]?\d|2\.(?:0|[1-9]\d*))(?:\.(?:0|[1-9]\d*))*$/.test(text)) return text
  const oid = identifiers.get(text.toLowerCase())
  if (oid !== undefined) return oid
  if (text === '') throw new RangeError('a type is missing before =')
  throw new RangeError(
    /^[A-Za-z][A-Za-z0-9-]*$/.test(text)
      ? `the attribute type ${text} is not known by name; use its object identifier, such as 2.5.4.97`
      : `${JSON.stringify(text)} is not an attribute type; use a name such as CN, or an object identifier such as 2.5.4.3`,
  )
}
