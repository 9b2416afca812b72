// The strip above the bench: how far the labeler is, what waits to be sent, and one line that says what happens.
import { gettext, interpolate } from "../ui/gettext.js";
import { call } from "./outbox.js";

export class Strip {
  #page;
  #status;
  #progress;

  constructor(page) {
    this.#page = page;
    this.#status = page.querySelector("[data-status]");
    const { today, left, more } = page.querySelector("[data-count]").dataset;
    this.#progress = { judged_today: Number(today), remaining: Number(left), is_more: more !== "" };
  }

  /** Say it, politely to screen readers too. `kind`: "" | good | warn | bad. */
  say(text, kind = "") {
    if (this.#status.textContent !== text) this.#status.textContent = text;
    this.#status.parentElement.className = `say ${kind}`;
    this.#page.querySelector("[data-sign-in]").hidden = true;
  }

  /** An answer was given: what was said about it is over. That the one before was saved still holds. */
  settle() {
    if (this.#status.parentElement.className !== "say good") this.say("");
  }

  saySignedOut() {
    this.say(gettext("You are signed out. Your answers are kept here."), "bad");
    this.#page.querySelector("[data-sign-in]").hidden = false;
  }

  /** Say that what is in the outbox waits, and for how long. */
  sayWaiting(pause) {
    const why = navigator.onLine ? gettext("The server does not answer.") : gettext("You are offline.");
    this.say(interpolate(gettext("%(why)s Your answers are kept here; next try in %(seconds)s s."), { why, seconds: Math.round(pause / 1000) }), "warn");
  }

  /** The state of the page, for styles: loading, ready, waiting, feedback, empty. */
  set state(name) {
    this.#page.dataset.state = name;
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
    const { batch } = await call(`${api}batches/at-hand/`, { method: "GET" }).catch(() => ({}));
    if (batch !== undefined) this.#showBatch(batch);
  }

  #showBatch(batch) {
    const place = this.#page.querySelector("[data-batch]");
    place.hidden = !batch;
    if (!batch) return;
    place.querySelector("[data-batch-name]").textContent = batch.name;
    place.querySelector("[data-batch-count]").textContent = interpolate(gettext("%(judged)s of %(total)s judged"), batch);
  }

  #show(today, left, isMore) {
    const total = today + left;
    const words = left ? gettext("%(today)s of %(total)s today") : gettext("%(today)s done today");
    this.#page.querySelector("[data-count]").textContent = interpolate(words, { today, total: `${total}${isMore ? "+" : ""}` });
    Object.assign(this.#page.querySelector("[data-meter]"), { max: total || 1, value: today });
  }
}
