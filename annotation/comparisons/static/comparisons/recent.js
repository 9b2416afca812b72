// What was answered or skipped last: the forms on this page, so that it can be taken back, and the ids in this browser, since
// a page that was loaded meanwhile may still show one.
import { read, write } from "./store.js";

const FORMS = 5; // acts that can be taken back without asking the server for their texts
const IDS = 10;

export class Recent {
  #key;
  #given = []; // {form, id, kind}, newest last; kind: answer | skip

  constructor(key) {
    this.#key = key;
  }

  /** The newest act of this page; undefined if there is none. */
  get last() {
    return this.#given.at(-1);
  }

  give(form, id, kind) {
    this.#given = [...this.#given, { form, id, kind }].slice(-FORMS);
  }

  /** It does not stand: undone, or never taken. */
  takeBack(id) {
    this.#given = this.#given.filter((one) => one.id !== id);
  }

  /** Assignments that left this browser, answered or skipped. */
  get ids() {
    return read(this.#key) ?? [];
  }

  add(assignment) {
    write(this.#key, [...this.ids, assignment].slice(-IDS));
  }

  forget(assignment) {
    write(this.#key, this.ids.filter((one) => one !== assignment));
  }
}
