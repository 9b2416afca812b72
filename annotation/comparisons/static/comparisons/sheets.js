// The flag of the bench and the feedback that follows a training answer.
import { gettext, interpolate } from "../ui/gettext.js";
import { answerOf } from "./answer.js";
import { asked, byId } from "./dialogs.js";

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
