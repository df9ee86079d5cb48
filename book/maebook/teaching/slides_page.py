"""The page that a lecture's slides stand on: its frame, style and script, written into every file of slides."""

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
.slide .body > * { min-width: 0; overflow-x: auto; }
.slide .show { max-height: 80vh; overflow: auto; }
.slide:not(.both) .text { font-size: 1.3em; }
.slide a[download] { display: none; } /* a figure's data is the book's to give */
.slide li { margin: 0.4em 0; }
.slide table { border-collapse: collapse; font-size: 0.75em; }
.slide :is(th, td) { padding: 0.2em 0.7em 0.2em 0; text-align: left; }
.slide pre { font-size: 0.7em; overflow-x: auto; }
.slide figcaption { font-size: 0.65em; }
.slide figure.mae-figure { margin: 0 auto; max-width: 60rem; }
.slide figure.mae-figure > svg { max-width: 100% !important; max-height: 68vh; }
.slide blockquote { margin: 0.5em 0; padding: 0.1em 1em; border-left: 0.25em solid var(--mark); }
.slide mjx-container { max-width: 100%; overflow-x: auto; overflow-y: hidden; }
.slide:first-of-type .body { font-size: 1.2em; }
.slide footer { position: absolute; right: 5vw; bottom: 1.5vh; color: var(--soft); font-size: 0.7em; }
.notes { display: none; margin-top: 2vh; padding: 0.3em 1em; border: 1px dashed var(--soft); font-size: 0.75em; }
.with-notes .notes { display: block; }
nav { position: fixed; left: 5vw; bottom: 1vh; display: flex; gap: 0.5rem; }
nav[hidden] { display: none; }
nav button { min-width: 2.6rem; min-height: 2rem; color: inherit; background: var(--paper); font: inherit;
  font-size: 0.8rem; border: 1px solid var(--soft); border-radius: 0.25rem; }
:is(a, button, .show):focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
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
  let at = 0;
  const go = (to) => {
    at = Math.max(0, Math.min(slides.length - 1, to));
    slides.forEach((slide, i) => { slide.hidden = i !== at; });
    if (location.hash !== `#${at + 1}`) history.replaceState(null, "", `#${at + 1}`);
    document.title = `${at + 1} · ${document.body.dataset.title}`;
    window.scrollTo(0, 0);
  };
  const act = {
    ArrowRight: () => go(at + 1), PageDown: () => go(at + 1), " ": () => go(at + 1),
    ArrowLeft: () => go(at - 1), PageUp: () => go(at - 1),
    Home: () => go(0), End: () => go(slides.length - 1),
    n: () => document.body.classList.toggle("with-notes"), p: () => window.print(),
  };
  document.addEventListener("keydown", (event) => {
    const inside = event.target.closest("mae-explorer, button, a, input, select, summary");
    if (event.defaultPrevented || inside || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (act[key]) { event.preventDefault(); act[key](); }
  });
  nav.querySelector("[data-go=back]").addEventListener("click", act.ArrowLeft);
  nav.querySelector("[data-go=on]").addEventListener("click", act.ArrowRight);
  const hashed = () => go((parseInt(location.hash.slice(1), 10) || 1) - 1);
  window.addEventListener("hashchange", hashed);
  nav.hidden = false;
  hashed();
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
<main>
{slides}
</main>
<nav hidden aria-label="Slides"><button type="button" data-go="back" aria-label="Back">←</button>
<button type="button" data-go="on" aria-label="On">→</button></nav>
<script>{script}</script>
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
<p>Left and right go through a lecture, N shows the notes, P prints or saves as PDF.</p>
</main>
</body>
</html>
"""
