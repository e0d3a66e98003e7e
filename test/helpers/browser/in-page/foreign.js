// Runs in a page of another origin: every attack on the ops listener of `url`, even with the ops token.

;async (/** @type {{ url: string, opsToken: string }} */ { url, opsToken }) => {
  /**
   * @param {RequestInit} init
   * @param {string} path
   */
  const ask = (init, path = '/live') =>
    fetch(url + path, init).then(
      answer => `${answer.type} ${answer.status}`,
      () => 'failed',
    )

  /** @param {HTMLScriptElement | HTMLImageElement | HTMLLinkElement} element */
  const load = element =>
    new Promise(resolve => {
      element.addEventListener('load', () => resolve('loaded'))
      element.addEventListener('error', () => resolve('failed'))
      document.body.append(element)
    })

  const frame = Object.assign(document.createElement('iframe'), { src: url })
  await new Promise(resolve => {
    frame.addEventListener('load', resolve)
    document.body.append(frame)
  })
  const headers = { authorization: `Bearer ${opsToken}` }
  return {
    live: await ask({}),
    page: await ask({}, '/'),
    withToken: await ask({ headers }),
    thefts: await ask({ method: 'POST', headers }, '/live/thefts'),
    blind: await ask({ method: 'POST', mode: 'no-cors' }, '/live/thefts'),
    script: await load(Object.assign(document.createElement('script'), { src: `${url}/page/glyph.js` })),
    image: await load(Object.assign(new Image(), { src: `${url}/page/icon.svg` })),
    style: await load(
      Object.assign(document.createElement('link'), { rel: 'stylesheet', href: `${url}/page/style.css` }),
    ),
    framed: frame.contentDocument !== null,
  }
}
