// What can be measured of how a page looks: contrast as rendered, and what sticks out.

/** WCAG's bounds: text, large text, and what is drawn. */
const TEXT_MIN = 4.5;
const LARGE_MIN = 3;

/** Runs in the page: every visible piece of text whose contrast is too low. */
function findFaint({ textMin, largeMin }) {
  const brush = Object.assign(document.createElement('canvas'), { width: 1, height: 1 })
    .getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = colour;
    brush.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
    return { rgb: [r, g, b], alpha: a / 255 };
  };
  const over = (top, below) => top.rgb.map((c, i) => c * top.alpha + below[i] * (1 - top.alpha));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  };
  /** What is behind an element: the backgrounds of all it stands in. */
  const behind = (element) => {
    if (!element) return rgba(getComputedStyle(document.documentElement).colorScheme === 'dark' ? '#000' : '#fff').rgb;
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own.alpha === 1 ? own.rgb : over(own, behind(element.parentElement));
  };
  const isSeen = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
    && !element.closest('.unseen, .skip') && element.getClientRects().length > 0;

  const faint = [];
  let seen = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const text = texts.currentNode.data.trim();
    if (!text || !isSeen(element)) continue;
    seen++;
    const style = getComputedStyle(element);
    const below = behind(element);
    const colour = over(rgba(element instanceof SVGElement ? style.fill : style.color), below);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = contrast(colour, below);
    if (ratio < (isLarge ? largeMin : textMin)) faint.push(`${ratio.toFixed(2)} "${text}"`);
  }
  // What is drawn, and means something: the bars.
  for (const shape of document.querySelectorAll('.bar rect:not(.rail), .spread circle, #plot .calls, #plot .revenue, #plot .shadow')) {
    if (!isSeen(shape.ownerSVGElement)) continue;
    const below = behind(shape.ownerSVGElement);
    const ratio = contrast(over(rgba(getComputedStyle(shape).fill), below), below);
    if (ratio < largeMin) faint.push(`${ratio.toFixed(2)} ${shape.getAttribute('class') ?? shape.ownerSVGElement.getAttribute('class')}`);
  }
  return { faint: [...new Set(faint)], seen };
}

/** {faint, seen}: what is too faint to read, and how many texts were looked at. */
export const contrastOf = (page) => page.evaluate(findFaint, { textMin: TEXT_MIN, largeMin: LARGE_MIN });

/** What reaches beyond the page's width, but in something that scrolls by itself. */
export const sticksOut = (page) => page.evaluate(() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (element) => element && (['auto', 'scroll', 'hidden'].includes(getComputedStyle(element).overflowX)
    || scrolls(element.parentElement));
  const out = [...document.body.querySelectorAll('*')]
    .filter((element) => element.getBoundingClientRect().right > width + 0.5 && !scrolls(element.parentElement))
    .map((element) => `${element.tagName}.${element.getAttribute('class')} to ${element.getBoundingClientRect().right}`);
  if (document.documentElement.scrollWidth > width) out.push(`the page scrolls to ${document.documentElement.scrollWidth}`);
  return out;
});
