// The labeler's desk. One comparison is in hand, two wait off-screen; an answer goes to the outbox and the next is there
// at once. What the server says arrives later and is merged: new leases, lost ones, progress, refusals.
import { gettext } from "../ui/gettext.js";
import { answerOf, lacksReason, whatIsMissing } from "./answer.js";
import { Attention } from "./attention.js";
import { Deck } from "./deck.js";
import { DraftKeeper, NoteDraft, restoreDraft, saveDraft } from "./drafts.js";
import { keepFoot } from "./fit.js";
import { Guideline } from "./guideline.js";
import { goToFirst, markRow, showKeys } from "./keys.js";
import { beginLease, leaseFor } from "./lease.js";
import { call, Outbox, Refused, SignedOut, uuid } from "./outbox.js";
import { Recent } from "./recent.js";
import { Rest, askForBreak } from "./rest.js";
import { askNote, showFeedback } from "./sheets.js";
import { Strip } from "./strip.js";
import { bindViews } from "./views.js";

const AHEAD = 2;
const PAUSES = new Set(["paused", "you_are_paused"]);
const UNDO = { answer: "undo", skip: "unskip" };
const READ = { readMs: Infinity, unseen: new Set() }; // what was judged was read

export const page = document.querySelector("[data-labeling]");
export const place = page.querySelector("[data-place]");
export const api = page.dataset.api;
const labeler = document.body.dataset.user;
export const keys = JSON.parse(page.dataset.keys);
export const strip = new Strip(page);
export const deck = new Deck(page.querySelector("[data-ahead]"));
export const rest = new Rest(labeler, page.dataset.breakAfter);
export const recent = new Recent(`concord.lately.${labeler}.${api}`);
export const tabs = "BroadcastChannel" in window ? new BroadcastChannel(`concord.${labeler}.${api}`) : null;
export const outbox = new Outbox(`concord.outbox.${labeler}.${api}.`, {
  url: (act) => api + act.path + query(),
  taken,
  refused,
  waiting,
  changed: () => strip.showProgress(null, outbox.entries),
  sentElsewhere: () => next(),
});
export const desk = {
  form: null,
  attention: null,
  askTimer: 0,
  asking: null, // the request in flight, of those that cannot wait in the outbox: one at a time
  isUndoing: false,
  isTraining: "training" in page.dataset,
  canUndo: "canUndo" in page.dataset,
  isPaused: false, // the project or this labeler: what was judged stays as it is
  empty: null, // why the server has nothing more
  elsewhere: [], // what other tabs answered since the last reply: one that is on its way may not know it
};

export const say = (text, kind, now) => strip.say(text, kind, now);

/** What is true while this comparison is in hand, and `isSo`. */
export const whileInHand = (text, isSo = () => true) => {
  const { form } = desk;
  return () => (desk.form === form && isSo() ? text : "");
};
export const sayOfThis = (text, kind, isSo) => say(text, kind, whileInHand(text, isSo));
export const guideline = new Guideline(keys.guideline, say, labeler);
const draft = new DraftKeeper(labeler, () => mentionDraft(gettext("Draft saved in this browser.")));

/** The form that takes answers now; null while loading, sending a training answer, or reading its feedback. */
export const inHand = () => (page.dataset.state === "ready" ? desk.form : null);

// --- Showing -----------------------------------------------------------------------------------------------------

export function begin(form) {
  desk.attention?.end();
  place.replaceChildren(form);
  Object.assign(desk, { form, attention: new Attention(form) });
  strip.state = "ready";
  for (const field of document.querySelectorAll("#skip-form [name=assignment]")) field.value = form.dataset.assignment;
  if (restoreDraft(form, labeler)) mentionDraft(gettext("Your draft is back."));
  if (!form.dataset.isBound) bindForm(form);
  beginLease(form);
  markRow(form);
  showKeys(form, keys);
  bindViews(page, form, sayOfThis);
  showUndo();
  watchReading();
  scrollTo({ top: 0 });
}

const mentionDraft = (words) => strip.mention(words, "", ["warn", "bad"], whileInHand(words));

function bindForm(form) {
  form.dataset.isBound = "";
  keepFoot(form);
  form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  form.addEventListener("input", onInput);
  form.addEventListener("focusin", () => markRow(form));
  form.querySelector("[data-extend]").addEventListener("click", extend);
}

/** The next comparison: from the deck at once, else what the server says. */
export function advance() {
  desk.form = null;
  draft.stop();
  const form = deck.take();
  if (form) begin(form);
  else showLoading();
  if (rest.isDue) askForBreak(rest);
}

function showLoading() {
  strip.state = "loading";
  place.replaceChildren(document.getElementById("loading").content.cloneNode(true));
  if (!isOnItsWay()) next();
  else if (!strip.isReached) showWaiting();
}

const bringsNext = ({ kind }) => kind === "answer" || kind === "skip";

/** A reply to this tab will have the next comparison; one asked for beside it could come later and know less. */
const isOnItsWay = () => outbox.entries.some((one) => bringsNext(one) && outbox.isMine(one.id));

