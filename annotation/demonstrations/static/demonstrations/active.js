// Time in use: visible, and used within the last half minute. Counted on from one page load to the next by the server.
const IDLE_AFTER = 30_000;

export class ActiveTime {
  #active = 0;
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
    if (document.visibilityState === "visible" && now - this.#used < IDLE_AFTER) this.#active += now - this.#last;
    this.#last = now;
  }

  /** Milliseconds since they were last taken. */
  take() {
    this.#tick();
    const taken = Math.round(this.#active);
    this.#active = 0;
    return taken;
  }

  giveBack(milliseconds) {
    this.#active += milliseconds;
  }
}
