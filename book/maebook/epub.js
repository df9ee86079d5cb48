// A page of the book as a reader of books can show it: XHTML with formulas in MathML and no script. Runs in the page;
// takes all pages of the book, and the address of its style, and gives the text of the file.
async ([pages, style]) => {
  const all = (selector) => document.querySelectorAll(selector);
  const made = (name, text = "") => Object.assign(document.createElement(name), {textContent: text});
  const renamed = (element, name) => {
    const other = made(name);
    for (const {name: key, value} of element.attributes) if (/^(id|class|role|aria-\w+)$/.test(key)) other.setAttribute(key, value);
    other.append(...element.childNodes);
    element.replaceWith(other);
    return other;
  };

  // What is drawn by a style of its own keeps its colours without it; ink stays the page's.
  const paint = (drawing) => {
    const ink = getComputedStyle(document.body).color;
    for (const shape of drawing.querySelectorAll("path, rect, circle, text, line, polygon, use, g")) {
      const look = getComputedStyle(shape);
      for (const name of ["fill", "stroke", "fill-opacity", "stroke-width", "stroke-dasharray", "opacity", "text-anchor", "dominant-baseline"]) {
        const [value, alpha] = plain(look.getPropertyValue(name));
        shape.setAttribute(name, value === ink ? "currentColor" : value);
        if (alpha && alpha !== "1") shape.setAttribute(`${name}-opacity`, alpha);
      }
      if (shape.matches(".ground")) shape.setAttribute("fill", "none");  // by night the page is not white
    }
  };
  const plain = (value) => {
    const found = value.match(/^(?:color\(srgb|rgba\() ?([\d.]+),? ([\d.]+),? ([\d.]+)(?:,| \/)? ?([\d.]+)?\)$/);
    if (!found) return [value];
    const scale = value.startsWith("rgba") ? 1 : 255;
    return [`rgb(${found.slice(1, 4).map((part) => Math.round(part * scale)).join(", ")})`, found[4]];
  };
  for (const drawing of all("mae-explorer svg, mae-hero svg")) paint(drawing);

  if (all(".math").length) {
    window.MathJax = {startup: {typeset: false}, options: {enableMenu: false}};
    const script = Object.assign(made("script"), {src: "/_static/mathjax/tex-chtml.js"});
    await new Promise((loaded, missing) => {
      Object.assign(script, {onload: loaded, onerror: missing});
      document.head.append(script);
    });
    await MathJax.startup.promise;
  }
  for (const place of all(".math")) {
    const [, kind, text] = place.textContent.match(/\\([(\[])(.*)\\[)\]]/s);
    const written = await MathJax.tex2mmlPromise(text, {display: kind === "["});
    const formula = new DOMParser().parseFromString(written, "application/xml").documentElement;
    for (const part of [formula, ...formula.querySelectorAll("*")])
      for (const {name} of [...part.attributes]) if (/^(data-|class$)/.test(name)) part.removeAttribute(name);
    formula.setAttribute("alttext", text.trim());
    place.replaceChildren(...place.querySelectorAll(".eqno"), document.importNode(formula, true));
  }

  for (const part of all("td[data-column]")) part.prepend(`${part.dataset.column}: `);  // rows become blocks
  for (const part of all("[hidden]")) part.hidden = false;
  for (const part of all("mae-explorer, mae-hero, mae-scrubber, form, fieldset")) renamed(part, "div");
  for (const part of all("legend")) renamed(part, "p");
  for (const part of all("label, wbr")) part.replaceWith(...part.childNodes);

  // An answer waits at the chapter's end: of a question, of an exercise, and of one in code with what its check says.
  const answers = made("section");
  for (const [at, answer] of all("details.mae-answer, div.solution, .tag_exercise-solution").entries()) {
    const link = Object.assign(made("a", "Answer"), {href: `#answer-${at}`, id: `ask-${at}`});
    const back = Object.assign(made("a", "Back to the question"), {href: `#ask-${at}`});
    const place = Object.assign(made("div"), {id: `answer-${at}`});
    const check = answer.nextElementSibling?.matches(".tag_exercise-check") ? [answer.nextElementSibling] : [];
    const line = made("p");
    line.append(link);
    answer.replaceWith(line);
    place.append(answer, ...check, back);
    answers.append(place);
  }
  for (const folded of answers.querySelectorAll("details.mae-answer, details.hide")) {
    folded.querySelector("summary").remove();
    renamed(folded, "div").classList.remove("hide");
  }

  // Parts that move or are pressed, code that the page folds away, and where a figure comes from: the run card says it.
  for (const part of all(`script, style, template, button, input, select, .live, .headerlink, .mae-data, .mae-origin,
      .mae-because, .mae-score, .mae-said, .mae-hero-controls, .mae-report, details.hide, .toggle-details.above-input,
      .clearer, div.body > div[class^=sphinxsidebar], nav.contents`)) part.remove();

  const body = document.querySelector("div.body") ?? document.body;
  if (answers.childNodes.length) {
    answers.prepend(made("h2", "Answers"));
    body.append(answers);
  }

  // Links stay in the book; an id is given once.
  for (const link of all("a[href]")) {
    const [page, anchor] = link.getAttribute("href").split("#");
    if (/^[a-z]+:/.test(page)) continue;
    const target = new URL(page.replace(/\.html$/, ".xhtml"), location.href).pathname.slice(1);
    if (!pages.includes(target)) link.replaceWith(...link.childNodes);
    else if (page) link.setAttribute("href", page.replace(/\.html$/, ".xhtml") + (anchor ? `#${anchor}` : ""));
  }
  const seen = new Set();
  for (const part of all("[id]")) seen.has(part.id) ? part.removeAttribute("id") : seen.add(part.id);
  for (const part of body.querySelectorAll("*"))
    for (const {name} of [...part.attributes]) if (/^(data-|on|tabindex|align$|[vh]align$|border$)/.test(name)) part.removeAttribute(name);

  for (const part of all("[role=doc-biblioentry]")) part.removeAttribute("role");  // it is deprecated
  body.removeAttribute("role");

  const title = new XMLSerializer().serializeToString(made("title", document.title));
  const inside = new XMLSerializer().serializeToString(renamed(body, "body"));
  return `<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" lang="en" ` +
    `xml:lang="en"><head>${title}<link rel="stylesheet" type="text/css" href="${style}"/></head>${inside}</html>\n`;
}
