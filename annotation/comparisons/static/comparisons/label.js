// The labeling page: shows a bench, takes the answer by key or pointer, sends it, shows the next.
import { answerOf, whatIsMissing } from "./answer.js";
import { Attention } from "./attention.js";
import { restoreDraft, saveDraft } from "./drafts.js";
import { bindKeys, markRow } from "./keys.js";
import { call, Outbox, Refused } from "./outbox.js";
import { bindViews, showView } from "./views.js";

const DRAFT_AFTER = 2_000;
const WARN_BEFORE = 90_000;

const page = document.querySelector("[data-labeling]");
const place = page.querySelector("[data-place]");
const api = page.dataset.api;
const status = page.querySelector("[data-status]");
const outbox = new Outbox(`concord.outbox.${page.dataset.labeler}.${api}`, (pause, reason) =>
  say(`Not sent yet, but kept here. ${reason.startsWith("You") ? reason : "The server does not answer."} Next try in ${Math.round(pause / 1000)} s.`, "warn"));
const state = { leaseEnds: 0, form: null, attention: null, draftTimer: 0, isBusy: false, isWarned: false };

function say(text, kind = "") {
  if (status.textContent !== text) status.textContent = text;
  status.parentElement.className = `say ${kind}`;
}

/** The lease by the server's count of seconds: the clock of this computer may be wrong. */
function leaseFor(seconds) {
  state.leaseEnds = performance.now() + Number(seconds) * 1000;
}

function start(form) {
  state.attention?.end();
  Object.assign(state, { form, attention: form && new Attention(form), isBusy: false, isWarned: false });
  if (!form) return;
  leaseFor(form.dataset.leaseSeconds);
  for (const other of document.querySelectorAll("#skip-form, #undo-form")) {
    const field = other.elements.assignment;
    if (field) field.value = form.dataset.assignment;
  }
  if (restoreDraft(form, page.dataset.labeler)) say("Your draft is back.");
  form.querySelector("[data-tabs]")?.toggleAttribute("hidden", !matchMedia("(max-width: 1023px)").matches);
  form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  form.addEventListener("input", onInput);
  form.querySelector("[data-extend]").addEventListener("click", extend);
  markRow(form);
  bindViews(page, form);
  watchReading();
}

function onInput() {
  clearTimeout(state.draftTimer);
  markRow(state.form);
  state.draftTimer = setTimeout(() => { saveDraft(state.form, page.dataset.labeler); say("Draft saved."); }, DRAFT_AFTER);
}

function show(reply) {
  clearTimeout(state.draftTimer);
  const { judged_today: today, remaining: left, is_more: isMore } = reply.progress;
  page.querySelector("[data-count]").textContent = `${today} of ${today + left}${isMore ? "+" : ""} today`;
  Object.assign(page.querySelector("[data-meter]"), { max: today + left || 1, value: today });
  if (reply.bench) place.innerHTML = reply.bench;
  else showEmpty(reply.empty);
  const surplus = reply.judgment && !reply.judgment.is_counted;
  say("");
  start(place.querySelector("[data-bench]"));
  if (reply.message) say(reply.message, surplus ? "warn" : "");
  scrollTo({ top: 0 });
}

function showEmpty(empty) {
  const sheet = page.querySelector("template[data-empty]").content.cloneNode(true);
  sheet.querySelector("[data-message]").textContent = empty.message;
  place.replaceChildren(sheet);
  askAgain(empty.ask_again_seconds);
}

function askAgain(seconds) {
  setTimeout(() => { if (!state.form) next(); }, seconds * 1000);
}

async function act(work) {
  if (state.isBusy) return;
  state.isBusy = true;
  state.form?.setAttribute("data-busy", "");
  try {
    show(await work());
  } catch (error) {
    say(error instanceof Refused ? error.message : "The server does not answer. Try again in a moment.", "bad");
  } finally {
    state.isBusy = false;
    state.form?.removeAttribute("data-busy");
  }
}

const next = () => act(() => call(`${api}assignments/next/?bench=1`));
const undo = () => act(() => call(`${api}judgments/undo/?bench=1`));
const skip = (reason) =>
  act(() => call(`${api}assignments/${state.form.dataset.assignment}/skip/?bench=1`, { body: { reason } }));

function submit() {
  const missing = whatIsMissing(state.form);
  if (missing) return say(missing, "warn");
  if (!state.attention.isUnlocked) return say(state.attention.whyLocked, "warn");
  const body = { ...answerOf(state.form), active_ms: state.attention.activeMs };
  saveDraft(state.form, page.dataset.labeler); // an undo brings the answer back
  say("Saving…");
  return act(() => outbox.send(`${api}assignments/${state.form.dataset.assignment}/judgment/?bench=1`, body));
}

async function extend() {
  try {
    const reply = await call(`${api}assignments/${state.form.dataset.assignment}/lease/`);
    leaseFor(reply.seconds_left);
    state.form.querySelector("[data-extend]").hidden = true;
    state.isWarned = false;
    say("You have more time.");
  } catch (error) {
    say(error.message, "bad");
  }
}

/** The verdict unlocks when all responses have been in view and the minimal reading time has passed. */
function watchReading() {
  if (!state.form) return;
  state.attention.tick();
  state.form.querySelector("[data-submit]").disabled = state.isBusy || !state.attention.isUnlocked;
}

function watchLease() {
  if (!state.form) return;
  const left = state.leaseEnds - performance.now();
  if (left > WARN_BEFORE) return;
  state.form.querySelector("[data-extend]").hidden = left <= 0;
  if (left <= 0) return say("Your time for this comparison ended. An answer is kept, but may not be counted.", "bad");
  if (!state.isWarned) say("Little time is left for this comparison: press E for more.", "warn");
  state.isWarned = true;
}

page.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) document.getElementById(opener.dataset.open).showModal();
  if (event.target.closest("[data-again]")) next();
});
document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-skip-form]")) { event.preventDefault(); skip(event.submitter.value); }
  if (event.target.matches("[data-undo-form]")) { event.preventDefault(); undo(); }
});
for (const kind of ["pointermove", "keydown", "wheel", "touchstart"]) {
  addEventListener(kind, () => state.attention?.used(), { passive: true });
}
addEventListener("offline", () => say("You are offline. What you answer is kept here and sent later.", "warn"));
addEventListener("online", () => say("You are online again."));
setInterval(watchLease, 1_000);
setInterval(watchReading, 200);
bindKeys({
  form: () => state.form,
  submit,
  undo,
  extend,
  view: (name) => showView(page, state.form, name),
});
start(place.querySelector("[data-bench]"));
if (page.dataset.askAgain) askAgain(Number(page.dataset.askAgain));
if (outbox.waiting().length) {
  say("Sending what was kept here…");
  outbox.flush().then((reply) => { if (reply) show(reply); else next(); });
}
