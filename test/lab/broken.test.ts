// Shows that the lab can fail: a scenario catches each fault of the broken server, each scenario catches a fault, and the same
// scenarios pass at the same levels against the server without faults.
import t from 'tap'
import { scenarios as catalog } from '../../src/lab/catalog.ts'
import { describeSetting } from '../../src/lab/matrix.ts'
import { type LabOptions, playLab } from '../helpers/lab/lab.ts'
import { pasetoFaults } from '../helpers/server/broken/paseto.ts'
import { signedRequestFaults } from '../helpers/server/broken/signed-requests.ts'
import { type FaultName, faultNames, startBrokenServer } from '../helpers/server/broken-server.ts'

t.setTimeout(120_000)

const certificate: LabOptions = { levels: ['certificate'] }
const proof: LabOptions = { levels: ['proof'] }
const connection: LabOptions = { levels: ['connection'] }
const older: LabOptions = { levels: ['connection'], tls: ['TLSv1.2'] }

/** The scenarios that catch each fault, and the settings. */
const caught: readonly (readonly [FaultName | readonly FaultName[], LabOptions, ...ids: string[]])[] = [
  // cnf
  ['ignoresConfirmation', certificate, 'other-certificate', 'relay'],
  ['ignoresConnection', connection, 'other-connection', 'many-connections', 'mixed-tokens'],
  ['ignoresCertificate', certificate, 'other-certificate'],
  ['comparesSubjects', certificate, 'same-subject'],
  ['comparesKeys', certificate, 'renewed-certificate'],
  ['comparesPrefixes', certificate, 'broken-confirmation'],
  ['acceptsMissingConfirmation', connection, 'broken-confirmation'],
  ['acceptsUnknownMembers', connection, 'unknown-confirmation'],
  ['issuesWeakTokens', connection, 'downgrade'],
  ['exchangesForAnybody', connection, 'exchanged-token'],
  ['ignoresLifetime', connection, 'expired-token'],
  // binding proofs
  ['needsNoProof', proof, 'unsigned-proof'],
  ['readsNoProof', proof, 'proof-by-another-key'],
  ['acceptsProofsOfOtherConnections', proof, 'stolen-proof'],
  ['acceptsProofsOfOtherTokens', proof, 'proof-of-another-token'],
  ['acceptsProofsOfOtherTimes', proof, 'stale-proof'],
  ['acceptsProofsOfOtherKeys', proof, 'proof-by-another-key'],
  // signed requests
  ['needsNoSignature', certificate, 'unsigned-request'],
  ['ignoresBodies', certificate, 'changed-body'],
  ['needsNoCoveredDigest', certificate, 'uncovered-body'],
  ['needsNoCoveredTarget', certificate, 'retargeted-signature'],
  ['believesKeyid', certificate, 'signature-by-another-key'],
  ['acceptsSignaturesOfOtherTimes', certificate, 'stale-signature'],
  ['acceptsNoncesTwice', certificate, 'replayed-signature'],
  ['acceptsSignaturesOfOtherConnections', certificate, 'signature-of-another-connection'],
  // requests
  ['takesTokensFromQuery', connection, 'token-in-query'],
  ['takesTokensFromCookies', connection, 'token-elsewhere'],
  ['takesTokensFromOtherHeaders', connection, 'token-elsewhere'],
  ['believesSecondHeader', connection, 'two-authorization-headers', 'ambiguous-token'],
  ['trustsCertificateHeader', certificate, 'forged-certificate-headers'],
  ['trustsBindingHeader', connection, 'forged-binding-headers'],
  ['skipsHead', connection, 'other-request'],
  ['skipsOtherSpellings', connection, 'other-request'],
  ['remembersVerdicts', connection, 'other-connection'],
  ['failsOnLongTokens', connection, 'garbage-token'],
  // signatures
  ['acceptsUnsigned', connection, 'unsigned-token'],
  ['acceptsHmac', connection, 'symmetric-signature'],
  ['trustsKeyInHeader', connection, 'key-in-header'],
  ['ignoresSignatures', connection, 'changed-claims', 'empty-signature'],
  ['readsLoosely', connection, 'revoked-token'],
  // PASETO
  ['ignoresPurposes', connection, 'paseto-local'],
  ['acceptsOlderVersions', connection, 'paseto-older-version'],
  ['ignoresFooters', connection, 'paseto-other-footer'],
  ['verifiesPasetoWithAnyKey', connection, 'paseto-key-of-another-purpose'],
  ['ignoresImplicitAssertions', connection, 'paseto-without-implicit-assertion'],
  // stored state
  ['refreshesForAnybody', connection, 'refresh-by-another-client'],
  ['repeatsForAnybody', connection, 'refresh-during-renewal'],
  ['copiesOnRenewal', connection, 'refresh-after-renewal'],
  ['refreshesTwice', connection, 'refresh-token-reuse', 'refresh-token-race'],
  ['revokesNothing', connection, 'revoked-token'],
  // TLS
  ['servesWithoutCertificate', certificate, 'no-certificate'],
  ['resumes', connection, 'stolen-ticket'],
  [['resumes', 'ignoresExpiry'], connection, 'ticket-after-expiry'],
  ['ignoresExpiry', certificate, 'expired-certificate'],
  ['comparesIssuerNames', connection, 'refresh-before-renewal'],
  ['knowsConnectionsByAddress', connection, 'same-port'],
  ['renegotiates', older, 'renegotiation', 'renegotiation-as-another'],
  ['bindsWithoutExtendedMasterSecret', older, 'no-extended-master-secret'],
]

