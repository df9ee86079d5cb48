/* The hero of the front page: two sliders choose a mask, and Algorithm 1 runs here, on the tree of 8 x 8 patches.
   Bits and the order in which units are hidden come with the page (book/maebook/sphinx/hero.py). */
(() => {
  "use strict";
  const MASKED = 1, VISIBLE = 2, SIDE = 8;

  // Algorithm 1. `hidden`: 64 booleans in raster order. A latent with masked and visible patches below it is split (A);
  // c are the split ones without a split child. Returns a state for each node, the root first.
  const locate = (hidden) => {
    const levels = [hidden.map((masked) => (masked ? MASKED : VISIBLE))];
    const below = [[]];
    for (let side = SIDE / 2; side >= 1; side /= 2) {
      const children = Array.from({length: side * side}, (_, k) => {
        const first = 2 * (Math.floor(k / side) * 2 * side + (k % side));
        return [first, first + 1, first + 2 * side, first + 2 * side + 1];
      });
      levels.unshift(children.map((nodes) => nodes.reduce((sum, node) => sum | levels[0][node], 0)));
      below.unshift(children);
    }
    const split = (side) => side === (MASKED | VISIBLE);
    return levels.flatMap((sides, depth) => sides.map((side, node) => {
      if (!split(side)) return side === MASKED ? "s_m" : "s_mc";
      return below[depth][node].some((child) => split(levels[depth + 1][child])) ? "split" : "c";
    }));
  };

  class Hero extends HTMLElement {
    // While the page is being read, the element's content has not arrived yet.
    connectedCallback() {
      if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => this.start());
      else this.start();
    }

    start() {
      if (this.input || !this.dataset.model) return;
      Object.assign(this, JSON.parse(this.dataset.model));  // orders, bits, units, levels, percent
      this.input = (name) => this.querySelector(`[name=${name}]`);
      this.turn = 0;
      this.flipped = false;
      this.querySelector(".mae-hero-controls").hidden = false;
      for (const name of ["ratio", "unit"]) this.input(name).addEventListener("input", () => this.render());
      this.input("another").addEventListener("click", () => { this.turn += 1; this.render(); });
      this.input("flip").addEventListener("click", () => {
        this.flipped = !this.flipped;
        this.input("ratio").value = 100 - this.input("ratio").value;
        this.render();
      });
      this.render();
    }

    // The first units of a shuffled order are hidden; of a flipped mask, the first from its other end.
    mask(unit, percent) {
      const order = this.orders[unit][this.turn % this.orders[unit].length], total = order.length;
      const count = Math.min(Math.max(Math.round((percent * total) / 100), 1), total - 1);
      const hidden = new Set((this.flipped ? [...order].reverse() : order).slice(0, count));
      const side = this.units[unit], across = SIDE / side;
      return Array.from({length: SIDE * SIDE}, (_, k) =>
        hidden.has(Math.floor(k / SIDE / side) * across + Math.floor((k % SIDE) / side)));
    }

    told(states, ...wanted) {
      let first = 0;
      const said = this.levels.map(([one, many], depth) => {
        const count = states.slice(first, first += 4 ** depth).filter((state) => wanted.includes(state)).length;
        return count && (depth ? `${count} ${count > 1 ? many : one}` : `the ${one}`);
      });
      return said.filter(Boolean).join(", ") || "nothing";
    }

    render() {
      const percent = Number(this.input("ratio").value), unit = Object.keys(this.units)[this.input("unit").value];
      const hidden = this.mask(unit, percent), states = locate(hidden);
      for (const part of this.querySelectorAll("[data-node]")) part.dataset.state = states[part.dataset.node];
      const say = (name, text) => { this.querySelector(`[data-said=${name}]`).textContent = text; };
      const count = hidden.filter(Boolean).length;
      say("hidden", `${count} of ${hidden.length} patches hidden (${(Math.round(100 * count / hidden.length) / 100).toFixed(2)})`);
      say("c", this.told(states, "c"));
      say("A", this.told(states, "c", "split"));
      const side = this.units[unit], bits = this.bits[unit][this.percent.indexOf(percent)];
      const shown = {ratio: (percent / 100).toFixed(2), unit: `${unit} (${side} × ${side})`};
      for (const [name, text] of Object.entries(shown)) {
        this.querySelector(`[data-shown=${name}]`).textContent = text;
        this.input(name).setAttribute("aria-valuetext", text);
      }
      const most = Number(this.querySelector("[data-most]").dataset.most);
      this.querySelectorAll("[data-bar]").forEach((bar, i) => { bar.style.width = `${(100 * bits[i]) / most}%`; });
      this.querySelectorAll("[data-bits]").forEach((one, i) => { one.textContent = `${bits[i].toFixed(1)} bits`; });
    }
  }
  if (!customElements.get("mae-hero")) customElements.define("mae-hero", Hero);
})();
