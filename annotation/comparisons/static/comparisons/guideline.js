// The guideline that the labeler has before them. Its version goes with every answer; a newer one takes its place on the
// open page, and is told of until it was looked at, over reloads too.
import { gettext, interpolate } from "../ui/gettext.js";
import { read, write } from "./store.js";

export class Guideline {
  #sheet = document.getElementById("guideline");
  #button = document.querySelector("[data-open=guideline]");
  #key;
  #say;
  #seenAt;
  #isAsking = false;

  /** `key`: the one that opens it. `say` tells the labeler. This browser keeps the version that they looked at last. */
  constructor(key, say, labeler) {
    this.#key = key.toUpperCase();
    this.#say = say;
    this.#seenAt = `concord.guideline.${labeler}.${this.#sheet.dataset.url}`;
    const seen = read(this.#seenAt) ?? Number(this.#button.dataset.known);
    write(this.#seenAt, seen);
    if (this.version > seen) this.#markFresh(true);
  }

  /** The version on the page; 0 where the project has no guideline. */
  get version() {
    return Number(this.#sheet.dataset.version);
  }

  open() {
    if (this.version === 0) return this.#say(gettext("This project has no guideline yet."));
    this.#markFresh(false);
    write(this.#seenAt, this.version);
    return this.#sheet.showModal();
  }

  /** The server's newest version. What cannot be fetched now is asked for with its next answer. */
  async learn(newest) {
    if (newest <= this.version || this.#isAsking) return;
    this.#isAsking = true;
    const sheet = await fetched(this.#sheet.dataset.url).catch(() => null);
    this.#isAsking = false;
    if (Number(sheet?.dataset.version) > this.version) this.#replace(sheet);
  }

  #replace(sheet) {
    this.#sheet.replaceChildren(...sheet.children);
    this.#sheet.dataset.version = sheet.dataset.version;
    if (this.#sheet.open) {
      write(this.#seenAt, this.version);
      return this.#sheet.querySelector("button").focus();
    }
    this.#markFresh(true);
    const words = interpolate(gettext("The guideline has changed: press %(key)s."), { key: this.#key });
    return this.#say(words, "news", () => (this.#fresh.hidden ? "" : words));
  }

  get #fresh() {
    return this.#button.querySelector("[data-fresh]");
  }

  #markFresh(isFresh) {
    this.#button.hidden = false;
    this.#fresh.hidden = !isFresh;
  }
}

async function fetched(url) {
  const answer = await fetch(url);
  return new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("guideline");
}
