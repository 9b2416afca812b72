// The dialogs of the bench (flag, break) and the feedback that follows a training answer.
import { gettext, interpolate, ngettext } from "../ui/gettext.js";
import { answerOf } from "./answer.js";

const HOLD = 1000; // milliseconds
const byId = (id) => document.getElementById(id);

export const openSheet = (id) => byId(id)?.showModal();

/** What the person chose in the dialog; "" where it was left by Escape. */
export function asked(id) {
  const sheet = byId(id);
  sheet.returnValue = "";
  sheet.showModal();
  return new Promise((done) => { sheet.addEventListener("close", () => done(sheet.returnValue), { once: true }); });
}

/** Ask for the note of a flag, kept in its draft until it is sent; "" if there is none. */
export async function askNote(draft) {
  const field = byId("flag").querySelector("textarea");
  field.value = draft.text;
  field.oninput = () => { draft.text = field.value; };
  if ((await asked("flag")) !== "send") return "";
  draft.text = "";
  return field.value.trim();
}

/** Ctrl+Enter sends a dialog from its text field. */
export function bindSheets(root) {
  root.addEventListener("keydown", (event) => {
    const form = event.target.closest("dialog form");
    if (event.key === "Enter" && event.ctrlKey && form) form.requestSubmit(form.querySelector("[value=send]"));
  });
}

/** Enter that was on its way to what lay below does not choose in the dialog that has just come. */
function holdEnter(sheet) {
  const until = Date.now() + HOLD;
  const hold = (event) => { if (event.key === "Enter" && Date.now() < until) event.preventDefault(); };
  sheet.addEventListener("keydown", hold);
  sheet.addEventListener("close", () => sheet.removeEventListener("keydown", hold), { once: true });
}

export async function askForBreak(rest) {
  const { minutes } = rest;
  const words = ngettext("You have worked for %(minutes)s minute.", "You have worked for %(minutes)s minutes.", minutes);
  byId("break").querySelector("[data-minutes]").textContent = interpolate(words, { minutes });
  holdEnter(byId("break"));
  if ((await asked("break")) === "rested") rest.rested();
  else rest.snooze();
}

const nameOf = (form, id) => form.querySelector(`[data-candidate="${id}"]`).getAttribute("aria-label");

/** A verdict in words: "Response B, then Response A". */
function verdictWords(form, { ranking, is_all_bad: isAllBad }) {
  if (isAllBad || !ranking.length) return gettext("All are bad");
  const tiers = ranking.map((tier) => tier.map((id) => nameOf(form, id)).join(" = "));
  return tiers.length === 1 ? interpolate(gettext("About the same: %(names)s"), { names: tiers[0] }) : tiers.join(gettext(", then "));
}

/** Show how a training answer was, below its responses; resolves when the person goes on. */
export function showFeedback(form, feedback) {
  const panel = byId("feedback").content.firstElementChild.cloneNode(true);
  panel.classList.add(feedback.is_right ? "good" : "bad");
  panel.querySelector("[data-verdict]").textContent = verdictWords(form, feedback);
  panel.querySelector("[data-own]").textContent = verdictWords(form, answerOf(form));
  panel.querySelector("[data-mine]").hidden = feedback.is_right;
  panel.querySelector("[data-message]").textContent = feedback.message;
  form.querySelector(".bar").replaceWith(panel);
  panel.querySelector("button").focus();
  return new Promise((done) => { panel.querySelector("button").addEventListener("click", done, { once: true }); });
}
