// What the set-up says of saving: a field's complaint goes when the field is changed, and what did not reach the server is told.
import { gettext } from "../ui/gettext.js";

const side = document.getElementById("side");
document.querySelector(".step.on").scrollIntoView({ block: "nearest", inline: "center" }); // a phone shows three of the steps

function tell(text) {
  const notice = document.createElement("p");
  notice.className = "notice bad small";
  notice.setAttribute("role", "alert");
  notice.textContent = text;
  settle();
  side.prepend(notice);
}

function settle() {
  side.querySelector(":scope > .notice.bad")?.remove();
}

document.getElementById("step").addEventListener("change", ({ target }) => {
  const field = target.closest(".field.invalid");
  field?.classList.remove("invalid");
  field?.querySelector(".errorlist")?.classList.add("past"); // it keeps its place: the button that is being pressed must not move
  settle();
});
document.body.addEventListener("htmx:sendError", () => tell(gettext("Not saved: the server did not answer. Change the field again, or press a button below.")));
document.body.addEventListener("htmx:responseError", ({ detail }) => {
  const { status } = detail.xhr;
  tell(status < 500 ? gettext("Not saved: load the page anew to see why.") : gettext("Not saved: something broke on our side."));
});
