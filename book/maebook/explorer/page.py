"""The explorer's style and script, written into every output that holds one.

So an explorer works in a downloaded notebook as well as in the book, with nothing to load; and because they are source
of the package, a change to them makes the pages that use them stale. The script defines a custom element once and does
nothing when it meets its own name again. It looks states up in the table that `explorer.py` computed.
"""

STYLE = """
mae-explorer { display: block; }
mae-explorer [hidden] { display: none !important; }
mae-explorer svg { display: block; width: 100%; max-width: 34rem; height: auto; margin: 0.6rem auto;
  overflow: visible; touch-action: manipulation; -webkit-user-select: none; user-select: none; }
mae-explorer .edge { fill: none; stroke: currentColor; stroke-width: 0.8; opacity: 0.55; }
mae-explorer .head { fill: currentColor; opacity: 0.55; }
mae-explorer .ground { fill: var(--pst-color-background, Canvas); }
mae-explorer .tint { fill: transparent; stroke: currentColor; stroke-width: 0.9; transition: fill 0.15s; }
mae-explorer text { fill: currentColor; text-anchor: middle; dominant-baseline: central; pointer-events: none; }
mae-explorer .cross { fill: none; stroke: currentColor; stroke-width: 1.6; opacity: 0; pointer-events: none; }
mae-explorer .masked .cross { opacity: 0.55; }
mae-explorer .hit { fill: transparent; stroke: none; }
mae-explorer [tabindex] { cursor: pointer; outline: none; }
mae-explorer [tabindex]:hover .hit { fill: currentColor; fill-opacity: 0.08; }
mae-explorer [tabindex]:focus-visible .hit { stroke: var(--pst-color-primary, Highlight); stroke-width: 2; }
mae-explorer [data-state=c] .tint { fill: color-mix(in srgb, var(--x-c) 55%, transparent); stroke-width: 2.6; }
mae-explorer [data-state=split] .tint { fill: color-mix(in srgb, var(--x-c) 18%, transparent); stroke: var(--x-c); }
mae-explorer [data-state=s_m] .tint { fill: color-mix(in srgb, var(--x-m) 22%, transparent); stroke: var(--x-m);
  stroke-width: 1.5; stroke-dasharray: 4 2; }
mae-explorer [data-state=s_mc] .tint { fill: color-mix(in srgb, var(--x-mc) 22%, transparent); stroke: var(--x-mc);
  stroke-width: 1.8; stroke-dasharray: 1 1.5; }
mae-explorer .bar { display: flex; flex-wrap: wrap; gap: 0.4rem; align-items: center; justify-content: center; }
mae-explorer .bar + .bar { margin-top: 0.4rem; }
mae-explorer :is(button, select) { min-height: 2rem; padding: 0.1rem 0.7rem; border-radius: 0.25rem; font: inherit;
  font-size: 0.9em; color: inherit; background: var(--pst-color-surface, transparent);
  border: 1px solid var(--pst-color-border, #888); cursor: pointer; }
mae-explorer option { color: CanvasText; background: Canvas; }
mae-explorer button[aria-pressed=true] { border-color: currentColor; box-shadow: inset 0 0 0 1px currentColor; }
mae-explorer :is(button, select, input):focus-visible { outline: 2px solid var(--pst-color-primary, Highlight);
  outline-offset: 2px; }
mae-explorer label { display: inline-flex; gap: 0.4rem; align-items: center; font-size: 0.9em; }
mae-explorer input[type=range] { width: 8rem; min-height: 2rem; accent-color: var(--x-c); }
mae-explorer output { min-width: 2.3em; font-variant-numeric: tabular-nums; }
mae-explorer ul { list-style: none; margin: 0.4rem 0; padding: 0; }
mae-explorer li { display: flex; gap: 0.6rem; align-items: baseline; margin: 0.15rem 0; overflow-wrap: anywhere; }
mae-explorer sub { line-height: 0; }
mae-explorer li small { color: var(--pst-color-text-muted, inherit); }
mae-explorer .swatch { flex: none; box-sizing: border-box; width: 1.5rem; height: 0.85rem;
  border: 1px solid var(--x-c); }
mae-explorer .swatch[data-state=c] { background: color-mix(in srgb, var(--x-c) 55%, transparent);
  border: 2.4px solid currentColor; }
mae-explorer .swatch[data-state=split] { background: color-mix(in srgb, var(--x-c) 18%, transparent); }
mae-explorer .swatch[data-state=s_m] { background: color-mix(in srgb, var(--x-m) 22%, transparent);
  border: 1.5px dashed var(--x-m); }
mae-explorer .swatch[data-state=s_mc] { background: color-mix(in srgb, var(--x-mc) 22%, transparent);
  border: 1.8px dotted var(--x-mc); }
@media (prefers-reduced-motion: reduce) { mae-explorer .tint { transition: none; } }
"""

