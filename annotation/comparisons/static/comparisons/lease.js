// The lease of the comparison in hand: how long it lasts, and the warning before it ends.
import { gettext, interpolate } from "../ui/gettext.js";

const WARN_BEFORE = 90_000;

/** The lease by the server's count of seconds: the clock of this computer may be wrong. */
export function leaseFor(form, seconds) {
  form.leaseEnds = Date.now() + Number(seconds) * 1000;
}

export const leaseLeft = (form) => form.leaseEnds - Date.now();

/** Nothing was said about this lease yet. */
export function beginLease(form) {
  form.isWarned = false;
  form.querySelector("[data-extend]").hidden = true;
}

/** Say that the lease nears its end, once, or that it ended, while that is so. `key`: the one that asks for more time. */
export function watchLease(form, key, say) {
  const left = leaseLeft(form);
  if (left > WARN_BEFORE) return;
  form.querySelector("[data-extend]").hidden = left <= 0;
  if (left <= 0) say(gettext("Your time for this comparison ended. Your answer will be kept, but may not be counted."), "bad", () => leaseLeft(form) <= 0);
  else if (!form.isWarned) say(interpolate(gettext("Little time is left for this comparison: press %(key)s for more."), { key: key.toUpperCase() }), "warn", () => leaseLeft(form) <= WARN_BEFORE);
  form.isWarned = true;
}
