// Presenter × registration → authenticated or rejected; N-21, N-22, N-23. Over real handshakes: test/attack/client.
import t from 'tap'
import { type Client, parseClients } from '../../src/core/client.ts'
import { authenticateClient, findRegistration } from '../../src/core/client-authentication.ts'
import { readCertificate } from '../../src/core/presenter.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'

const certificateOf = (name: string) => issueCertificate({ subject: [['CN', name]] }).x509
const [alice, bob, anna] = [certificateOf('alice'), certificateOf('bob'), certificateOf('alice')]
const presenter = (x509: typeof alice, pinned = false) => ({ certificate: readCertificate(x509, pinned), bindings: {} })
const problems: string[] = []
const clients = parseClients(
  [
    ...['tls_client_auth', 'client_secret_basic'].map((method, index) => ({
      client_id: ['alice', 'bob'][index],
      token_endpoint_auth_method: method,
      tls_client_auth_subject_dn: `CN=${['alice', 'bob'][index]}`,
    })),
    {
      client_id: 'anna',
      token_endpoint_auth_method: 'self_signed_tls_client_auth',
      jwks: { keys: [{ x5c: [anna.raw.toString('base64')] }] },
    },
  ],
  problems,
)
const client = (id: string) => clients.get(id) as Client
const mismatch = { name: 'OAuthError', code: 'invalid_client', reason: 'client_mismatch' }

t.test('authenticates a client by the name in a certificate of a trusted authority (N-21, N-22)', async t => {
  t.same(problems, [])
  for (const [id, x509] of [
    ['alice', alice],
    ['bob', bob],
  ] as const) {
    t.doesNotThrow(() => authenticateClient(client(id), presenter(x509)), id)
    t.throws(() => authenticateClient(client(id), presenter(certificateOf('mallory'))), mismatch, `mallory as ${id}`)
  }
  t.throws(() => authenticateClient(client('bob'), presenter(alice)), mismatch)
  t.throws(() => authenticateClient(client('alice'), presenter(bob)), mismatch)
})

t.test('authenticates a client with a self-signed certificate by that exact certificate (N-23)', async t => {
  for (const pinned of [true, false]) t.doesNotThrow(() => authenticateClient(client('anna'), presenter(anna, pinned)))
  for (const other of [alice, bob, certificateOf('anna')])
    t.throws(() => authenticateClient(client('anna'), presenter(other)), mismatch)
})

t.test('does not match a pinned certificate by its name', async t => {
  t.equal(anna.subject, alice.subject)
  t.throws(() => authenticateClient(client('alice'), presenter(anna, true)), mismatch)
  t.doesNotThrow(
    () => authenticateClient(client('alice'), presenter(anna)),
    'control: only the pin makes the difference',
  )
})

t.test('finds the registration of a presenter exactly if it authenticates the presenter', async t => {
  const registrations = [...clients.values()].map(client => ({ client }))
  for (const x509 of [alice, bob, anna, certificateOf('mallory')])
    for (const pinned of [true, false]) {
      const who = presenter(x509, pinned)
      const accepting = registrations.find(({ client }) => {
        try {
          authenticateClient(client, who)
          return true
        } catch {
          return false
        }
      })
      t.equal(
        findRegistration(registrations, who),
        accepting,
        `${x509.subject}, ${pinned ? 'pinned' : 'issued by a trusted authority'}`,
      )
    }
  t.equal(findRegistration(registrations, presenter(bob))?.client.id, 'bob', 'control')
})
