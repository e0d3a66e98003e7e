// `import { startTestServer } from 'tlsbound/testing'`: a test server whose issuer name has the port that it listens on, so that
// clients and resource servers find its metadata. The project's own tests use server.ts, where that name is a constant.

import {
  booleanRule,
  checkOptions,
  functionRule,
  listRule,
  objectRule,
  type Rule,
  type Rules,
} from '../core/check-options.ts'
import { findFreePort } from './free-port.ts'
import type { TestServer, TestServerOptions } from './offer.ts'
import { startTestServer as start } from './server.ts'

export type { CertificateOrder, Identity } from '../pki/certificate.ts'
export type { CrlOrder, Revoked } from '../pki/crl.ts'
export type { KeyUsage, ListScope, Purpose } from '../pki/extensions.ts'
export type { AltName, DistinguishedName } from '../pki/names.ts'
export type { KeyType } from '../pki/signing.ts'
export type { Answer, Call, TestConnection } from './connection.ts'
export { issueCertificate, issueCrl } from './issue.ts'
export type { TestServer, TestServerOptions } from './offer.ts'

const millisecondsRule: Rule = {
  expected: 'a number of milliseconds of at least 0',
  isValid: value => typeof value === 'number' && value >= 0,
}

const optionRules: Rules = {
  env: objectRule,
  clients: listRule,
  pki: objectRule,
  tls: objectRule,
  routes: functionRule,
  store: objectRule,
  signingKeys: listRule,
  closeAfter: millisecondsRule,
  ops: booleanRule,
  leakKeys: functionRule,
  issuerTimeout: millisecondsRule,
}

/** Attempts to use a port that was free a moment ago. */
const attempts = 3

/**
 * Starts a server on a free port of 127.0.0.1. Its issuer is `https://localhost:PORT`, its `origin`, unless `env` has
 * `TLSBOUND_ISSUER`. Close it when the test ends.
 * @throws TypeError (rejects) that names each wrong or unknown option.
 */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  checkOptions(options, undefined, {}, optionRules)
  const { env = {} } = options
  if (env.TLSBOUND_PORT !== undefined || env.TLSBOUND_ISSUER !== undefined) return start(options)
  for (let attempt = 1; ; attempt++)
    try {
      return await start({ ...options, env: { ...env, TLSBOUND_PORT: String(await findFreePort()) } })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt === attempts) throw error
    }
}
