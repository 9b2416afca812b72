// Drafts by labeler and comparison, in this browser only: what was typed or chosen is never lost to a reload.
const KEY = "concord.draft.";
const KEPT = 30;
const LEFT_OUT = new Set(["csrfmiddlewaretoken", "assignment", "client_uuid", "active_ms"]);

const storage = () => {
  try {
    return window.localStorage;
  } catch {
    return null; // storage is switched off: the page works, drafts do not outlive it
  }
};

const keyOf = (form, labeler) => `${KEY}${labeler}.${form.dataset.comparison}`;

export function saveDraft(form, labeler) {
  const fields = [...new FormData(form)].filter(([name]) => !LEFT_OUT.has(name));
  storage()?.setItem(keyOf(form, labeler), JSON.stringify({ at: Date.now(), fields }));
  forgetOldest();
}

export function restoreDraft(form, labeler) {
  const stored = storage()?.getItem(keyOf(form, labeler));
  if (!stored) return false;
  for (const [name, value] of JSON.parse(stored).fields) {
    const input = [...form.querySelectorAll(`[name="${CSS.escape(name)}"]`)].find(
      (one) => one.type !== "radio" || one.value === value,
    );
    if (!input) continue;
    if (input.type === "radio" || input.type === "checkbox") input.checked = true;
    else input.value = value;
  }
  return true;
}

function forgetOldest() {
  const store = storage();
  const keys = Object.keys(store ?? {}).filter((key) => key.startsWith(KEY));
  const age = (key) => JSON.parse(store.getItem(key)).at;
  keys.sort((a, b) => age(b) - age(a)).slice(KEPT).forEach((key) => store.removeItem(key));
}