SCRIPT = """
(() => {
  const STATES = ["s_mc", "s_m", "split", "c"];
  const SETS = {c: ["c"], split: ["split", "c"], s_m: ["s_m"], s_mc: ["s_mc"]};

  class Explorer extends HTMLElement {
    // While the page is being read, the element's content has not arrived yet.
    connectedCallback() {
      if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => this.start());
      else this.start();
    }

    start() {
      if (this.masked || !this.dataset.model) return;
      Object.assign(this, JSON.parse(this.dataset.model));  // names, told, below, rows, start_mask, draws
      this.table = Uint8Array.from(atob(this.dataset.table), (letter) => letter.charCodeAt(0));
      this.nodes = [...this.querySelectorAll("[data-node]")];
      this.pixels = this.nodes.slice(-this.start_mask.length);
      this.masked = [...this.start_mask].map(Number);
      for (const part of this.querySelectorAll(".live")) part.hidden = false;
      this.querySelector(".still").hidden = true;
      this.prepareGraph();
      this.prepareButtons();
      if (this.querySelector("input")) this.prepareDraws();
      this.render();
    }

    // What the library found for this mask: a row of two bits for every way to mask the pixels below a node.
    state(node) {
      if (!this.below[node].length) return "";
      const row = this.below[node].reduce((sum, pixel, bit) => sum + (this.masked[pixel] << bit), this.rows[node]);
      return STATES[(this.table[row >> 2] >> (2 * (row & 3))) & 3];
    }

    render() {
      const states = this.nodes.map((_, node) => this.state(node));
      states.forEach((state, node) => { this.nodes[node].dataset.state = state; });
      this.pixels.forEach((pixel, i) => {
        pixel.classList.toggle("masked", this.masked[i] === 1);
        pixel.setAttribute("aria-checked", String(this.masked[i] === 1));
      });
      for (const line of this.querySelectorAll("[data-set]")) {
        const found = this.told.filter((_, node) => SETS[line.dataset.set].includes(states[node]));
        const text = found.length ? `{${found.join(", ")}}` : "\\u2205";
        if (line.shown !== text) line.innerHTML = line.shown = text;  // the names are escaped
      }
      const now = this.masked.join(""), told = this.querySelector("output");
      if (told) told.textContent = (this.masked.reduce((sum, bit) => sum + bit) / this.masked.length).toFixed(2);
      for (const button of this.querySelectorAll("[data-mask]"))
        button.setAttribute("aria-pressed", String(button.dataset.mask === now));
    }

    show(masked) {
      this.masked = masked;
      this.render();
    }

    prepareGraph() {
      const svg = this.querySelector("svg");
      svg.setAttribute("role", "group");
      svg.setAttribute("aria-label", "Pixels of the graph: arrow keys move, space masks or shows");
      const focus = (i) => {
        this.pixels.forEach((pixel, j) => pixel.setAttribute("tabindex", i === j ? 0 : -1));
        this.pixels[i].focus();
      };
      const toggle = (i) => this.show(this.masked.map((bit, j) => (i === j ? 1 - bit : bit)));
      this.pixels.forEach((pixel, i) => {
        const name = this.names[this.names.length - this.pixels.length + i];
        for (const [key, value] of [["role", "checkbox"], ["aria-label", `mask ${name}`], ["tabindex", i ? -1 : 0]])
          pixel.setAttribute(key, value);
        pixel.addEventListener("click", () => { focus(i); toggle(i); });
        pixel.addEventListener("keydown", (event) => {
          const last = this.pixels.length - 1;
          const move = {ArrowLeft: Math.max(i - 1, 0), ArrowUp: Math.max(i - 1, 0), ArrowRight: Math.min(i + 1, last),
            ArrowDown: Math.min(i + 1, last), Home: 0, End: last}[event.key];
          if (move !== undefined) focus(move);
          else if (event.key === " " || event.key === "Enter") toggle(i);
          else return;
          event.preventDefault();
        });
      });
    }

    prepareButtons() {
      for (const button of this.querySelectorAll("[data-mask]"))
        button.addEventListener("click", () => this.show([...button.dataset.mask].map(Number)));
      this.querySelector(".swap").addEventListener("click", () => this.show(this.masked.map((bit) => 1 - bit)));
    }

    // The first units of a shuffled order are masked: the slider adds one unit after the other.
    prepareDraws() {
      const [unit, ratio] = ["select", "input"].map((kind) => this.querySelector(kind));
      let turn = 0;
      const draw = () => {
        const orders = this.draws[unit.value], order = orders[turn % orders.length];
        ratio.max = order.length;
        const hidden = new Set(order.slice(0, Number(ratio.value)).flat());
        this.show(this.masked.map((_, i) => (hidden.has(i) ? 1 : 0)));
      };
      unit.addEventListener("change", () => {
        ratio.value = Math.round((ratio.value / ratio.max) * this.draws[unit.value][0].length);
        draw();
      });
      ratio.addEventListener("input", draw);
      this.querySelector(".again").addEventListener("click", () => { turn += 1; draw(); });
    }
  }
  if (!customElements.get("mae-explorer")) customElements.define("mae-explorer", Explorer);
})();
"""
