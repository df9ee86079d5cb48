/* Live cells: Run, or Control and Enter, hands the program to a worker, which loads Python the first time. */
(() => {
  "use strict";
  const root = document.documentElement.dataset.content_root || "";

  const start = (cell) => {
    const code = cell.querySelector("textarea"), button = cell.querySelector("button");
    const said = cell.querySelector("[role=status]"), shown = cell.querySelector(".shown");
    if (!cell.dataset.megabytes) return;
    if (location.protocol === "file:") {
      said.textContent = "From disk a browser does not load Python. Serve the book (make serve, or python -m http.server " +
        "in its folder) and open http://localhost:8000: the cell runs there. Below is what it gives as it stands.";
      return;
    }
    let worker = null, running = false;

    const rest = (text) => {
      running = false;
      button.textContent = "Run";
      said.textContent = text;
      cell.removeAttribute("aria-busy");
    };
    const drop = (text) => {
      worker?.terminate();
      worker = null;
      rest(text);
    };
    const run = () => {
      running = true;
      button.textContent = "Stop";
      said.textContent = worker ? "Running" : `Loading Python, ${cell.dataset.megabytes} MB, once`;
      cell.setAttribute("aria-busy", "true");
      if (!worker) {
        worker = new Worker(new URL(`${root}_static/live.mjs`, location), { type: "module" });
        worker.onerror = () => drop("Python could not be loaded; Run tries it again.");
        worker.onmessage = ({ data }) => {
          if (data.failed) return drop(`Python could not be loaded (${data.failed}); Run tries it again.`);
          shown.innerHTML = data.html;
          rest(shown.querySelector(".wrong")?.textContent ? "There is an error." : "Done.");
        };
      }
      worker.postMessage(code.value);
    };
    button.hidden = false;
    code.readOnly = false;
    said.textContent = "";
    button.addEventListener("click", () => running ? drop("Stopped.") : run());
    code.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      if (!running) run();
    });
  };
  const all = () => document.querySelectorAll(".mae-live").forEach(start);
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", all);
  else all();
})();
