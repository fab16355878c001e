"""What tests in a real browser share."""

# How many texts a page shows, and those that stand out too little from what is behind them.
CONTRAST = """
const parse = (c) => { const n = c.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const linear = (v) => v <= 10.31475 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
const light = (c) => .2126 * linear(c[0]) + .7152 * linear(c[1]) + .0722 * linear(c[2]);
const paint = (e) => parse(getComputedStyle(e).backgroundColor);
const ground = (e) => e ? over(paint(e), ground(e.parentElement)) : [255, 255, 255, 1];
const poor = [];
let seen = 0;
for (const e of document.querySelectorAll('body *')) {
  if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
  const style = getComputedStyle(e), back = ground(e);
  const front = over(parse(e instanceof SVGElement ? style.fill : style.color), back);
  const [a, b] = [light(front), light(back)].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
  seen += 1;
  if (ratio < 4.5) poor.push([e.tagName, e.className, ratio.toFixed(2), e.textContent.slice(0, 30)]);
}
return [seen, poor];
"""
