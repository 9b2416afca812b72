// Drafts by labeler and assignment, in this browser only: what was typed or chosen is never lost to a reload. Not by
// comparison: one that is asked again is answered anew.
import { keysOf, read, remove, write } from "./store.js";

const KEY = "concord.draft.";
const KEPT = 30;
const AFTER = 2_000; // milliseconds without a key
const LEFT_OUT = new Set(["csrfmiddlewaretoken", "assignment", "client_uuid", "active_ms", "guideline_version"]);

const keyOf = (form, labeler) => `${KEY}${labeler}.of-${form.dataset.assignment}`;

export function saveDraft(form, labeler) {
  const fields = [...new FormData(form)].filter(([name]) => !LEFT_OUT.has(name));
  write(keyOf(form, labeler), { at: Date.now(), fields });
  forgetOldest();
}

/** The note of a flag that is being written. */
export class NoteDraft {
  constructor(form, labeler) {
    this.key = `${keyOf(form, labeler)}.flag`;
  }

  get text() {
    return read(this.key)?.note ?? "";
  }

  set text(note) {
    if (note) write(this.key, { at: Date.now(), note });
    else remove(this.key);
  }
}

export function restoreDraft(form, labeler) {
  const stored = read(keyOf(form, labeler));
  if (!stored) return false;
  for (const [name, value] of stored.fields) {
    const input = [...form.querySelectorAll(`[name="${CSS.escape(name)}"]`)].find(
      (one) => one.type !== "radio" || one.value === value,
    );
    if (!input) continue;
    if (input.type === "radio" || input.type === "checkbox") input.checked = true;
    else input.value = value;
  }
  return stored.fields.some(([name, value]) => value !== "" && !(name === "marks" && value === "[]"));
}

/** Saves the draft of a form some time after its last change, and when the page is left before that. */
export class DraftKeeper {
  #timer = 0;
  #keep = () => {};

  constructor(labeler, saved) {
    this.labeler = labeler;
    this.saved = saved;
    addEventListener("pagehide", () => { if (this.#timer) this.#keep(); });
  }

  later(form) {
    this.stop();
    this.#keep = () => saveDraft(form, this.labeler);
    this.#timer = setTimeout(() => { this.stop(); this.#keep(); this.saved(); }, AFTER);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }
}

function forgetOldest() {
  const age = (key) => read(key)?.at ?? 0;
  keysOf(KEY).sort((a, b) => age(b) - age(a)).slice(KEPT).forEach(remove);
}
