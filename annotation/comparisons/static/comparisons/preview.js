// The labeling page as a preview, in the set-up: it can be looked at and tried, and nothing is sent.
import { gettext } from "../ui/gettext.js";
import { openSheet } from "./dialogs.js";
import { showDue } from "./due.js";
import { fit, keepFoot } from "./fit.js";
import { allBad, bindKeys, markRow, showKeys } from "./keys.js";
import { bindViews, showView } from "./views.js";

const page = () => document.querySelector("[data-preview]");
const form = () => page().querySelector("[data-bench]");
const keys = JSON.parse(page().dataset.keys);

function say(text) {
  const status = page().querySelector("[data-status]");
  status.textContent = text;
  fit(status);
}

const refuse = () => say(gettext("This is a preview: nothing is sent or kept."));

function begin() {
  bindViews(page(), form(), say);
  keepFoot(form());
  showKeys(page(), keys);
  markRow(form());
  form().addEventListener("input", () => markRow(form()));
  showDue(page().querySelector("[data-due]"));
  fit(page().querySelector("[data-status]"));
  for (const one of page().querySelectorAll("[data-undo]")) one.hidden = true; // nothing was given here
}

/** Show the page as it is in `html`: a draft of the settings changed. */
function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-preview]");
  page().replaceWith(document.adoptNode(fresh));
  begin();
}

bindKeys(keys, {
  form,
  submit: refuse,
  actions: {
    all_bad: () => allBad(form()),
    rationale: () => form().querySelector("[data-why]")?.focus(),
    prompt: () => { const one = form().querySelector("[data-prompt]"); one.open = !one.open; },
    sync: () => showView(page(), form(), "sync", say),
    diff: () => showView(page(), form(), "diff", say),
    raw: () => showView(page(), form(), "raw", say),
    guideline: () => openSheet("guideline"),
    help: () => openSheet("keys"),
  },
});
document.addEventListener("submit", (event) => {
  if (event.target.method === "dialog") return;
  event.preventDefault();
  refuse();
});
document.addEventListener("click", ({ target }) => {
  const sheet = target.closest("[data-open]")?.dataset.open;
  if (sheet && !document.getElementById(sheet).open) openSheet(sheet);
  if (target.closest("[data-flag]")) refuse();
});
document.addEventListener("preview", ({ detail }) => show(detail));
begin();
