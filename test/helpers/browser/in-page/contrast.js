// Runs in a page: returns the texts with less contrast than WCAG 2.2 §1.4.3 requires: 4.5 to 1, or 3 to 1 for large text.
;(() => {
  const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true })

  /**
   * Returns a colour on a background, as red, green and blue of what the browser paints.
   * @param {string} colour
   * @param {readonly number[]} ground
   */
  function over(colour, ground) {
    if (paint === null) throw new Error('no canvas')
    for (const fill of [`rgb(${ground})`, colour]) {
      paint.fillStyle = fill
      paint.fillRect(0, 0, 1, 1)
    }
    return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3)
  }

  /** @param {readonly number[]} colour */
  function luminance(colour) {
    const [red = 0, green = 0, blue = 0] = colour.map(octet => {
      const part = octet / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }

  /**
   * @param {Element | null} element
   * @returns {readonly number[]}
   */
  function groundOf(element) {
    if (element === null) return [255, 255, 255]
    return over(getComputedStyle(element).backgroundColor, groundOf(element.parentElement))
  }

  const low = []
  let looked = 0
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const { textContent, parentElement } = walker.currentNode
    const text = textContent?.trim()
    if (!text || parentElement === null || !parentElement.checkVisibility()) continue
    looked++
    const { color, fontSize, fontWeight } = getComputedStyle(parentElement)
    const ground = groundOf(parentElement)
    const [deep = 0, high = 0] = [luminance(over(color, ground)), luminance(ground)].sort((a, b) => a - b)
    const contrast = (high + 0.05) / (deep + 0.05)
    const size = Number.parseFloat(fontSize)
    const isLarge = size >= 24 || (size >= 18.66 && Number(fontWeight) >= 700)
    if (contrast < (isLarge ? 3 : 4.5)) low.push(`${contrast.toFixed(2)} ${text.slice(0, 40)}`)
  }
  return { looked, low }
})()