async function play(faults: readonly FaultName[], where: LabOptions, ids: readonly string[]) {
  const server = await startBrokenServer(...faults)
  try {
    const scenarios = catalog.filter(({ id }) => ids.includes(id))
    const { signingKey, pasetoKeys } = server
    const runs = await playLab(server, scenarios, { signingKey, pasetoKeys, ...where })
    return runs.flatMap(({ findings, ...setting }) =>
      findings.map(({ scenario: { id }, outcome, evidence }) => ({
        id,
        outcome,
        description: `${describeSetting(setting)}: ${evidence}`,
      })),
    )
  } finally {
    await server.close()
  }
}

for (const [faults, where, ...ids] of caught)
  t.test(`catches a server that ${[faults].flat().join(' and ')}`, async t => {
    const found = await play([faults].flat(), where, ids)
    t.equal(found.length, ids.length)
    for (const { id, outcome, description } of found) t.equal(outcome, 'failed', `${id}, ${description}`)
  })

/** Faults that one scenario catches, among those about the same subject. */
const alone: readonly (readonly [subject: RegExp, where: LabOptions, faults: readonly FaultName[]])[] = [
  [/refresh|renew|subject|certificate/, connection, ['repeatsForAnybody', 'copiesOnRenewal', 'comparesIssuerNames']],
  [/(?<!empty-)signature|unsigned|body/, certificate, Object.keys(signedRequestFaults) as FaultName[]],
  [/^paseto|empty-signature|changed-claims/, connection, Object.keys(pasetoFaults) as FaultName[]],
]

for (const [subject, where, faults] of alone)
  for (const fault of faults)
    t.test(`catches a server that ${fault} with one scenario only`, async t => {
      const about = catalog.filter(({ id }) => subject.test(id)).map(({ id }) => id)
      const failed = (await play([fault], where, about)).filter(({ outcome }) => outcome === 'failed')
      t.same(
        failed.map(({ id }) => id),
        caught.filter(([faults]) => faults === fault).flatMap(([, , ...ids]) => ids),
      )
    })

t.test('passes the same scenarios at the same levels against a server without faults', async t => {
  for (const where of [certificate, proof, connection, older]) {
    const ids = caught.filter(([, there]) => there === where).flatMap(([, , ...ids]) => ids)
    for (const { id, outcome, description } of await play([], where, ids))
      t.equal(outcome, 'passed', `${id}, ${description}`)
  }
})

t.test('catches every fault, and a fault with every scenario', async t => {
  t.same(new Set(caught.flatMap(([faults]) => faults)), new Set(faultNames))
  const restarts = ['server-restart'] // in connection-scenarios.test.ts, with a server that restarts
  t.same(new Set([...caught.flatMap(([, , ...ids]) => ids), ...restarts]), new Set(catalog.map(({ id }) => id)))
})
