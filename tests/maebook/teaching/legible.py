"""What cannot be read on a slide: elements that are cut or stand out of it, and letters that are too small."""

from pathlib import Path

SMALLEST = 16  # pixels, at 1280 x 720

# Run on a slide that is shown. Of what a slide folds or scrolls nothing beyond the fold can be read from a seat.
_FAULTS = """(smallest) => {
  const slide = [...document.querySelectorAll(".slide")].find((one) => one.offsetParent !== null);
  const found = [];
  const say = (what, element) => {
    const text = (element.textContent || element.tagName).trim().replace(/\\s+/g, " ").slice(0, 60);
    found.push(`${what}: ${element.tagName.toLowerCase()} "${text}"`);
  };
  // Where a band of a drawing stands: an SVG within an SVG, which is cut, as its parent is not.
  const frameOf = (band) => {
    const outer = band?.ownerSVGElement;
    if (!outer || getComputedStyle(band).overflow === "visible") return null;
    const { a, d, e, f } = outer.getScreenCTM();
    const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => band[name].baseVal.value);
    return { left: e + a * x, right: e + a * (x + width), top: f + d * y, bottom: f + d * (y + height) };
  };
  const foot = slide.querySelector("footer").getBoundingClientRect();
  for (const element of [slide, ...slide.querySelectorAll("*")]) {
    if (element.closest(".notes, mjx-assistive-mml, defs, .mae-unseen") || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const clips = ![style.overflowX, style.overflowY].every((value) => value === "visible");
    if (element instanceof HTMLElement && clips) {
      const wide = element.scrollWidth - element.clientWidth, high = element.scrollHeight - element.clientHeight;
      if (Math.max(wide, high) > 1) say(`cut by ${wide} x ${high}`, element);
    }
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const picture = !element.ownerSVGElement && element.matches("svg, img, canvas, pre, table");
    if (!own && !picture) continue;
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    const ink = 1 + box.height / 4; // what a line of letters has above and below them
    const frame = frameOf(element.ownerSVGElement);
    if (frame && (box.bottom <= frame.top + 1 || box.top >= frame.bottom - 1)) continue; // another slide has it
    if (frame && own && (box.top < frame.top - ink || box.bottom > frame.bottom + ink)) say("cut by its row", element);
    if (frame && own && (box.left < frame.left - 1 || box.right > frame.right + 1)) say("cut by its drawing", element);
    if (box.left < -1 || box.top < -1 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1)
      say(`beyond the slide (${[box.left, box.top, box.right, box.bottom].map(Math.round)})`, element);
    else if (element !== slide.querySelector("footer") && box.bottom > foot.top && box.right > foot.left) {
      if (own) say("under the page number", element);
    }
    if (own && !element.matches("tspan")) {  // exponents are smaller than what they stand at
      const matrix = element instanceof SVGElement && element.getScreenCTM ? element.getScreenCTM() : null;
      const size = parseFloat(style.fontSize) * (matrix ? Math.hypot(matrix.b, matrix.d) : 1);
      if (size < smallest - 0.1) say(`${size.toFixed(1)} px`, element);
    }
  }
  return found;
}"""


def unreadable(browser, deck: Path) -> dict[str, list[str]]:
    """The faults of each slide of a deck at 1280 x 720, by its number and title; slides without any are left out."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, color_scheme="light")
    tab = context.new_page()
    tab.goto(deck.as_uri())
    tab.wait_for_function("() => window.MathJax?.startup?.promise")
    tab.evaluate("MathJax.startup.promise.then(() => null)")
    faults = {}
    for number in range(1, tab.locator(".slide").count() + 1):
        tab.evaluate("number => { location.hash = `#${number}`; }", number)
        tab.wait_for_function("number => !document.getElementById(number).hidden", arg=str(number))
        if found := tab.evaluate(_FAULTS, SMALLEST):
            faults[f"{number} {tab.locator('.slide:visible h2').inner_text()}"] = found
    context.close()
    return faults
