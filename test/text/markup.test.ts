// Untrusted text in HTML and XML remains text, and invisible characters are shown.
import t from 'tap'
import { markup } from '../../src/text/markup.ts'

t.test('escapes inserted text, and inserts markup unchanged', async t => {
  const hostile = `</p><script>alert("'&")</script>`
  const escaped = '&#60;/p&#62;&#60;script&#62;alert(&#34;&#39;&#38;&#34;)&#60;/script&#62;'
  t.equal(markup`<p title="${hostile}">${hostile}</p>`.markup, `<p title="${escaped}">${escaped}</p>`)
  t.equal(markup`<p>${markup`<b>${'<'}</b>`}${1}</p>`.markup, '<p><b>&#60;</b>1</p>')
  t.equal(
    markup`${['<', '>'].map(text => markup`<i>${text}</i>`)}`.markup,
    '<i>&#60;</i>\n<i>&#62;</i>',
    'one line each',
  )
})

t.test('shows text direction marks and invisible characters as escapes', async t => {
  t.equal(markup`${'alice – Zürich 東京 😀'}`.markup, 'alice – Zürich 東京 😀', 'control')
  t.equal(markup`${'a\u202eb\u2066\u200f\ufeff'}`.markup, 'a\\u{202e}b\\u{2066}\\u{200f}\\u{feff}')
  t.equal(markup`${'\n\u001b\u2028\ud800\uffff'}`.markup, '\\u{a}\\u{1b}\\u{2028}\\u{d800}\\u{ffff}')
})
