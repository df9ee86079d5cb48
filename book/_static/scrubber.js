/* Pictures to scrub through: one frame of many is shown, and a slider chooses it (book/maebook/scrubber.py).
   Without this script all frames are there, one below the other. */
(() => {
  "use strict";

  class Scrubber extends HTMLElement {
    // While the page is being read, the element's content has not arrived yet.
    connectedCallback() {
      if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => this.start());
      else this.start();
    }

    start() {
      this.frames = [...this.querySelectorAll("[data-frame]")];
      if (this.frames.length < 2 || this.slider) return;
      const label = document.createElement("label");
      this.slider = Object.assign(document.createElement("input"), {type: "range", min: 0, step: 1});
      this.slider.max = this.frames.length - 1;
      this.slider.value = Math.floor(this.frames.length / 2);
      this.said = document.createElement("output");
      label.append("mask ", this.slider, this.said);
      this.frames[0].before(label);
      this.slider.addEventListener("input", () => this.render());
      this.render();
    }

    render() {
      const chosen = this.frames[this.slider.value];
      for (const frame of this.frames) frame.hidden = frame !== chosen;
      this.said.textContent = chosen.dataset.frame;
      this.slider.setAttribute("aria-valuetext", chosen.dataset.frame);
    }
  }

  customElements.define("mae-scrubber", Scrubber);
})();
