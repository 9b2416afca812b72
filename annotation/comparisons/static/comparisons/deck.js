// The comparisons that wait on the page, leased and laid out off-screen, so that the next is there at once.
import { leaseFor, leaseLeft } from "./lease.js";

const SOON = 20_000; // a lease that ends sooner is not begun

export class Deck {
  #place;

  constructor(place) {
    this.#place = place;
    for (const template of place.querySelectorAll("template")) {
      this.#append(template.innerHTML);
      template.remove();
    }
  }

  get forms() {
    return [...this.#place.children];
  }

  get ids() {
    return this.forms.map((form) => form.dataset.assignment);
  }

  /** What the server leased: adds what is new, drops what is lost. `elsewhere`: ids shown or answered already. */
  merge({ leases, assignment, ahead }, elsewhere) {
    const left = new Map(leases.map((one) => [String(one.id), one.seconds_left]));
    for (const form of this.forms) if (!left.has(form.dataset.assignment)) form.remove();
    for (const form of this.forms) leaseFor(form, left.get(form.dataset.assignment));
    const known = new Set([...elsewhere, ...this.ids]);
    const found = assignment ? [assignment, ...ahead] : ahead;
    for (const one of found) if (!known.has(String(one.id))) this.#append(one.bench);
  }

  /** The one that comes next, off the deck; null if there is none. */
  take(id = "") {
    const fits = (form) => (id ? form.dataset.assignment === id : leaseLeft(form) > SOON);
    const form = this.forms.find(fits) ?? null;
    form?.remove();
    return form;
  }

  /** Put one back in front, to come next. */
  putBack(form) {
    this.#place.prepend(form);
  }

  drop(id) {
    this.forms.find((form) => form.dataset.assignment === id)?.remove();
  }

  #append(html) {
    const form = new DOMParser().parseFromString(html, "text/html").querySelector("[data-bench]");
    leaseFor(form, form.dataset.leaseSeconds);
    this.#place.append(document.adoptNode(form));
  }
}
