// The examples of the client, run as they stand but for the port and the folder of the certificates.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { run, startTlsbound } from '../helpers/process/process.ts'

t.test('the examples do what they say', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'examples-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const { port } = await startTlsbound(t, folder)
  const runExample = (name: string) => {
    const source = readFileSync(`examples/${name}`, 'utf8')
    const here = source.replace('localhost:8443', `localhost:${port}`).replaceAll("'certs/", `'${folder}/certs/`)
    const flags = ['--conditions=tlsbound-source', '--input-type=module-typescript']
    return run(process.execPath, [...flags, '-e', here], process.cwd())
  }
  const fetched = await runExample('client-fetch.ts')
  t.match(fetched, { code: 0, stdout: /^200 \{.*written at .*binding: 'connection'.*tokens: 1,/s })
  const streamed = await runExample('client-stream.ts')
  t.match(streamed, { code: 0, stdout: /^201 \{.*sent word by word .*\n\{"notes":\[.*sent word by word .*written at/s })
  t.notMatch(`${fetched.stdout} ${streamed.stdout}`, /ey[A-Za-z]|PRIVATE/, 'and show no secret')
})
