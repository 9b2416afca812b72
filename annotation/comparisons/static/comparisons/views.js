// How the responses are shown: read, raw, word diff; scrolling together; one at a time on a narrow screen.
import { gettext } from "../ui/gettext.js";
import { bindCriteria } from "./criteria.js";
import { bindMarks } from "./marks.js";
import { call, Refused } from "./outbox.js";
import { bindRanking } from "./ranking.js";

const pressed = (page, name) => page.querySelector(`[data-do="${name}"]`);

function setView(form, name) {
  for (const article of form.querySelectorAll("[data-view]")) article.hidden = article.dataset.view !== name;
}

/** Bring the word diff, unless the page came with it; the sentence that says why there is none, or "". */
async function loadDiff(page, form) {
  const { api } = page.dataset; // a preview has none to ask
  const places = [...form.querySelectorAll('[data-view="diff"]')];
  if (places.every((one) => one.firstChild)) return "";
  try {
    const { candidates } = api ? await call(`${api}assignments/${form.dataset.assignment}/diff/`, { method: "GET" }) : {};
    if (!candidates) return gettext("These are too different for a word diff.");
    for (const one of places) one.innerHTML = candidates[one.closest("[data-candidate]").dataset.candidate];
    return "";
  } catch (error) {
    return error instanceof Refused ? error.message : gettext("The word diff could not be loaded. Try again in a moment.");
  }
}

/** Toggle a view: `sync`, `raw` or `diff`. `say` tells why one cannot be shown. */
export async function showView(page, form, name, say) {
  const button = pressed(page, name);
  const isOn = button.getAttribute("aria-pressed") !== "true";
  if (name === "sync") return button.setAttribute("aria-pressed", String(isOn));
  const why = isOn && name === "diff" ? await loadDiff(page, form) : "";
  if (!page.querySelector("[data-place]").contains(form)) return undefined; // another is in hand meanwhile
  if (why) return say(why, "warn");
  for (const one of ["diff", "raw"]) pressed(page, one).setAttribute("aria-pressed", String(isOn && one === name));
  return setView(form, isOn ? name : "read");
}

/** Show what is blurred because someone found it upsetting, or blur it again. */
export const reveal = (form) => form.toggleAttribute("data-revealed");

let isPromptOpen = true;

/** Bind the views of a new bench; raw and a closed prompt stay from one comparison to the next, a diff does not. */
export function bindViews(page, form, say) {
  pressed(page, "diff").setAttribute("aria-pressed", "false");
  if (pressed(page, "raw").getAttribute("aria-pressed") === "true") setView(form, "raw");
  for (const button of page.querySelectorAll("[data-do]")) button.onclick = () => showView(page, form, button.dataset.do, say);
  for (const name of ["diff", "sync"]) pressed(page, name).hidden = !form.matches(".pair");
  bindTabs(form);
  bindRanking(form);
  bindCriteria(form);
  bindMarks(form, (text) => say(text, "warn"));
  const prompt = form.querySelector("[data-prompt]");
  prompt.open = isPromptOpen;
  prompt.ontoggle = () => { if (prompt.isConnected) isPromptOpen = prompt.open; };
  showNewestTurn(form.querySelector("[data-turns]"));
  const cards = form.matches(".pair") ? [...form.querySelectorAll("[data-candidate]")] : [];
  for (const card of cards) card.addEventListener("scroll", () => scrollTogether(page, cards, card), { passive: true });
}

/** The newest turn is the one that is answered: all of it, or its beginning where it is longer than the strip. */
function showNewestTurn(turns) {
  const newest = turns.lastElementChild;
  turns.scrollTop = Math.min(turns.scrollHeight, newest.offsetTop - turns.firstElementChild.offsetTop);
}

let leader = null;
let leaderTimer = 0;

/** The card that the person scrolls leads; the others follow by share, and do not answer back. */
function scrollTogether(page, cards, card) {
  if (pressed(page, "sync").getAttribute("aria-pressed") !== "true" || (leader && leader !== card)) return;
  leader = card;
  clearTimeout(leaderTimer);
  leaderTimer = setTimeout(() => { leader = null; }, 150);
  const share = card.scrollTop / Math.max(1, card.scrollHeight - card.clientHeight);
  for (const other of cards) if (other !== card) other.scrollTop = share * (other.scrollHeight - other.clientHeight);
}

function bindTabs(form) {
  form.querySelector("[data-tabs]").hidden = !matchMedia("(max-width: 63.99em)").matches;
  for (const tab of form.querySelectorAll("[data-tab]")) {
    tab.addEventListener("click", () => {
      const isOn = tab.getAttribute("aria-pressed") === "true";
      for (const one of form.querySelectorAll("[data-tab]")) one.setAttribute("aria-pressed", String(!isOn && one === tab));
      for (const card of form.querySelectorAll("[data-candidate]")) card.hidden = !isOn && card.dataset.candidate !== tab.dataset.tab;
    });
  }
}
