// The strip above the bench: how far the labeler is, what is due, what waits to be sent, whether the server is reached,
// and one line that says what happens.
import { gettext, interpolate } from "../ui/gettext.js";
import { showDue } from "./due.js";
import { keepFitting } from "./fit.js";
import { call } from "./outbox.js";

export class Strip {
  #page;
  #status;
  #progress;
  #isReached = true;
  #now = null; // what is true of the line said last; null while it says nothing that ends

  constructor(page) {
    this.#page = page;
    this.#status = page.querySelector("[data-status]");
    const { today, left, more } = page.querySelector("[data-count]").dataset;
    this.#progress = { judged_today: Number(today), remaining: Number(left), is_more: more !== "" };
    showDue(page.querySelector("[data-due]"));
    this.showLink();
    keepFitting(this.#status);
  }

  /** Say it, politely to screen readers too. `kind`: "" | good | news | warn | bad. `now()`: the same as it is later, "" once it is over. */
  say(text, kind = "", now = null) {
    this.#now = now;
    this.#status.setAttribute("aria-live", "polite");
    if (this.#status.textContent !== text) this.#status.textContent = text;
    this.#status.parentElement.className = `say ${kind}`;
    this.#page.querySelector("[data-sign-in]").hidden = true;
  }

  /** Let the line go once it is no longer true; seconds in it go down, and are not read out each time. */
  refresh() {
    const text = this.#now ? this.#now() : this.#status.textContent;
    if (text === this.#status.textContent) return;
    if (!text) return this.say("");
    this.#status.setAttribute("aria-live", "off");
    this.#status.textContent = text;
  }

  /** Say it unless something of these kinds was said last, which is of more use. */
  mention(text, kind, kept, now) {
    if (!kept.some((one) => this.#status.parentElement.classList.contains(one))) this.say(text, kind, now);
  }

  /** An answer was given: what was said about it is over. That the one before was saved still holds. */
  settle() {
    if (this.#status.parentElement.className !== "say good") this.say("");
  }

  /** `why`: that nobody is signed in, or who is. */
  saySignedOut(why) {
    const words = `${why} ${gettext("Your answers are kept here until you sign in again.")}`;
    this.sayUntilReached(() => words, "bad");
    this.#page.querySelector("[data-sign-in]").hidden = false;
  }

  /** Say that what is in the outbox waits, and for how long. */
  sayWaiting(pause) {
    const why = navigator.onLine ? gettext("The server does not answer.") : gettext("You are offline.");
    const next = Date.now() + pause;
    const seconds = () => Math.max(1, Math.round((next - Date.now()) / 1000));
    this.sayUntilReached(() => interpolate(gettext("%(why)s Your answers are kept here; next try in %(seconds)s s."), { why, seconds: seconds() }), "warn");
  }

  sayUntilReached(words, kind) {
    this.say(words(), kind, () => (this.#isReached ? "" : words()));
  }

  /** Whether the server took what was sent last, or asked for. */
  set isReached(is) {
    this.#isReached = is;
    this.showLink();
  }

  get isReached() {
    return this.#isReached;
  }

  /** The dot: by what the browser knows of the network, and by whether the server is reached. */
  showLink() {
    const dot = this.#page.querySelector("[data-link]");
    const [link, words] = this.#linkNow();
    dot.dataset.link = link;
    for (const name of ["aria-label", "title"]) dot.setAttribute(name, words);
  }

  #linkNow() {
    if (!navigator.onLine) return ["offline", gettext("Offline")];
    return this.#isReached ? ["online", gettext("Connected")] : ["waiting", gettext("Not connected: trying again")];
  }

  /** The state of the page, for styles: loading, ready, waiting, feedback, empty. */
  set state(name) {
    this.#page.dataset.state = name;
    this.refresh();
  }

  /** What the server counted, and how many answers are on their way on top of that. */
  showProgress(progress, unsent) {
    this.#progress = progress ?? this.#progress;
    const chip = this.#page.querySelector("[data-unsent]");
    chip.hidden = unsent.length === 0;
    chip.textContent = interpolate(gettext("%(count)s to send"), { count: unsent.length });
    const given = unsent.filter((one) => one.kind === "answer").length - unsent.filter((one) => one.kind === "undo").length;
    this.#show(this.#progress.judged_today + given, Math.max(0, this.#progress.remaining - given), this.#progress.is_more);
  }

  /** How far the batch is: others work on it too. What cannot be asked now is asked at the next turn. */
  async watchBatch(api) {
    if (document.visibilityState !== "visible") return;
    const { batch, deadline } = await call(`${api}batches/at-hand/`, { method: "GET" }).catch(() => ({}));
    if (batch === undefined) return;
    this.#showBatch(batch);
    showDue(this.#page.querySelector("[data-due]"), deadline ?? "");
    this.#page.querySelector("[data-batch]").hidden = !batch && !deadline;
  }

  #showBatch(batch) {
    const name = this.#page.querySelector("[data-batch-name]");
    name.textContent = name.title = batch?.name ?? "";
    const words = gettext("%(judged)s of %(total)s complete");
    this.#page.querySelector("[data-batch-count]").textContent = batch ? interpolate(words, batch) : "";
  }

  #show(today, left, isMore) {
    const words = left ? gettext("%(today)s today, %(left)s left") : gettext("%(today)s done today");
    this.#page.querySelector("[data-count]").textContent = interpolate(words, { today, left: `${left}${isMore ? "+" : ""}` });
    Object.assign(this.#page.querySelector("[data-meter]"), { max: today + left || 1, value: today });
  }
}
