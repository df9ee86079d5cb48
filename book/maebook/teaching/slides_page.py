"""The page that a lecture's slides stand on: its frame, style and script, written into every file of slides.

S opens the same file a second time, as the presenter's view: the slide, the next one, the notes and a clock. The two
windows speak by messages, which browsers also pass between files of a disk, where they share no storage.
"""

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #fff; --soft: #57606a; --mark: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #16181c; --soft: #a8b0b9; --mark: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--paper); font: 1.25rem/1.45 system-ui, sans-serif; }
a { color: var(--mark); }
.slide { position: relative; display: flex; flex-direction: column; min-height: 100vh; padding: 3vh 5vw 5vh;
  overflow-wrap: break-word; }
.slide[hidden] { display: none; }
.slide h2 { margin: 0 0 2vh; font-size: 1.8em; line-height: 1.2; }
.slide .body { flex: 1; display: grid; gap: 2vw; align-items: center; min-width: 0; }
.slide .body > * { min-width: 0; }
.slide:not(.both) .text { font-size: 1.3em; }
.slide a[download] { display: none; } /* a figure's data is the book's to give */
.slide li { margin: 0.4em 0; }
.slide table { border-collapse: collapse; font-size: 0.8em; }
.slide :is(th, td) { padding: 0.2em 0.7em 0.2em 0; text-align: left; }
.slide pre { font-size: 0.8em; overflow-x: auto; }
.slide figcaption { font-size: 0.8em; line-height: 1.3; }
.slide figure.mae-figure { margin: 0 auto; max-width: 60rem; }
/* A row's name may be wider in the page's letters than the drawing allows for. */
.slide figure.mae-figure > svg { max-width: 100% !important; max-height: 68vh; overflow: visible; }
.slide .mae-ledger :is(thead, tr:not([id])) { display: none; } /* a line a section; the book has the claims */
.slide .mae-ledger .mae-badge { font-size: 1em; }
.slide .mae-ledger th.mae-title { padding: 0.1em 0; line-height: 1.3; }
.slide .mae-ledger tbody tr { border: 0; }
.slide mae-scrubber :is(span, label) { font-size: 0.8em; }
.slide blockquote { margin: 0.5em 0; padding: 0.1em 1em; border-left: 0.25em solid var(--mark); }
.slide mjx-container { max-width: 100%; overflow-x: auto; overflow-y: hidden; }
.slide:first-of-type .body { font-size: 1.2em; }
.slide footer { position: absolute; right: 5vw; bottom: 1.5vh; color: var(--soft); font-size: 0.8em; }
.notes { display: none; margin-top: 2vh; padding: 0.3em 1em; border: 1px dashed var(--soft); font-size: 0.8em; }
.with-notes .notes { display: block; }
nav { position: fixed; left: 5vw; bottom: 1vh; display: flex; gap: 0.5rem; }
nav[hidden] { display: none; }
nav button { min-width: 2.6rem; min-height: 2rem; color: inherit; background: var(--paper); font: inherit;
  font-size: 0.8rem; border: 1px solid var(--soft); border-radius: 0.25rem; }
:is(a, button, .show):focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
.presenter main, .presenter > nav, .still nav { display: none; }
#presenter { display: grid; grid: auto 1fr / 3fr 2fr; gap: 1rem; height: 100vh; padding: 1rem; }
#presenter[hidden] { display: none; }
#presenter > div { min-width: 0; min-height: 0; }
#presenter h2 { margin: 0 0 0.3rem; font-size: 1rem; color: var(--soft); }
#presenter .view { position: relative; aspect-ratio: 16 / 9; overflow: hidden; border: 1px solid var(--soft); }
#presenter iframe { position: absolute; width: 1280px; height: 720px; border: 0; transform-origin: 0 0;
  pointer-events: none; }
#presenter .said { overflow: auto; }
#presenter .said .notes { display: block; border: 0; padding: 0; font-size: 1.2em; }
#presenter .clock { font: 600 3rem/1.2 ui-monospace, monospace; }
#presenter .clock.over { color: #d55e00; }
#presenter :is(button, input) { min-height: 2rem; color: inherit; background: var(--paper); font: inherit;
  border: 1px solid var(--soft); border-radius: 0.25rem; }
