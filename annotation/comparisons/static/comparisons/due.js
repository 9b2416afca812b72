// When the work is due, in the reader's zone and way of writing.
import { gettext, interpolate } from "../ui/gettext.js";

const A_DAY = 24 * 3_600_000;
const DAY = { day: "numeric", month: "short" };
const HOUR = { weekday: "short", hour: "numeric", minute: "2-digit" };
const FULL = { dateStyle: "full", timeStyle: "short" };

/** A zone as this browser knows it; its own where it does not, or where the reader's is not known yet. */
function known(timeZone) {
  try {
    return timeZone && new Intl.DateTimeFormat("en", { timeZone }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

/** The day in `place`, or the hour where it is near; nothing without a deadline. */
export function showDue(place, deadline = place.dateTime) {
  place.hidden = deadline === "";
  place.dateTime = deadline;
  if (place.hidden) return;
  const left = Date.parse(deadline) - Date.now();
  const timeZone = known(place.dataset.zone || undefined);
  const { lang } = document.documentElement;
  const written = (how) => new Intl.DateTimeFormat(lang === "en" ? "en-GB" : lang, { ...how, timeZone }).format(new Date(deadline));
  const day = new Date(deadline).getFullYear() === new Date().getFullYear() ? DAY : { ...DAY, year: "numeric" };
  const words = left < 0 ? gettext("was due %(when)s") : gettext("due %(when)s");
  place.textContent = interpolate(words, { when: written(Math.abs(left) < A_DAY ? HOUR : day) });
  place.title = written(FULL);
  place.classList.toggle("over", left < 0);
}
