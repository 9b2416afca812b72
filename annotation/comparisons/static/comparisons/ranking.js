// Ranking three or more responses: ranks on the cards, letters to drag on the board, and how much better each tier is.
import { gettext, interpolate } from "../ui/gettext.js";

const radios = (form, id) => [...form.querySelectorAll(`input[name="rank-${id}"]`)];
const rankOf = (form, id) => Number(radios(form, id).find((one) => one.checked)?.value ?? 0);
const cardsOf = (form) => [...form.querySelectorAll("[data-candidate]")];
const idOf = (card) => Number(card.dataset.candidate);
const letterOf = (form, id) => form.querySelector(`[data-candidate="${id}"]`).dataset.letter;
const gapsOf = (form) => [...form.querySelectorAll(".gap")];

/** Ranks in use with the ids that hold them, best first. */
function levels(form) {
  const ids = cardsOf(form).map(idOf);
  const used = [...new Set(ids.map((id) => rankOf(form, id)))].filter(Boolean).sort((a, b) => a - b);
  return used.map((rank) => ({ rank, ids: ids.filter((id) => rankOf(form, id) === rank).sort((a, b) => a - b) }));
}

const isRanked = (form) => cardsOf(form).every((card) => rankOf(form, idOf(card)));

/** What is missing in a ranking, as a sentence; empty when it is whole. */
export function whatRankingLacks(form) {
  const open = cardsOf(form).find((card) => !rankOf(form, idOf(card)));
  if (open) return interpolate(gettext("Give response %(letter)s a rank first."), { letter: open.dataset.letter });
  if (form.dataset.scale === "two" && levels(form).some((tier) => tier.ids.length > 1)) return gettext("This project asks for an order without ties.");
  const place = gapsOf(form).findIndex((gap) => !gap.hidden && !gap.querySelector(":checked")) + 1;
  return place ? interpolate(gettext("Say how much better place %(place)s is than the next."), { place }) : "";
}

/** The tiers and the strengths between them, or null while something is missing. */
export function rankingOf(form) {
  if (whatRankingLacks(form)) return null;
  const tiers = levels(form);
  const strengths = gapsOf(form).slice(0, tiers.length - 1).map((gap) => Number((gap.querySelector(":checked") ?? gap.querySelector("input")).value));
  return { ranking: tiers.map((tier) => tier.ids), strengths };
}

function setRank(form, id, rank) {
  for (const input of radios(form, id)) input.checked = Number(input.value) === rank;
  form.dispatchEvent(new Event("input", { bubbles: true }));
}

/** A gap belongs to the two tiers it stands between: where one of them changed, its answer is void. */
function showGaps(form, tiers) {
  const isWhole = isRanked(form);
  for (const [index, gap] of gapsOf(form).entries()) {
    const [upper, lower] = [tiers[index], tiers[index + 1]];
    const between = upper && lower ? `${upper.ids}>${lower.ids}` : "";
    if (gap.dataset.between !== undefined && gap.dataset.between !== between) for (const input of gap.querySelectorAll("input")) input.checked = false;
    gap.dataset.between = between;
    gap.hidden = gap.disabled = !isWhole || !between || gap.querySelectorAll("input").length < 2;
    const lane = between && form.querySelector(`[data-lane="${upper.rank}"]`);
    if (lane && lane.nextElementSibling !== gap) lane.after(gap); // moving it for nothing would lose the focus
  }
}

function placeTokens(form) {
  for (const token of form.querySelectorAll("[data-token]")) {
    const tokens = form.querySelector(`[data-lane="${rankOf(form, Number(token.dataset.token))}"] .tokens`);
    if (token.parentElement !== tokens) tokens.append(token);
  }
}

function sayOrder(form, tiers) {
  const words = tiers.map((tier) => tier.ids.map((id) => letterOf(form, id)).join(" = ")).join(", ");
  const text = isRanked(form) ? interpolate(gettext("Order: %(order)s"), { order: words }) : "";
  const place = form.querySelector("[data-order]");
  if (place.textContent !== text) place.textContent = text;
}

