// Time in use, and whether every response has been in view. Idle, hidden and paused time do not count.
import { gettext, interpolate } from "../ui/gettext.js";

const IDLE_AFTER = 30_000;
const SEEN_SHARE = 0.15; // of a response, or
const SEEN_SCREEN = 0.3; // of the window, where a response is longer than that
const LOOK_AT = [0, 0.01, 0.02, 0.05, 0.1, SEEN_SHARE, 0.3, 1]; // shares at which the browser tells again

/** More than an edge of it: one that peeks in below another has not been looked at. */
const isSeen = (one) => one.intersectionRatio >= SEEN_SHARE || one.intersectionRect.height >= SEEN_SCREEN * innerHeight;

export class Attention {
  #form;
  #active;
  #last = performance.now();
  #used = performance.now();
  #read;
  #taken;

  constructor(form) {
    this.#form = form;
    this.#active = form.activeMs ?? 0; // it was in hand before
    this.#read = form.readMs ?? 0;
    this.#taken = this.#active;
    this.readingMs = Number(form.dataset.readingSeconds) * 1000;
    this.unseen = form.unseen ?? new Set(form.querySelectorAll("[data-candidate]"));
    this.observer = new IntersectionObserver(
      (entries) => entries.filter(isSeen).forEach((one) => this.unseen.delete(one.target)),
      { threshold: LOOK_AT },
    );
    this.unseen.forEach((one) => this.observer.observe(one));
  }

  used() {
    this.tick();
    this.#used = performance.now();
  }

  /** Reading takes visible time; work takes visible time in use. Neither runs behind a dialog. */
  tick() {
    const now = performance.now();
    const isBefore = document.visibilityState === "visible" && !document.querySelector("dialog[open]");
    if (isBefore) this.#read += now - this.#last;
    if (isBefore && now - this.#used < IDLE_AFTER) this.#active += now - this.#last;
    this.#last = now;
  }

  get activeMs() {
    this.tick();
    return Math.round(this.#active);
  }

  /** Milliseconds of work since they were last taken; 0 while they are fewer than `least`. */
  take(least = 0) {
    const ms = this.activeMs - this.#taken;
    if (ms < least) return 0;
    this.#taken += ms;
    return ms;
  }

  get isUnlocked() {
    this.tick();
    return this.unseen.size === 0 && this.#read >= this.readingMs;
  }

  get whyLocked() {
    if (this.unseen.size) return gettext("Look at every response first.");
    const seconds = Math.ceil((this.readingMs - this.#read) / 1000);
    return interpolate(gettext("Take a moment to read first: %(seconds)s s to go."), { seconds });
  }

  end() {
    Object.assign(this.#form, { activeMs: this.activeMs, readMs: this.#read, unseen: this.unseen });
    this.observer.disconnect();
  }
}
