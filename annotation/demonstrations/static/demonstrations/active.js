// Time in use: visible, and used within the last half minute. Counted on from one page load to the next by the server.
const IDLE_AFTER = 30_000;

export class ActiveTime {
  #active = 0;
  #taken = 0;
  #last = performance.now();
  #used = performance.now();

  constructor() {
    for (const name of ["keydown", "pointerdown", "scroll", "input"]) {
      document.addEventListener(name, () => { this.#tick(); this.#used = performance.now(); }, { passive: true, capture: true });
    }
    document.addEventListener("visibilitychange", () => this.#tick());
  }

  #tick() {
    const now = performance.now();
    const isBefore = document.visibilityState === "visible" && !document.querySelector("dialog[open]");
    if (isBefore && now - this.#used < IDLE_AFTER) this.#active += now - this.#last;
    this.#last = now;
  }

  /** Milliseconds on this page. */
  get ms() {
    this.#tick();
    return Math.round(this.#active);
  }

  /** Milliseconds since they were last taken. */
  take() {
    const taken = this.ms - this.#taken;
    this.#taken += taken;
    return taken;
  }

  giveBack(milliseconds) {
    this.#taken -= milliseconds;
  }
}
