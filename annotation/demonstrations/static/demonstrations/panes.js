// What stands beside the text: a preview by the server's rules, the original, the changes, the guideline.
import { call } from "../comparisons/outbox.js";
import { gettext } from "../ui/gettext.js";

const PREVIEW_AFTER = 400;

export class Panes {
  #timer = 0;
  #asked = 0;

  constructor({ page, desk, field }) {
    Object.assign(this, { page, desk, field });
    desk.querySelector("[data-tabs]").hidden = false;
    for (const tab of this.#tabs()) tab.addEventListener("click", () => this.show(tab.dataset.tab));
    field.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#refresh(), PREVIEW_AFTER);
    });
  }

  #tabs() { return [...this.desk.querySelectorAll("[data-tab]")]; }

  #pane(name) { return this.desk.querySelector(`[data-pane="${name}"]`); }

  /** Show one pane; a name that this desk does not have does nothing. */
  show(name) {
    if (!this.#pane(name)) return;
    this.shown = name;
    for (const tab of this.#tabs()) tab.setAttribute("aria-pressed", String(tab.dataset.tab === name));
    for (const pane of this.desk.querySelectorAll("[data-pane]")) pane.hidden = pane.dataset.pane !== name;
    this.#refresh();
  }

  async #refresh() {
    const name = this.shown;
    if (name !== "preview" && name !== "diff") return;
    const turn = ++this.#asked; // an older answer that comes later is dropped
    const path = name === "preview" ? "preview/" : `mine/${this.desk.dataset.demonstration}/diff/`;
    const answer = await call(`${this.page.dataset.api}${path}`, { body: { text: this.field.value } }).catch(() => null);
    if (answer === null || turn !== this.#asked) return;
    const pane = this.#pane(name); // what goes in is escaped or sanitised by the server
    if (name === "preview") { pane.innerHTML = answer.html; return; }
    pane.querySelector("[data-before]").innerHTML = answer.before ?? "";
    pane.querySelector("[data-after]").innerHTML = answer.after ?? gettext("Too different from the original for a word diff.");
  }
}
