// npm run tls-facts: measures the facts about Node's TLS that the code depends on, so that a new Node is judged in a minute.
// `path/to/node --conditions=tlsbound-source scripts/tls-facts.ts` measures another Node. Fails when a needed fact does not hold.
import { facts } from './tls-facts/facts.ts'

console.log(`Node ${process.versions.node}, OpenSSL ${process.versions.openssl}\n`)
for (const { about, expected, isNeeded, measure } of facts) {
  const found = await measure().catch((error: Error) => `failed: ${error.message}`)
  const isAsExpected = found === expected
  if (!isAsExpected && isNeeded) process.exitCode = 1
  const verdict = isAsExpected ? 'as expected' : isNeeded ? `NOT AS NEEDED: ${expected}` : `before: ${expected}`
  console.log(`${about}\n    ${found} (${verdict})`)
}
