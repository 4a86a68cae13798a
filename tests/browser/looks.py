"""What a page looks like to someone who needs contrast, or has a narrow screen."""

from playwright.sync_api import Page

_TEXTS = """
() => {
  const numbers = (colour) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) =>
    [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const layer = numbers(getComputedStyle(at).backgroundColor);
      layers.push(layer);
      if (layer[3] === 1) break;
    }
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const light = ([r, g, b]) => {
    const part = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility({ opacityProperty: true })) continue;
    const box = element.getBoundingClientRect();
    const idle = element.closest(":disabled, [aria-disabled=true]");
    if (box.width < 2 || box.height < 2 || idle) continue;
    const style = getComputedStyle(element);
    const inside = element instanceof SVGElement;
    const below = behind(inside ? element.closest("figure, li, div") : element);
    const ink = over(numbers(inside ? style.fill : style.color), below);
    const [a, b] = [light(ink), light(below)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    found.push({ text: node.textContent.trim().slice(0, 40), ratio, needed: large ? 3 : 4.5 });
  }
  return found;
}
"""


def faint_texts(page: Page) -> list[str]:
    """Name the texts whose contrast is below WCAG 2.2 AA; at least one text has to be there."""
    texts = page.evaluate(_TEXTS)
    assert texts
    return [
        f"{found['text']!r}: {found['ratio']:.2f}"
        for found in texts
        if found["ratio"] < found["needed"]
    ]


def overhang(page: Page) -> int:
    """Give how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))
