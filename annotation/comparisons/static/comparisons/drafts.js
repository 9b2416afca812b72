// Drafts by labeler and comparison, in this browser only: what was typed or chosen is never lost to a reload.
import { keysOf, read, remove, write } from "./store.js";

const KEY = "concord.draft.";
const KEPT = 30;
const LEFT_OUT = new Set(["csrfmiddlewaretoken", "assignment", "client_uuid", "active_ms"]);

const keyOf = (form, labeler) => `${KEY}${labeler}.${form.dataset.comparison}`;

export function saveDraft(form, labeler) {
  const fields = [...new FormData(form)].filter(([name]) => !LEFT_OUT.has(name));
  write(keyOf(form, labeler), { at: Date.now(), fields });
  forgetOldest();
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

function forgetOldest() {
  const age = (key) => read(key)?.at ?? 0;
  keysOf(KEY).sort((a, b) => age(b) - age(a)).slice(KEPT).forEach(remove);
}
