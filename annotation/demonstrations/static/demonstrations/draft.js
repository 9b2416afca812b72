// The draft: in this browser at each key, on the server two seconds after the last one; sent until it is taken or refused.
import { Refused, SignedOut, call } from "../comparisons/outbox.js";
import { gettext } from "../ui/gettext.js";

const SAVE_AFTER = 2_000;
const LONGEST_WAIT = 30_000;

const storage = () => {
  try {
    return window.localStorage;
  } catch {
    return null; // storage is switched off: drafts go to the server only
  }
};

const online = (ms) => new Promise((done) => { setTimeout(done, ms); addEventListener("online", done, { once: true }); });

/** What holds the text up, and what becomes of it. `offline`: the words where the connection is away, which fetch tells by a TypeError. */
function why(error, offline) {
  if (error instanceof TypeError) return offline;
  return error instanceof SignedOut ? `${error.message} ${gettext("Your text is kept here until you sign in again.")}` : error.message;
}

export class Draft {
  #timer = 0;
  #saving = null;
  #sending = false;

  /** `paused` hears of every draft that is saved: nobody types just then. */
  constructor({ page, desk, field, time, say, paused }) {
    Object.assign(this, { page, desk, field, time, say, paused });
    this.key = `concord.writing.${document.body.dataset.user}.${desk.dataset.demonstration}`;
    this.url = `${page.dataset.api}mine/${desk.dataset.demonstration}/`;
    this.saved = field.value;
    field.addEventListener("input", () => this.#typed());
    addEventListener("online", () => { if (field.value !== this.saved) this.save(); });
  }

  /** Text that the server never got, from an earlier page in this browser. */
  restore() {
    const kept = storage()?.getItem(this.key);
    if (kept === null || kept === undefined || kept === this.field.value) return;
    this.field.value = kept;
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
    this.say(gettext("Restored what was not saved yet."), "warn");
  }

  #typed() {
    storage()?.setItem(this.key, this.field.value);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.save(), SAVE_AFTER);
  }

  /** Save now; a save under way is followed by another if the text moved on. */
  async save() {
    clearTimeout(this.#timer);
    if (this.#sending) return;
    if (this.#saving) { await this.#saving; if (this.field.value === this.saved) return; }
    this.#saving = this.#put();
    await this.#saving;
    this.#saving = null;
  }

  async #put() {
    const text = this.field.value;
    const spent = this.time.take();
    try {
      await call(`${this.url}draft/`, { method: "PUT", body: { text, active_ms: spent } });
      this.#keep(text);
      this.say(gettext("Draft saved."));
      this.paused();
    } catch (error) {
      this.time.giveBack(spent);
      if (error instanceof Refused) { this.say(error.message, "bad"); return; }
      this.#sayWaits(error, gettext("Not saved: kept in this browser, and saved when the connection is back."));
      this.#timer = setTimeout(() => this.save(), LONGEST_WAIT);
    }
  }

  #sayWaits(error, offline) {
    this.say(why(error, offline), "warn", error instanceof SignedOut);
  }

  #keep(text) {
    this.saved = text;
    if (this.field.value === text) storage()?.removeItem(this.key);
  }

  /** Send to review, again and again while the server cannot be reached; then on to the next. */
  async submit() {
    if (this.#sending) return;
    this.#sending = true;
    clearTimeout(this.#timer);
    await this.#saving;
    const body = { text: this.field.value, client_uuid: this.desk.elements.client_uuid.value, active_ms: this.time.take() };
    this.field.readOnly = true;
    this.say(gettext("Sending …"));
    try {
      await this.#deliver(body);
      storage()?.removeItem(this.key);
      location.assign(this.page.dataset.next);
    } catch (error) {
      this.#sending = false;
      this.field.readOnly = false;
      this.say(error.message, "bad");
      this.field.focus();
    }
  }

  async #deliver(body) {
    for (let pause = 1_000; ; pause = Math.min(pause * 2, LONGEST_WAIT)) {
      try {
        return await call(`${this.url}submission/`, { body });
      } catch (error) {
        if (error instanceof Refused) throw error;
        this.#sayWaits(error, gettext("Waiting for the connection: your text is kept here and sent when it is back."));
        await online(pause);
      }
    }
  }

  /** The form goes its plain way, with the time in it: nothing is to be saved behind its back. */
  leave() {
    clearTimeout(this.#timer);
    this.desk.elements.active_ms.value = this.time.take();
    storage()?.removeItem(this.key);
  }
}