function render(form) {
  const tiers = levels(form);
  placeTokens(form);
  showGaps(form, tiers);
  sayOrder(form, tiers);
  form.querySelector("[data-hint]").hidden = isRanked(form);
}

function onInput(event, form) {
  const wasRanked = form.dataset.ranked === "yes";
  if (form.querySelector("[data-all-bad]").checked && event.target.name?.startsWith("rank-")) form.querySelector("[data-all-bad]").checked = false;
  render(form);
  form.dataset.ranked = isRanked(form) ? "yes" : "";
  const open = gapsOf(form).find((gap) => !gap.hidden && !gap.querySelector(":checked"));
  if (!wasRanked && form.dataset.ranked && open) open.querySelector("input").focus();
}

/** Arrows move between cards, 0 and Backspace take a rank back. */
function onKey(event, form) {
  const card = event.target.closest("[data-candidate]");
  if (!card || event.target.closest('[data-view="raw"]') || event.altKey || event.ctrlKey || event.metaKey) return;
  if (["0", "Backspace", "Delete"].includes(event.key)) {
    event.preventDefault();
    setRank(form, idOf(card), 0);
  } else if (event.target === card && ["ArrowLeft", "ArrowRight"].includes(event.key)) {
    event.preventDefault();
    const cards = cardsOf(form).filter((one) => !one.hidden);
    const isOnward = (event.key === "ArrowRight") === (getComputedStyle(form).direction === "ltr");
    cards[(cards.indexOf(card) + (isOnward ? 1 : cards.length - 1)) % cards.length].focus();
  }
}

const laneUnder = (form, { clientX: x, clientY: y }) => [...form.querySelectorAll("[data-lane]")].find((lane) => {
  const box = lane.getBoundingClientRect();
  return x >= box.left && x <= box.right && y >= box.top - 24 && y <= box.bottom + 24;
});

/** Drag a letter to a place; letting go elsewhere or Escape leaves it where it was. */
function drag(form, token, start) {
  const mark = (lane) => { for (const one of form.querySelectorAll("[data-lane]")) one.classList.toggle("over", one === lane); };
  const move = (event) => {
    token.style.transform = `translate(${event.clientX - start.clientX}px, ${event.clientY - start.clientY}px)`;
    mark(laneUnder(form, event));
  };
  const end = (event) => {
    for (const [name, work] of Object.entries(listeners)) token.removeEventListener(name, work);
    document.removeEventListener("keydown", cancel, true);
    token.classList.remove("held");
    token.style.transform = "";
    mark(null);
    const lane = event.type === "pointerup" ? laneUnder(form, event) : null;
    if (lane) setRank(form, Number(token.dataset.token), Number(lane.dataset.lane));
  };
  const cancel = (event) => { if (event.key === "Escape") { event.stopPropagation(); end(event); } };
  const listeners = { pointermove: move, pointerup: end, pointercancel: end };
  token.setPointerCapture(start.pointerId);
  token.classList.add("held");
  for (const [name, work] of Object.entries(listeners)) token.addEventListener(name, work);
  document.addEventListener("keydown", cancel, true);
}

/** Bind the board of a bench that is shown; a pair has none. */
export function bindRanking(form) {
  const board = form.querySelector("[data-board]");
  if (!board) return;
  board.hidden = false;
  if (!form.dataset.ranking) {
    form.dataset.ranking = "bound";
    form.addEventListener("input", (event) => onInput(event, form));
    form.addEventListener("keydown", (event) => onKey(event, form));
    for (const token of form.querySelectorAll("[data-token]")) {
      token.addEventListener("pointerdown", (event) => { event.preventDefault(); drag(form, token, event); });
    }
  }
  render(form);
  form.dataset.ranked = isRanked(form) ? "yes" : "";
}
