// Time in use, and whether every response has been in view. Idle, hidden and paused time do not count.
import { gettext } from "../ui/gettext.js";

const IDLE_AFTER = 30_000;
const SEEN_SHARE = 0.15;

export class Attention {
  #form;
  #active;
  #last = performance.now();
  #used = performance.now();
  #read = 0;

  constructor(form) {
    this.#form = form;
    this.#active = form.activeMs ?? 0; // it was in hand before
    this.readingMs = Number(form.dataset.readingSeconds) * 1000;
    this.unseen = new Set(form.querySelectorAll("[data-candidate]"));
    this.observer = new IntersectionObserver(
      (entries) => entries.filter((one) => one.isIntersecting).forEach((one) => this.unseen.delete(one.target)),
      { threshold: [0, SEEN_SHARE] },
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

  get isUnlocked() {
    this.tick();
    return this.unseen.size === 0 && this.#read >= this.readingMs;
  }

  get whyLocked() {
    return this.unseen.size ? gettext("Look at every response first.") : gettext("Take a moment to read first.");
  }

  end() {
    this.#form.activeMs = this.activeMs;
    this.observer.disconnect();
  }
}
