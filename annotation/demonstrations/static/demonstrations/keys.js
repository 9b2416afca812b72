// The keys of the desk. Single letters act only outside of text fields; Esc leaves the text.
import { chooseReason, toggleSkip } from "../comparisons/skip.js";

const withdraw = () => document.querySelector("[data-withdraw]")?.click();

/** Where nothing is left to write, the last text can still be taken back. */
export function bindEmptyDesk() {
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "z" && !event.ctrlKey && !event.metaKey && !event.altKey) withdraw();
  });
}

export function bindKeys({ page, desk, field, draft, panes }) {
  const keys = page.querySelector("#keys");
  document.querySelector('[data-open="keys"]').addEventListener("click", () => keys.showModal());
  const letters = {
    n: () => field.focus(), v: () => panes.show("preview"), g: () => panes.show("guideline"), o: () => panes.show("original"),
    d: () => panes.show("diff"), p: () => { const one = desk.querySelector("[data-prompt]"); one.open = !one.open; },
    w: () => desk.querySelector("[data-count]").click(), k: () => toggleSkip(desk),
    z: withdraw, "?": () => keys.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.altKey) return;
    const isCommand = event.ctrlKey || event.metaKey;
    if (isCommand && event.key === "Enter") { event.preventDefault(); draft.submit(); return; }
    if (isCommand && event.key.toLowerCase() === "s") { event.preventDefault(); draft.save(); return; }
    if (isCommand) return;
    if (event.target.matches("textarea, input, select")) { if (event.key === "Escape") event.target.blur(); return; }
    if (chooseReason(desk, event, Number(event.key) || 0)) { event.preventDefault(); return; }
    const act = letters[event.key.toLowerCase()];
    if (act) { event.preventDefault(); act(); }
  });
}
