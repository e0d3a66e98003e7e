// The tokens that were verified on a connection: none is found once it is forgotten, whichever was used last.
import t from 'tap'
import type { AccessToken } from '../../src/core/access-token.ts'
import { maximumRemembered, type VerifiedToken, VerifiedTokens } from '../../src/tls/verified-tokens.ts'

function make(authorization: string): VerifiedToken {
  return { authorization, token: {} as AccessToken, generation: 0, proof: undefined }
}

t.test('finds each token by its own header only', t => {
  const tokens = new VerifiedTokens()
  const [one, other] = [make('Bearer one'), make('Bearer other')]
  tokens.add(one)
  t.equal(tokens.get('Bearer one'), one, 'the latest')
  tokens.add(other)
  for (const [authorization, expected] of [
    ['Bearer one', one],
    ['Bearer one', one],
    ['Bearer other', other],
    ['Bearer onE', undefined],
    ['bearer other', undefined],
    ['', undefined],
    [undefined, undefined],
    ['Bearer other', other],
  ] as const)
    t.equal(tokens.get(authorization), expected, authorization ?? 'no header')
  t.end()
})

t.test('replaces a token of the same header', t => {
  const tokens = new VerifiedTokens()
  tokens.add(make('Bearer one'))
  const next = make('Bearer one')
  tokens.add(next)
  t.equal(tokens.get('Bearer one'), next)
  t.equal(tokens.size, 1)
  t.end()
})

t.test('does not find a token that was deleted, cleared or displaced, although it was used last', t => {
  const tokens = new VerifiedTokens()
  const fill = () => {
    for (let count = 0; count < maximumRemembered; count++) tokens.add(make(`Bearer ${count}`))
    t.ok(tokens.get('Bearer 0'), 'control')
  }
  fill()
  tokens.delete('Bearer 0')
  t.equal(tokens.get('Bearer 0'), undefined, 'deleted')
  t.ok(tokens.get('Bearer 1'), 'control')
  tokens.clear()
  t.equal(tokens.get('Bearer 1'), undefined, 'cleared')
  fill()
  tokens.add(make('Bearer more'))
  t.equal(tokens.get('Bearer 0'), undefined, 'displaced')
  t.equal(tokens.size, maximumRemembered)
  t.end()
})
