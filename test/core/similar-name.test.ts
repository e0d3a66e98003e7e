// The suggestion of a setting for a misspelled name.
import t from 'tap'
import { findSimilarName } from '../../src/core/similar-name.ts'
import { settingsTable } from '../../src/settings/settings.ts'

const known = Object.values(settingsTable).map(({ name }) => name)

t.test('finds the setting with a similar name, and none for a different name', t => {
  const meant: Record<string, string | undefined> = {
    TLSBOUND_PROT: 'TLSBOUND_PORT',
    TLSBOUND_TLS_CERT_FILES: 'TLSBOUND_TLS_CERT_FILE',
    TLSBOUND_TLS_CERTFILE: 'TLSBOUND_TLS_CERT_FILE',
    TLSBOUND_TSL_KEY_FILE: 'TLSBOUND_TLS_KEY_FILE',
    TLSBOUND_LOGLEVEL: 'TLSBOUND_LOG_LEVEL',
    TLSBOUND_CRL_FILE: 'TLSBOUND_TLS_CLIENT_CRL_FILE',
    TLSBOUND_CERT: 'TLSBOUND_TLS_CERT_FILE',
    TLSBOUND_DATABASE_URL: undefined,
    TLSBOUND_X: undefined,
    [`TLSBOUND_${'X'.repeat(1_000_000)}`]: undefined,
  }
  for (const [name, expected] of Object.entries(meant))
    t.equal(findSimilarName(name, known), expected, name.slice(0, 40))
  for (const name of known) t.equal(findSimilarName(name, known), name)
  t.end()
})
