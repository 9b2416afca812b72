// The labeling page: which key, click and event leads to which act at the desk.
import { gettext } from "../ui/gettext.js";
import { advance, again, api, askAgain, begin, deck, desk, extend, flag, guideline, inHand, keys, next, outbox, page, place, recent, rest, sayOfThis, showUndo, skip, strip, submit, tabs, undo, watchReading } from "./desk.js";
import { openSheet } from "./dialogs.js";
import { allBad, bindKeys, showKeys } from "./keys.js";
import { leaseFor, watchLease } from "./lease.js";
import { toRawText } from "./marks.js";
import { bindSheets } from "./sheets.js";
import { toggleSkip } from "./skip.js";
import { reveal, showView } from "./views.js";

const COUNT_EVERY = 10_000;
const BATCH_EVERY = 120_000;

const withForm = (work) => () => inHand() && work(desk.form);

bindKeys(keys, {
  form: inHand,
  submit,
  actions: {
    all_bad: withForm(allBad),
    undo,
    skip: withForm(toggleSkip),
    flag: withForm(flag),
    rationale: withForm((form) => form.querySelector("[data-why]")?.focus()),
    extend: withForm(extend),
    prompt: withForm((form) => { const one = form.querySelector("[data-prompt]"); one.open = !one.open; }),
    sync: withForm((form) => showView(page, form, "sync", sayOfThis)),
    diff: withForm((form) => showView(page, form, "diff", sayOfThis)),
    raw: withForm(async (form) => { await showView(page, form, "raw", sayOfThis); toRawText(form); }),
    reveal: withForm(reveal),
    guideline: () => guideline.open(),
    help: () => openSheet("keys"),
  },
});
bindSheets(document);
page.addEventListener("click", (event) => {
  const sheet = event.target.closest("[data-open]")?.dataset.open;
  if (sheet === "guideline") guideline.open();
  else if (sheet) openSheet(sheet);
  if (event.target.closest("[data-again]")) again();
  if (event.target.closest("[data-flag]") && inHand()) flag();
  if (event.target.closest("[data-reveal]") && inHand()) reveal(desk.form);
});
document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-skip-form]")) { event.preventDefault(); skip(event.submitter.value); }
  if (event.target.matches("[data-undo-form]")) { event.preventDefault(); undo(); }
});
tabs?.addEventListener("message", ({ data: assignment }) => {
  desk.elsewhere.push(assignment);
  deck.drop(assignment);
  if (desk.form?.dataset.assignment !== assignment) return;
  advance();
  sayOfThis(gettext("You answered that one in another tab."));
});
for (const kind of ["pointermove", "keydown", "wheel", "touchstart"]) {
  addEventListener(kind, () => desk.attention?.used(), { passive: true });
}
for (const kind of ["offline", "online"]) addEventListener(kind, () => strip.showLink());
addEventListener("offline", () => sayOfThis(gettext("You are offline. What you answer is kept here and sent later."), "warn", () => !navigator.onLine));
addEventListener("online", () => sayOfThis(gettext("You are online again.")));
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); }); // back: what was kept may be over
addEventListener("load", () => navigator.serviceWorker?.register(page.dataset.offline, { scope: location.pathname }).catch(() => {})); // plain http has none
setInterval(() => {
  if (inHand()) watchLease(desk.form, keys.extend, sayOfThis);
  if (desk.form) rest.add(desk.attention.take(COUNT_EVERY));
}, 1_000);
setInterval(() => { watchReading(); strip.refresh(); }, 200);
setInterval(() => strip.watchBatch(api), BATCH_EVERY);

showKeys(page, keys);
strip.showProgress(null, outbox.entries);
recent.forget(page.dataset.reopened);
const answered = new Set([...outbox.entries.map((one) => one.assignment), ...recent.ids]);
const first = place.querySelector("[data-bench]");
answered.forEach((id) => deck.drop(id));
if (answered.has(first?.dataset.assignment)) {
  advance();
  if (desk.form) next();
} else if (first) {
  leaseFor(first, first.dataset.leaseSeconds);
  begin(first);
} else {
  showUndo();
  if (page.dataset.askAgain) askAgain(Number(page.dataset.askAgain));
}
outbox.run();
