// Quizzes: marks answers where they stand. The answers come with the page; nothing is fetched and nothing is kept.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll(".mae-quizzes")) {
    const forms = [...box.querySelectorAll("form.mae-quiz")];
    const score = box.querySelector(".mae-score");
    const right = new Set();

    const say = (form, verdict, becauses) => {
      const said = form.querySelector(".mae-said");
      said.replaceChildren();
      const line = document.createElement("p");
      line.className = "mae-verdict-line";
      line.textContent = verdict;
      said.append(line);
      for (const because of becauses) {
        const copy = because.cloneNode(true);
        copy.hidden = false;
        said.append(copy);
      }
    };

    const markChoices = (form) => {
      const inputs = [...form.querySelectorAll("input")];
      const chosen = inputs.filter((input) => input.checked);
      if (!chosen.length) return say(form, "Choose an answer first.", []), null;
      const wrong = chosen.filter((input) => input.dataset.right !== "1").length;
      const missing = inputs.filter((input) => input.dataset.right === "1" && !input.checked).length;
      const because = chosen.map((input) => input.closest(".mae-choice").querySelector(".mae-because"));
      const verdict = !wrong && !missing ? "✓ Right."
        : form.dataset.kind === "one" ? "✗ Not so."
        : wrong ? `✗ Not yet: ${wrong} of your choices ${wrong === 1 ? "does" : "do"} not hold.`
        : `✗ Not yet: ${missing} more ${missing === 1 ? "holds" : "hold"}.`;
      say(form, verdict, because);
      return !wrong && !missing;
    };

    const markNumber = (form) => {
      const text = form.querySelector("input").value.trim().replace(",", ".");
      const value = text === "" ? NaN : Number(text);
      if (Number.isNaN(value)) return say(form, "Give a number, such as 0.5.", []), null;
      const answers = [...form.querySelectorAll(":scope > fieldset > .mae-because")];
      const near = 1e-9 + Number(form.dataset.tolerance);
      const met = answers.find((a) => "value" in a.dataset && Math.abs(Number(a.dataset.value) - value) <= near);
      const told = met ?? answers.at(-1);
      const correct = told.dataset.right === "1";
      say(form, correct ? "✓ Right." : "✗ Not so.", [told]);
      return correct;
    };

    for (const form of forms) {
      form.querySelector("button").hidden = false;
      form.querySelector(".mae-answer").hidden = true;
      form.addEventListener("input", () => form.querySelector(".mae-said").replaceChildren());
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const correct = form.dataset.kind === "number" ? markNumber(form) : markChoices(form);
        if (correct === null) return;
        if (correct) right.add(form); else right.delete(form);
        form.querySelector(".mae-answer").hidden = false;
        score.textContent = `${right.size} of ${forms.length} right.`;
      });
    }
  }
});
