/* What the book's pages do: cards on links, tables that a phone can read.
   Nothing is fetched, and a page without scripts shows all that it has. */
(() => {
  "use strict";

  // Cards. A link whose target the page holds in its template shows it on hover and on focus; Escape closes it.
  const cards = () => {
    const held = document.getElementById("mae-cards");
    if (!held) return;
    const contents = new Map([...held.content.children].map((part) => [part.dataset.for, part]));
    const card = document.createElement("div");
    card.id = "mae-card-shown";
    card.className = "mae-hover";
    card.setAttribute("role", "tooltip");
    card.hidden = true;
    document.body.append(card);
    let owner = null, timer = 0;

    const close = () => {
      clearTimeout(timer);
      if (owner) owner.removeAttribute("aria-describedby");
      owner = null;
      card.hidden = true;
    };
    const place = (link) => {
      const box = link.getClientRects()[0] || link.getBoundingClientRect();
      const room = document.documentElement.clientWidth, gap = 8;
      card.style.left = `${Math.max(gap, Math.min(box.left, room - card.offsetWidth - gap))}px`;
      const below = box.bottom + gap, fits = below + card.offsetHeight < innerHeight;
      card.style.top = `${fits ? below : Math.max(gap, box.top - card.offsetHeight - gap)}px`;
      card.style.visibility = box.bottom > 0 && box.top < innerHeight ? "" : "hidden";  // with its link
    };
    const open = async (link) => {
      close();
      owner = link;
      card.replaceChildren(...[...contents.get(link.getAttribute("href")).cloneNode(true).childNodes]);
      card.hidden = false;
      link.setAttribute("aria-describedby", card.id);
      place(link);
      if (card.querySelector(".math") && window.MathJax && MathJax.typesetPromise) {
        await MathJax.typesetPromise([card]);
        if (owner === link) place(link);
      }
    };
    const later = (act, wait) => { clearTimeout(timer); timer = setTimeout(act, wait); };

    for (const link of document.querySelectorAll("article a[href], .bd-article a[href]")) {
      if (!contents.has(link.getAttribute("href")) || link.matches(".headerlink, .prev-next-area a")) continue;
      link.removeAttribute("title");
      link.classList.add("mae-has-card");
      // A finger follows the link; a mouse or the keyboard sees the card.
      link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && later(() => open(link), 180));
      link.addEventListener("pointerleave", () => later(close, 220));
      link.addEventListener("focus", () => link.matches(":focus-visible") && open(link));
      link.addEventListener("blur", close);
    }
    card.addEventListener("pointerenter", () => clearTimeout(timer));
    card.addEventListener("pointerleave", () => later(close, 220));
    addEventListener("keydown", (event) => event.key === "Escape" && close());
    // A page scrolls to a link that Tab has reached: the card goes with it. Otherwise a reader has moved on.
    const scrolled = () => owner && (document.activeElement === owner ? place(owner) : later(close, 80));
    addEventListener("scroll", scrolled, {passive: true});
  };

  // Tables of rows: on a phone each cell names its column, but for the first one, unless it is a number.
  const rows = () => {
    for (const table of document.querySelectorAll("table.mae-rows")) {
      const names = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
      for (const row of table.querySelectorAll("tbody tr"))
        [...row.children].forEach((cell, i) => {
          cell.dataset.column = names[i];
          cell.classList.toggle("mae-number", i === 0 && /^[\d\s.,%–-]*\d[\d\s.,%–-]*$/.test(cell.textContent));
        });
    }
  };

  // What goes on beyond the right edge of its box is marked, for a phone shows no bar to scroll by.
  const BOXES = ".bd-article :is(.highlight pre, .cell_output .output, div.math mjx-container, .mae-scroll, .pst-scrollable-table-container)";
  const edges = () => {
    for (const box of document.querySelectorAll(BOXES)) {
      const mark = () => box.classList.toggle("mae-more", box.scrollWidth - box.clientWidth - box.scrollLeft > 4);
      box.addEventListener("scroll", mark, {passive: true});
      new ResizeObserver(mark).observe(box);  // also when it is unfolded
    }
  };

  const start = () => {
    cards();
    rows();
    Promise.resolve(window.MathJax?.startup?.promise).then(edges);
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
