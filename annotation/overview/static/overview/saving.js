// What the set-up says of saving: a field's complaint goes when the field is changed, and what did not reach the server is told.
import { gettext } from "../ui/gettext.js";

const COMPLAINT = ":scope > .notice.bad";
const side = document.getElementById("side");
document.querySelector(".step.on").scrollIntoView({ block: "nearest", inline: "center" }); // a phone shows three of the steps

function tell(text) {
  const notice = document.createElement("p");
  notice.className = "notice bad small";
  notice.setAttribute("role", "alert");
  notice.textContent = text;
  side.querySelector(COMPLAINT)?.remove();
  side.prepend(notice);
}

/** What is no longer so is hidden and keeps its place: the button that is being pressed must not move, nor the page get shorter. */
function settle(complaint) {
  complaint?.classList.add("past");
}

document.getElementById("step").addEventListener("change", ({ target }) => {
  const field = target.closest(".field.invalid");
  field?.classList.remove("invalid");
  settle(field?.querySelector(".errorlist"));
  settle(side.querySelector(COMPLAINT));
});
document.body.addEventListener("htmx:sendError", () => tell(gettext("Not saved: the server did not answer. Change the field again, or press a button below.")));
document.body.addEventListener("htmx:responseError", ({ detail }) => {
  const { status } = detail.xhr;
  tell(status < 500 ? gettext("Not saved: load the page anew to see why.") : gettext("Not saved: something broke on our side."));
});
