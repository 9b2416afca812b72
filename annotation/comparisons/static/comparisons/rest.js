// The break reminder: counts time at work over pages and tabs; a pause of some minutes starts it anew.
import { interpolate, ngettext } from "../ui/gettext.js";
import { asked, byId } from "./dialogs.js";
import { read, write } from "./store.js";

const HOLD = 1_000; // milliseconds
const KEYS = new Set(["Enter", " "]);
const A_BREAK = 5 * 60_000;
const SNOOZE = 10 * 60_000;

export class Rest {
  #key;
  #after;

  constructor(labeler, afterMinutes) {
    this.#key = `concord.worked.${labeler}`;
    this.#after = Number(afterMinutes) * 60_000; // 0: no reminder
  }

  get #worked() {
    const { ms = 0, at = 0 } = read(this.#key) ?? {};
    return Date.now() - at < A_BREAK ? ms : 0;
  }

  get minutes() {
    return Math.round(this.#worked / 60_000);
  }

  get isDue() {
    return this.#after > 0 && this.#worked >= this.#after;
  }

  add(ms) {
    if (ms > 0) write(this.#key, { ms: this.#worked + ms, at: Date.now() });
  }

  snooze() {
    write(this.#key, { ms: Math.max(0, this.#after - SNOOZE), at: Date.now() });
  }

  rested() {
    write(this.#key, { ms: 0, at: Date.now() });
  }
}

/** Enter or a space that was on its way to what lay below does not choose in the dialog that has just come. */
function holdKeys(sheet) {
  const until = Date.now() + HOLD;
  const hold = (event) => { if (KEYS.has(event.key) && Date.now() < until) event.preventDefault(); };
  for (const kind of ["keydown", "keyup"]) {
    sheet.addEventListener(kind, hold);
    sheet.addEventListener("close", () => sheet.removeEventListener(kind, hold), { once: true });
  }
}

export async function askForBreak(rest) {
  const { minutes } = rest;
  const words = ngettext("You have worked for %(minutes)s minute.", "You have worked for %(minutes)s minutes.", minutes);
  byId("break").querySelector("[data-minutes]").textContent = interpolate(words, { minutes });
  holdKeys(byId("break"));
  if ((await asked("break")) === "rested") rest.rested();
  else rest.snooze();
}
