// The writer's desk: keeps the draft here and on the server, shows what stands beside the text, sends it to review.
import { keepFitting } from "../comparisons/fit.js";
import { Rest, askForBreak } from "../comparisons/rest.js";
import { gettext, interpolate } from "../ui/gettext.js";
import { ActiveTime } from "./active.js";
import { Draft } from "./draft.js";
import { bindEmptyDesk, bindKeys } from "./keys.js";
import { Panes } from "./panes.js";

const COUNT_EVERY = 10_000;
const page = document.querySelector("[data-writing]");

function say(text, tone = "", isSignedOut = false) {
  document.querySelector("[data-sign-in]").hidden = !isSignedOut;
  document.querySelector("[data-status]").textContent = text;
  document.querySelector(".say").className = `say ${tone}`;
}

function bindCount(desk, field) {
  const button = desk.querySelector("[data-count]");
  const words = () => {
    const isOn = button.getAttribute("aria-pressed") === "true";
    const count = field.value.trim() ? field.value.trim().split(/\s+/).length : 0;
    button.firstChild.textContent = isOn ? `${interpolate(gettext("Words: %(count)s"), { count })} ` : button.dataset.label;
  };
  button.hidden = false;
  button.dataset.label = button.firstChild.textContent;
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    words();
  });
  field.addEventListener("input", words);
}

/** Counts the time in use; what it gives proposes a break where one is due. */
function watchRest(time) {
  const rest = new Rest(document.body.dataset.user, page.dataset.breakAfter);
  let counted = 0;
  setInterval(() => {
    const ms = time.ms - counted;
    if (ms < COUNT_EVERY) return;
    rest.add(ms);
    counted += ms;
  }, 1_000);
  return () => { if (rest.isDue && !document.querySelector("dialog[open]")) askForBreak(rest); };
}

function start() {
  const desk = page.querySelector("[data-desk]");
  const field = desk.querySelector("[data-text]");
  const time = new ActiveTime();
  const proposeBreak = watchRest(time);
  const draft = new Draft({ page, desk, field, time, say, paused: proposeBreak });
  const panes = new Panes({ page, desk, field });
  bindCount(desk, field);
  document.querySelector('[data-open="keys"]').hidden = false;
  desk.addEventListener("submit", (event) => {
    const act = event.submitter?.value;
    if (event.submitter?.name === "reason") return draft.leave();
    event.preventDefault();
    if (act === "save") draft.save();
    else draft.submit();
  });
  bindKeys({ page, desk, field, draft, panes });
  draft.restore();
  panes.show(desk.hasAttribute("data-edit") ? "original" : "preview");
  if (!desk.hasAttribute("data-edit")) field.setSelectionRange(field.value.length, field.value.length); // one goes on where the text ends
  field.focus({ preventScroll: true });
  proposeBreak();
}

keepFitting(document.querySelector("[data-status]"));
if (page) start();
else bindEmptyDesk();
