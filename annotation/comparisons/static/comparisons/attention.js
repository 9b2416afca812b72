// Time in use, and whether every response has been in view. Idle and hidden time do not count.
const IDLE_AFTER = 30_000;
const SEEN_SHARE = 0.15;

export class Attention {
  #active = 0;
  #last = performance.now();
  #used = performance.now();

  constructor(form) {
    this.started = performance.now();
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

  tick() {
    const now = performance.now();
    const isInUse = document.visibilityState === "visible" && now - this.#used < IDLE_AFTER;
    if (isInUse) this.#active += now - this.#last;
    this.#last = now;
  }

  get activeMs() {
    this.tick();
    return Math.round(this.#active);
  }

  get isUnlocked() {
    return this.unseen.size === 0 && performance.now() - this.started >= this.readingMs;
  }

  get whyLocked() {
    return this.unseen.size ? "Look at every response first." : "Take a moment to read first.";
  }

  end() {
    this.observer.disconnect();
  }
}