function showEmpty(empty) {
  strip.state = "empty";
  const sheet = document.getElementById("empty").content.cloneNode(true);
  sheet.querySelector("[data-message]").textContent = empty.message;
  place.replaceChildren(sheet);
  showKeys(place, keys);
  showUndo();
  askAgain(empty.ask_again_seconds);
}

/** All that was ready is answered, and what comes next waits for the server. */
function showWaiting() {
  if (page.dataset.state === "waiting") return;
  strip.state = "waiting";
  place.replaceChildren(document.getElementById("waiting").content.cloneNode(true));
  showKeys(place, keys);
  showUndo();
}

export function askAgain(seconds) {
  clearTimeout(desk.askTimer);
  desk.askTimer = setTimeout(() => { if (!desk.form) next(); }, seconds * 1000);
}

export function showUndo() {
  for (const button of page.querySelectorAll("[data-undo]")) button.hidden = !desk.canUndo || desk.isPaused;
}

// --- Talking with the server ---------------------------------------------------------------------------------------

const onTheDesk = () => [
  ...(desk.form ? [desk.form.dataset.assignment] : []),
  ...outbox.entries.filter(bringsNext).map((one) => one.assignment),
];

function query() {
  const held = new Set([...onTheDesk(), ...deck.ids]);
  return `?bench=1&ahead=${AHEAD}&held=${[...held].join(",")}`;
}

/** Merge what the server said about this labeler's leases. */
function merge(reply) {
  strip.isReached = true;
  strip.showProgress(reply.progress, outbox.entries);
  guideline.learn(reply.guideline_version);
  desk.empty = reply.empty;
  desk.isPaused = PAUSES.has(reply.empty?.reason);
  deck.merge(reply, [...onTheDesk(), ...desk.elsewhere]);
  desk.elsewhere = [];
  if (desk.form) return reply.empty ? say(reply.empty.message, "warn", () => desk.empty?.message ?? "") : mergeLease(reply.leases);
  const form = deck.take();
  if (form) begin(form);
  else if (reply.empty && outbox.entries.length === 0) showEmpty(reply.empty);
  else if (!reply.empty && !isOnItsWay()) askAgain(1);
  return undefined;
}

function mergeLease(leases) {
  const mine = leases.find((one) => String(one.id) === desk.form.dataset.assignment);
  leaseFor(desk.form, mine?.seconds_left ?? 0);
}

function taken(act, reply) {
  strip.isReached = true;
  if (!reply.leases) return desk.form || isOnItsWay() ? undefined : next(); // a flag
  const isLate = reply.judgment && !reply.judgment.is_counted;
  if (act.kind in UNDO) desk.canUndo = true;
  if (desk.isTraining && act.kind === "answer" && act.id === recent.last?.id) return afterTraining(reply);
  merge(reply);
  showUndo();
  if (isLate) return say(reply.message, "warn");
  return outbox.entries.length || reply.empty ? undefined : strip.mention(reply.message, "good", ["news"]);
}

async function afterTraining(reply) {
  const { last } = recent;
  recent.takeBack(last.id);
  desk.canUndo = false;
  desk.isTraining = reply.feedback !== null;
  if (reply.feedback) {
    strip.state = "feedback";
    say("");
    await showFeedback(last.form, reply.feedback);
  }
  desk.form = null;
  merge(reply);
}

/** What was refused never stood: an answer may be given anew, and after an undo the answer stands. */
function refused(act, error) {
  strip.isReached = true;
  say(error.message, "bad");
  if (act.kind === "flag") return;
  recent.takeBack(act.id);
  recent.forget(act.assignment);
  const isOver = desk.form?.dataset.assignment === act.reopens;
  if (isOver || (desk.isTraining && act.kind === "answer")) desk.form = null;
  Promise.resolve(desk.asking).then(next); // what is asked already was asked before, and does not bring it back
}

function waiting(error, pause) {
  strip.isReached = false;
  if (!desk.form) showWaiting();
  return error instanceof SignedOut ? strip.saySignedOut(error.message) : strip.sayWaiting(pause);
}

/** Ask the server at once, for what cannot wait in the outbox. */
function ask(path, { body, done, wrong = failed }) {
  desk.asking = call(api + path + query(), { body }).then(done).catch(wrong).finally(() => { desk.asking = null; });
  return desk.asking;
}

function failed(error) {
  strip.isReached = error instanceof Refused;
  const isTold = outbox.entries.length > 0; // what waits there says so itself, with what happens next
  if (error instanceof SignedOut) strip.saySignedOut(error.message);
  else if (error instanceof Refused) say(error.message, "bad");
  else if (!isTold) strip.sayUntilReached(() => gettext("The server does not answer. Trying again."), "bad");
  if (desk.form) return;
  if (!strip.isReached) showWaiting();
  askAgain(5);
}

export const next = () => desk.asking ?? ask("assignments/next/", { done: merge });

// --- Acting --------------------------------------------------------------------------------------------------------

