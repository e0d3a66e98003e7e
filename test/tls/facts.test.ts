// The facts about Node's TLS that the code depends on hold on the Node that runs the tests. `npm run tls-facts` prints them.
import t from 'tap'
import { facts } from '../../scripts/tls-facts/facts.ts'

for (const { about, expected, isNeeded, measure } of facts) {
  t.test(`${about}: ${expected}`, { skip: !isNeeded && 'the code avoids it' }, async t =>
    t.equal(await measure(), expected),
  )
}