#presenter input { width: 5rem; }
@media (min-width: 60rem) { .slide.both .body { grid-template-columns: 2fr 3fr; } }
@media (max-width: 40rem) { body { font-size: 1rem; } }
@media print {
  @page { size: 13.333in 7.5in; margin: 0; }
  :root { --ink: #000; --paper: #fff; --soft: #444; color-scheme: light; }
  nav { display: none; }
  .slide, .slide[hidden] { display: flex; min-height: 0; height: 7.4in; break-after: page; overflow: hidden; }
  .slide.both .body { grid-template-columns: 2fr 3fr; }
}
"""

SCRIPT = r"""
(() => {
  const slides = [...document.querySelectorAll(".slide")];
  const nav = document.querySelector("nav");
  const status = nav.querySelector("[role=status]");
  let at = 0;
  const go = (to) => {
    at = Math.max(0, Math.min(slides.length - 1, to));
    slides.forEach((slide, i) => { slide.hidden = i !== at; });
    if (location.hash !== `#${at + 1}`) history.replaceState(null, "", `#${at + 1}`);
    document.title = `${at + 1} · ${document.body.dataset.title}`;
    window.scrollTo(0, 0);
    enlarge(slides[at]);
    tell();
  };

  // The names of a grid's rows have room beside the pictures: at least 16 px, however small the grid is shown.
  const enlarge = (slide) => {
    for (const text of slide.querySelectorAll("svg:has(image) text")) {
      const { b, d } = text.getScreenCTM();
      const least = 16 / Math.hypot(b, d);
      if (parseFloat(getComputedStyle(text).fontSize) < least) text.style.fontSize = `${least}px`;
    }
  };

  // The presenter's window and this one each say which slide they are at, by number alone.
  let other = null;
  const tell = () => { if (other) other.postMessage({ maeSlide: at }, "*"); };
  const open = () => {
    const found = window.open(location.pathname + "?presenter", "mae-presenter", "width=1100,height=750");
    if (found) other = found;
    status.textContent = found ? "" : "The browser keeps the presenter's window shut: allow this page to open windows.";
  };
  window.addEventListener("message", ({ data, origin, source }) => {
    if (origin !== self.origin || !Number.isInteger(data?.maeSlide)) return;
    if (source !== window.parent) other = source; // one that was here before this page was loaded again
    if (data.maeSlide < 0) tell(); // it asks
    else if (data.maeSlide !== at) go(data.maeSlide);
  });
  const act = {
    ArrowRight: () => go(at + 1), PageDown: () => go(at + 1), " ": () => go(at + 1),
    ArrowLeft: () => go(at - 1), PageUp: () => go(at - 1),
    Home: () => go(0), End: () => go(slides.length - 1),
    n: () => document.body.classList.toggle("with-notes"), p: () => window.print(), s: open,
  };
  document.addEventListener("keydown", (event) => {
    const own = "mae-explorer, input, select, summary";
    const inside = event.target.closest(event.key === " " ? `${own}, button, a` : own);
    if (event.defaultPrevented || inside || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (act[key]) { event.preventDefault(); act[key](); }
  });
  nav.querySelector("[data-go=back]").addEventListener("click", act.ArrowLeft);
  nav.querySelector("[data-go=on]").addEventListener("click", act.ArrowRight);
  nav.querySelector("[data-go=presenter]").addEventListener("click", open);
  const hashed = () => go((parseInt(location.hash.slice(1), 10) || 1) - 1);
  window.addEventListener("hashchange", hashed);
  nav.hidden = false;
  document.body.classList.toggle("still", location.search === "?still"); // within the presenter's view
  if (location.search !== "?presenter") hashed();
})();
"""

PRESENTER = r"""
(() => {
  if (location.search !== "?presenter") return;
  const slides = [...document.querySelectorAll(".slide")];
  const view = document.querySelector("#presenter");
  const find = (name) => view.querySelector(`[data-part=${name}]`);
  const frames = [...view.querySelectorAll("iframe")];
  document.body.classList.add("presenter");
  document.title = `Presenter · ${document.body.dataset.title}`;
  view.hidden = false;
  frames.forEach((frame) => { frame.src = location.pathname + "?still"; });

  let at = 0;
  let heard = null;
  const show = () => {
    frames.forEach((frame, i) => {
      frame.parentElement.hidden = at + i >= slides.length;
      frame.contentWindow.postMessage({ maeSlide: at + i }, "*");
      const box = frame.parentElement.clientWidth;
      frame.style.transform = `scale(${box / 1280})`;
    });
    find("place").textContent = `${at + 1} of ${slides.length}`;
    const notes = slides[at].querySelector(".notes");
    find("notes").replaceChildren(notes ? notes.cloneNode(true) : "No notes.");
  };
  const go = (to) => {
    at = Math.max(0, Math.min(slides.length - 1, to));
    show();
    if (window.opener) window.opener.postMessage({ maeSlide: at }, "*");
  };
  const act = {
    ArrowRight: () => go(at + 1), PageDown: () => go(at + 1), " ": () => go(at + 1),
    ArrowLeft: () => go(at - 1), PageUp: () => go(at - 1), Home: () => go(0), End: () => go(slides.length - 1),
  };
  document.addEventListener("keydown", (event) => {
    event.stopImmediatePropagation();
    const own = event.target.closest(event.key === " " ? "button, input" : "input");
    if (own || event.ctrlKey || event.metaKey || event.altKey) return;
    if (act[event.key]) { event.preventDefault(); act[event.key](); }
  }, true);
  window.addEventListener("message", (event) => {
    event.stopImmediatePropagation();
    if (event.source !== window.opener || !Number.isInteger(event.data?.maeSlide)) return;
    heard = Date.now();
    if (event.data.maeSlide !== at) { at = event.data.maeSlide; show(); }
  }, true);

  // The clock: what is left of the lecture, which runs from Start.
  const minutes = find("minutes");
  let begun = null;
  let spent = 0;
  const tick = () => {
    const gone = spent + (begun === null ? 0 : Date.now() - begun);
    const left = Math.round(minutes.value * 60 - gone / 1000);
    const two = (number) => String(number).padStart(2, "0");
    const size = Math.abs(left);
    find("clock").textContent = `${left < 0 ? "-" : ""}${two(Math.floor(size / 60))}:${two(size % 60)}`;
    find("clock").classList.toggle("over", left < 0);
    find("now").textContent = new Date().toTimeString().slice(0, 5);
  };
  find("start").addEventListener("click", () => {
    if (begun === null) begun = Date.now();
    else { spent += Date.now() - begun; begun = null; }
    find("start").textContent = begun === null ? "Go on" : "Pause";
    tick();
  });
  find("reset").addEventListener("click", () => {
    begun = null;
    spent = 0;
    find("start").textContent = "Start";
    tick();
  });
  minutes.addEventListener("input", tick);

  const asked = Date.now();
  setInterval(() => {
    tick();
    if (window.opener) window.opener.postMessage({ maeSlide: -1 }, "*");
    const silent = Date.now() - (heard ?? asked) > 3000;
    find("status").textContent = silent ? "No window of slides answers: open the lecture and press S there." : "";
  }, 1000);
  frames.forEach((frame) => frame.addEventListener("load", show));
  window.addEventListener("resize", show);
  tick();
  show();
  if (window.opener) window.opener.postMessage({ maeSlide: -1 }, "*");
})();
"""

# The formulas' settings come first: MathJax reads them when it is loaded.
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
<script>MathJax = {{
  tex: {{inlineMath: [["\\\\(", "\\\\)"]], displayMath: [["\\\\[", "\\\\]"]]}}, options: {{enableMenu: false}}
}};</script>
<script defer src="mathjax.js"></script>
</head>
<body data-title="{title}">
<section id="presenter" aria-label="Presenter" hidden>
<div><h2>Slide <span data-part="place"></span></h2>
<div class="view"><iframe title="This slide" tabindex="-1"></iframe></div></div>
<div><h2>Next</h2>
<div class="view"><iframe title="The next slide" tabindex="-1"></iframe></div></div>
<div class="said" tabindex="0" aria-label="Notes" data-part="notes"></div>
<div><h2>Left of
<input data-part="minutes" type="number" min="1" max="600" value="{minutes}" aria-label="Minutes of the lecture">
minutes; it is <span data-part="now"></span></h2>
<p class="clock" role="timer" data-part="clock"></p>
<button type="button" data-part="start">Start</button> <button type="button" data-part="reset">Reset</button>
<p role="status" data-part="status"></p></div>
</section>
<main>
{slides}
</main>
<nav hidden aria-label="Slides"><button type="button" data-go="back" aria-label="Back">←</button>
<button type="button" data-go="on" aria-label="On">→</button>
<button type="button" data-go="presenter">Presenter</button><span role="status"></span></nav>
<script>{presenter}{script}</script>
</body>
</html>
"""

INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Understanding Masked Autoencoders, executable: slides</title>
<style>{style}</style>
</head>
<body>
<main class="slide">
<h1>Slides</h1>
<ul>{links}</ul>
<p>Left and right go through a lecture, N shows the notes, S opens the presenter's view with a clock,
P prints or saves as PDF.</p>
</main>
</body>
</html>
"""