export function submit() {
  if (!inHand()) return again();
  const why = whyNotYet();
  if (why) return refuse(why);
  performance.mark("concord.key");
  saveDraft(desk.form, labeler); // an undo brings the answer back
  const body = { ...answerOf(desk.form), active_ms: desk.attention.activeMs, guideline_version: guideline.version };
  leave("answer", "judgment/", body, body.client_uuid);
  return requestAnimationFrame(() => setTimeout(() => performance.measure("concord.next", "concord.key")));
}

/** Why the answer in hand is not taken yet; "" where it is. */
const whyNotYet = () => whatIsMissing(desk.form) || (desk.attention.isUnlocked ? "" : desk.attention.whyLocked);

/** Say why the answer is not taken yet, while it is not; that the draft was saved does not come in between. */
function refuse(why) {
  const { form } = desk;
  draft.stop();
  saveDraft(form, labeler);
  if (lacksReason(form)) form.querySelector("[data-why]")?.focus();
  return say(why, "warn", () => (inHand() === form ? whyNotYet() : ""));
}

/** Enter where no comparison is in hand: go on after feedback, look again where the queue was empty. */
export function again() {
  if (page.dataset.state === "feedback") return place.querySelector("[data-continue]").click();
  return outbox.entries.length ? outbox.retry() : next();
}

function leave(kind, path, body, id = uuid()) {
  const { assignment } = desk.form.dataset;
  draft.stop();
  recent.give(desk.form, id, kind);
  rest.add(desk.attention.take());
  if (outbox.entries.length === 0) strip.settle();
  outbox.add({ id, kind, path: `assignments/${assignment}/${path}`, body, assignment });
  recent.add(assignment);
  tabs?.postMessage(assignment);
  if (!(desk.isTraining && kind === "answer")) return advance();
  strip.state = "submitting";
  return say(gettext("Saving…"));
}

export function skip(reason) {
  desk.form.querySelector("[data-skip]").open = false;
  leave("skip", "skip/", { reason, active_ms: desk.attention.activeMs });
}

export async function flag() {
  const { assignment } = desk.form.dataset;
  const note = await askNote(new NoteDraft(desk.form, labeler));
  if (!note) return;
  outbox.add({ id: uuid(), kind: "flag", path: `assignments/${assignment}/flag/`, body: { note }, assignment });
  sayOfThis(gettext("Flagged. An admin will look at it; answer as usual."), "good");
}

/** How the server knows an act that is taken back. */
const named = ({ id, kind, form }) => (kind === "skip" ? { assignment: Number(form.dataset.assignment) } : { client_uuid: id });

/** Take the newest answer or skip back. What is still in the outbox needs no server for that. */
export function undo() {
  const { last } = recent;
  if (!last || !outbox.has(last.id)) return undoOnServer(last);
  const wasSent = !outbox.withdraw(last.id);
  const { assignment } = last.form.dataset;
  if (wasSent) outbox.add({ id: uuid(), kind: UNDO[last.kind], path: "judgments/undo/", body: named(last), assignment: "", reopens: assignment });
  recent.takeBack(last.id);
  last.form.elements.client_uuid.value = uuid();
  reopen(last.form, last.kind === "skip" ? gettext("What you skipped is open again.") : gettext("Your last judgment is open again."));
  return deck.drop(assignment);
}

/** What is asked already is answered first: the key is not lost for that. */
async function undoOnServer(last) {
  if (desk.isUndoing || !desk.canUndo) return;
  desk.isUndoing = true;
  await desk.asking;
  await ask("judgments/undo/", {
    body: last ? named(last) : {},
    done: (reply) => takenBack(last, reply),
    wrong: notTakenBack,
  });
  desk.isUndoing = false;
}

function takenBack(last, reply) {
  recent.takeBack(last?.id);
  deck.merge(reply, onTheDesk());
  const form = deck.take(String(reply.reopened));
  if (form) reopen(Object.assign(form, reply.was_skipped ? { readMs: last?.form.readMs } : READ), reply.message);
  merge(reply);
  if (!form) say(reply.message);
}

function notTakenBack(error) {
  desk.canUndo = desk.isPaused || !(error instanceof Refused);
  showUndo();
  failed(error);
}

/** Show this one again; what was in hand comes after it. */
function reopen(form, words) {
  if (desk.form) {
    saveDraft(desk.form, labeler);
    deck.putBack(desk.form);
  }
  recent.forget(form.dataset.assignment);
  begin(form);
  goToFirst(form);
  desk.canUndo = true;
  sayOfThis(words);
}

export async function extend() {
  const { form } = desk;
  try {
    const reply = await call(`${api}assignments/${form.dataset.assignment}/lease/`);
    leaseFor(form, reply.seconds_left);
    beginLease(form);
    sayOfThis(gettext("You have more time."), "good");
  } catch (error) {
    failed(error);
  }
}

function onInput() {
  markRow(desk.form);
  watchReading();
  draft.later(desk.form);
}

// --- Watching ------------------------------------------------------------------------------------------------------

/** The verdict unlocks when it is whole, all responses have been in view and the minimal reading time has passed. */
export function watchReading() {
  if (!inHand()) return;
  const isReady = desk.attention.isUnlocked && !whatIsMissing(desk.form);
  desk.form.querySelector("[data-submit]").setAttribute("aria-disabled", String(!isReady));
}
