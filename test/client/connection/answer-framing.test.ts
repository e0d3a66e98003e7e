// A truncated HTTP/1.1 response never looks complete: client and sidecar reject a body that ends with its connection. RFC 9112 §6.3, §8; GW04.
import t from 'tap'
import { createClient } from '../../../src/client/client.ts'
import { startFakeUpstream } from '../../helpers/client/fake-upstream.ts'
import { ask, startTestSidecar } from '../../helpers/client/sidecar.ts'

/** Heads of responses whose body ends with the connection, according to undici as well. */
const endless: Readonly<Record<string, string>> = {
  'neither length nor chunks': '',
  'another coding in place of chunks': 'Transfer-Encoding: gzip\r\n',
  'the coding identity': 'Transfer-Encoding: identity\r\n',
  'another coding around chunks': 'Transfer-Encoding: chunked, gzip\r\n',
  'the same in two fields': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n',
  'a coding without a name': 'Transfer-Encoding:\r\n',
  'chunks and a tab': 'Transfer-Encoding: chunked\t\r\n',
  'chunks and a parameter': 'Transfer-Encoding: chunked;q=1\r\n',
}
/** This response has a delimiter, but a client that did not request gzip would mistake the compressed octets for the body. */
const packed = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n'

const whole: Readonly<Record<string, readonly [text: string, bytes: string]>> = {
  'a length': ['whole', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole'],
  chunks: ['whole', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked \r\n\r\n5\r\nwhole\r\n0\r\n\r\n'],
  'a status without a body': ['', 'HTTP/1.1 204 No Content\r\n\r\n'],
  'another such status': ['', 'HTTP/1.1 304 Not Modified\r\n\r\n'],
}

t.test('rejects a response without a delimiter, and returns a delimited one completely', async t => {
  const bytes = [
    ...Object.values(endless).map(head => `HTTP/1.1 200 OK\r\n${head}\r\nhalf`),
    packed,
    ...Object.values(whole).map(([, answer]) => answer),
  ]
  const upstream = await startFakeUpstream(t, (request, response) => {
    if (request.method === 'HEAD') response.socket.end('HTTP/1.1 200 OK\r\n\r\n')
    else response.socket.end(bytes[Number(request.url.slice(1))] ?? '', 'latin1')
  })
  const client = createClient(upstream.target)
  const { address } = await startTestSidecar(t, { client })
  const names = [...Object.keys(endless), 'another coding below chunks', ...Object.keys(whole)]
  for (const [index, name] of names.entries()) {
    const order = { path: `/${index}`, method: 'POST', body: 'text' } as const
    const text = async () => (await client.dispatcher.request(order)).body.text()
    const expected = whole[name]?.[0]
    if (expected === undefined) {
      await t.rejects(text(), { name: 'ClientError', code: 'answer_endless' }, name)
      const told = await ask(address, order.path, { method: 'POST', body: 'text' })
      t.match(told, { status: 502, body: { error: 'upstream_failed', error_description: /Content-Length/ } }, name)
    } else {
      t.equal(await text(), expected, name)
      t.match(await ask(address, order.path, { method: 'POST', body: 'text' }), { text: expected }, name)
    }
  }
  t.equal(upstream.seen.length, 2 * names.length, 'no request was repeated')
  t.match(await ask(address, '/', { method: 'HEAD' }), { status: 200 }, 'control: the response to HEAD has no body')
})
