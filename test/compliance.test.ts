// Compares the tables of requirements with the tests, and tests how the text of a test is evaluated.
import t from 'tap'
import { areas, asvs } from '../scripts/requirements/requirements.ts'
import { findTests, names, numbersIn, readTests } from '../scripts/requirements/tests.ts'

const requirements = areas.flatMap(area => area.requirements)

t.test('numbers the requirements from 1 on, each with a test or a reason why there is none', async t => {
  const numbers = requirements.map((_, index) => `N-${String(index + 1).padStart(2, '0')}`)
  t.same(
    requirements.map(({ number }) => number),
    numbers,
  )
  const tests = readTests()
  for (const { number, limit } of requirements)
    t.ok(limit !== undefined || tests.some(({ text }) => names(text, number)), number)
  for (const { number, provenBy = [] } of asvs.requirements) {
    t.ok(
      tests.some(({ text }) => [number, ...provenBy].some(mark => names(text, mark))),
      number,
    )
    for (const mark of provenBy)
      t.ok(
        tests.some(({ text }) => names(text, mark)),
        `${mark} for ${number}`,
      )
  }
})

const source = `// A file about things: N-01.
const fine = { status: 200 }
const malformed = {
  status: 400,
}
const send = async () => malformed

for (const kind of ['a', 'b'])
  t.test(\`\${kind}: it\\'s taken (N-02)\`, async t => {
    t.match(await ask(), fine, 'N-03')
  })

t.test(
  'what is odd comes back (ASVS 1.2.3)',
  async t => {
    t.match(await send(), malformed) // N-04
  },
)
await t.rejects(send(), 'N-05')
attack('it throws', t => {
  t.throws(() => read({ malformed: true }), 'N-06')
})
t.test('malformed is a word here', async t => t.same(await ask({ malformed: 1 }), 'malformed'))
`

t.test('reads marks from the title and the text of a test, and not from the text around it', async t => {
  const [taken, odd, thrown, word, ...others] = findTests('x.test.ts', source)
  t.same(others, [])
  t.match(taken, { file: 'x.test.ts', title: "…: it's taken (N-02)", refuses: false })
  t.match(odd, { title: 'what is odd comes back (ASVS 1.2.3)', refuses: true })
  t.match(thrown, { title: 'it throws', refuses: true })
  t.match(word, { title: 'malformed is a word here', refuses: false })
  t.same(
    [taken, odd, thrown, word].map(one => numbersIn(one?.text ?? '')),
    [['N-02', 'N-03'], ['ASVS 1.2.3', 'N-04'], ['N-06'], []],
  )
})

t.test('matches whole marks only', async t => {
  for (const text of ['N-24', '(CB01, N-24)', "'N-24: it is'", 'N-24, N-25']) t.ok(names(text, 'N-24'), text)
  for (const text of ['N-2', 'N-245', 'XN-24', 'N-24a', 'DN-24', 'EN-24-1']) t.notOk(names(text, 'N-24'), text)
  t.ok(names('as ASVS 9.1.1.', 'ASVS 9.1.1'))
  for (const text of ['ASVS 9.1.11', 'ASVS 9.1.1.2', 'ASVS 9x1.1']) t.notOk(names(text, 'ASVS 9.1.1'), text)
})
