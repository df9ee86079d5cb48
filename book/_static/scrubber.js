/* Frames of which one is shown: a slider chooses it, or a button draws it by chance (book/maebook/scrubber.py).
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
      if (this.frames.length < 2 || this.control) return;
      this.said = document.createElement("output");
      this.control = this.hasAttribute("draw") ? this.button() : this.slider();
      this.frames[0].before(this.control);
    }

    slider() {
      const label = document.createElement("label");
      const slider = Object.assign(document.createElement("input"), {type: "range", min: 0, step: 1});
      slider.max = this.frames.length - 1;
      slider.value = Math.floor(this.frames.length / 2);
      label.append("mask ", slider, this.said);
      const render = () => slider.setAttribute("aria-valuetext", this.show(this.frames[slider.value]));
      slider.addEventListener("input", render);
      render();
      return label;
    }

    button() {
      const row = document.createElement("p");
      const button = Object.assign(document.createElement("button"), {type: "button"});
      button.textContent = `Draw another ${this.getAttribute("draw")}`;
      row.append(button, this.said);
      const others = () => this.frames.filter((frame) => frame.hidden);
      button.addEventListener("click", () => this.show(others()[Math.floor(Math.random() * others().length)]));
      this.show(this.frames[0]);
      return row;
    }

    show(chosen) {
      for (const frame of this.frames) frame.hidden = frame !== chosen;
      return (this.said.textContent = chosen.dataset.frame);
    }
  }

  customElements.define("mae-scrubber", Scrubber);
})();
