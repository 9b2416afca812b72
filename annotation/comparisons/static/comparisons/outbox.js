// Sending so that nothing is lost: each act waits in the browser, in order, until the server has taken or refused it.
// An act is one entry of its own in the storage, so that two tabs never write over each other.
import { gettext, interpolate } from "../ui/gettext.js";
import { keysOf, read, remove, write } from "./store.js";

const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;
const TRIES = 3; // of an act that the server fails on, before the others go first
const LONGEST_KEPT_ALIVE = 60_000; // bytes: what a browser still sends after the page is left
const SIGNED_OUT = new Set(["not_authenticated", "authentication_failed", "permission_denied"]);
const ANOTHER = "signed_in_as_another";

/** An answer that will not change by asking again. */
export class Refused extends Error {}

/** The browser has no session, or one of somebody else: what waits is kept for whom this page belongs to. */
export class SignedOut extends Error {}

/** A fault of the server or on the way to it: this act may fail again, others need not. */
class Failed extends Error {}

/** Drawn here and not by crypto.randomUUID, which plain http does not have. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** The token of the session as it is now: the cookie is fresh after signing in again in another tab. */
function token() {
  const cookie = document.cookie.split("; ").find((one) => one.startsWith("csrftoken="));
  return cookie ? cookie.slice("csrftoken=".length) : document.querySelector("[name=csrfmiddlewaretoken]").value;
}

/**
 * One request to the API, for whom this page belongs to: the server answers nobody else. Where something on the way
 * answers in its place (the sign-in page of a network, a proxy), nothing was taken and nothing refused.
 */
export async function call(url, { method = "POST", body } = {}) {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const answer = await fetch(url, {
    method,
    redirect: "error",
    headers: { "Content-Type": "application/json", "X-CSRFToken": token(), "X-Page-Of": document.body.dataset.user },
    body: text,
    keepalive: (text?.length ?? 0) < LONGEST_KEPT_ALIVE,
  });
  const data = await answer.json().catch(() => null);
  if (answer.ok && data === null) throw new TypeError("Something else answered."); // as fetch throws without a connection
  if (answer.ok) return data;
  const { code, message = interpolate(gettext("The server answered %(status)s."), { status: answer.status }) } = data?.error ?? {};
  if (code === ANOTHER) throw new SignedOut(message);
  if (SIGNED_OUT.has(code)) throw new SignedOut(gettext("You are signed out."));
  if (answer.status >= 500 || !code) throw new Failed(message);
  if (answer.status === 429) throw new Error(message);
  throw new Refused(message);
}

export class Outbox {
  #prefix;
  #on;
  #isRunning = false;
  #retry = () => {};
  #mine = new Set();
  #count = 0;
  #pause = FIRST_WAIT;

  /** `on`: url(entry), taken(entry, reply), refused(entry, error), waiting(error, pause), changed(). */
  constructor(prefix, on) {
    this.#prefix = prefix;
    this.#on = on;
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => this.retry());
    addEventListener("storage", (event) => { if (event.key?.startsWith(prefix)) this.#fromOtherTab(); });
  }

  get entries() {
    return keysOf(this.#prefix).map((key) => ({ key, ...read(key) })).filter((one) => one.id);
  }

  /** Whether this tab keeps it: what the server answers then comes to this tab, or it is told. */
  isMine(id) {
    return this.#mine.has(id);
  }

  has(id) {
    return this.entries.some((one) => one.id === id);
  }

  /** Keep an act {id, kind, path, body, assignment} and send it when its turn comes. */
  add(entry) {
    this.#mine.add(entry.id);
    this.#keep({ ...entry, at: Date.now() });
    this.#on.changed();
    this.run();
  }

  /** As the last in the order. */
  #keep(act) {
    this.#count += 1;
    const turn = `${Date.now()}`.padStart(15, "0") + `${this.#count}`.padStart(6, "0");
    write(`${this.#prefix}${turn}.${act.id}`, act);
  }

  /** Take back what was never tried; false if the server may have it. */
  withdraw(id) {
    const entry = this.entries.find((one) => one.id === id);
    if (!entry || entry.isTried) return false;
    this.#drop(entry);
    return true;
  }

  /** Do not wait any longer. */
  retry() {
    this.#retry();
    this.run();
  }

  async run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    await alone(this.#prefix, async () => {
      for (let entry = this.entries[0]; entry; entry = this.entries[0]) await this.#deliver(entry);
    });
    this.#isRunning = false;
  }

  async #deliver(entry) {
    const { key, ...act } = entry;
    write(key, { ...act, isTried: true });
    for (let tries = 1; read(key); tries += 1) {
      try {
        const reply = await call(this.#on.url(act), { body: { ...act.body, age_ms: age(act) } });
        this.#drop(entry);
        this.#pause = FIRST_WAIT;
        return this.#on.taken(act, reply);
      } catch (error) {
        if (error instanceof Refused) {
          this.#drop(entry);
          return this.#on.refused(act, error);
        }
        this.#on.waiting(error, this.#pause);
        await new Promise((done) => { this.#retry = done; setTimeout(done, this.#pause); });
        this.#pause = Math.min(this.#pause * 2, LONGEST_WAIT);
        if (error instanceof Failed && tries >= TRIES) return this.#letOthersGoFirst(entry);
      }
    }
    return undefined;
  }

  /** One act that the server fails on holds up nothing but what follows on the same assignment. */
  #letOthersGoFirst(entry) {
    const same = this.entries.filter((one) => chainOf(one) === chainOf(entry));
    for (const { key, ...act } of same) {
      this.#keep(act);
      remove(key);
    }
  }

  #drop(entry) {
    this.#mine.delete(entry.id);
    remove(entry.key);
    this.#on.changed();
  }

  /** Another tab has sent what this one kept: the reply went there, so ask. */
  #fromOtherTab() {
    const waiting = new Set(this.entries.map((one) => one.id));
    const gone = [...this.#mine].filter((id) => !waiting.has(id));
    gone.forEach((id) => this.#mine.delete(id));
    this.#on.changed();
    if (gone.length) this.#on.sentElsewhere();
  }
}

/** What must be sent in order: an answer, its undo and the answer after that name one assignment. */
const chainOf = ({ assignment, reopens }) => `${assignment || reopens}`;

/** Milliseconds since it was given: what an act took does not shrink to nothing where many are sent at once. */
const age = ({ at = Date.now() }) => Math.max(0, Date.now() - at);

/** One tab sends at a time. Without locks (plain http) each may: the server knows a replay by its UUID. */
const alone = (name, work) => (navigator.locks ? navigator.locks.request(name, work) : work());
