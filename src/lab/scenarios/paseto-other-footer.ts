// The footer is not encrypted and names the key, so it must be authenticated with the claims (PASETO: Version4, Sign).
import { buildFooter } from '../../core/paseto.ts'
import { type Forgery, playForgeries } from '../paseto.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'paseto-other-footer',
  sentence: 'The footer of a PASETO is removed, replaced or extended, and its signature stays.',
  stolen: "nothing: the claims are the client's own, so only the footer is tested",
  thief: 'a registered client, on its own connection',
  control: 'the same token with its own footer',
  expected: 'refused',
  demandedBy: ['PASETO v4, Verify', 'PASETO, Payload Processing'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Verify the signature over the footer as it was sent, and accept one form of footer only',
  run: stage => playForgeries(stage, forgeries),
}

const kidOf = (footer: Buffer | undefined): string => /"kid":"([^"]*)"/.exec(String(footer))?.[1] ?? ''
const withFooter =
  (change: (kid: string) => string | undefined): Forgery =>
  genuine => {
    const footer = change(kidOf(genuine.footer))
    return { ...genuine, footer: footer === undefined ? undefined : Buffer.from(footer) }
  }

const forgeries: Readonly<Record<string, Forgery>> = {
  'without the footer': withFooter(() => undefined),
  'an empty footer': withFooter(() => ''),
  'a space in the footer': withFooter(kid => `{"kid": "${kid}"}`),
  'one more member': withFooter(kid => `{"kid":"${kid}","more":1}`),
  'a member twice': withFooter(kid => `{"kid":"x","kid":"${kid}"}`),
  'another key id': withFooter(() => buildFooter(`k4.pid.${'A'.repeat(44)}`).toString()),
  'a wrapped key': withFooter(kid => `{"kid":"${kid}","wpk":"k4.seal.AAAA"}`),
  'text behind the footer': withFooter(kid => `{"kid":"${kid}"}\n`),
}
