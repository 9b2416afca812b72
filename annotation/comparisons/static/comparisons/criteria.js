// The criteria of a ranking: one row each, a rank for every response. The distance of two ranks is how much better.
import { gettext, interpolate } from "../ui/gettext.js";

const SIGNS = ["", "›", "››", "›››"];
const rowsOf = (form) => [...form.querySelectorAll("[data-criterion]")];
const cellsOf = (row) => [...row.querySelectorAll("select")];
const rankedIn = (row) => cellsOf(row).filter((cell) => cell.value);
const isWhole = (row) => rankedIn(row).length === cellsOf(row).length;

/** Tiers of ids, best first, and the strengths between them, as far as the project's scale goes. */
function verdict(form, row) {
  const ranks = [...new Set(rankedIn(row).map((cell) => Number(cell.value)))].sort((a, b) => a - b);
  const idsAt = (rank) => rankedIn(row).filter((cell) => Number(cell.value) === rank).map((cell) => Number(cell.dataset.rank));
  return {
    ranking: ranks.map((rank) => idsAt(rank).sort((a, b) => a - b)),
    strengths: ranks.slice(1).map((rank, place) => Math.min(rank - ranks[place], Number(form.dataset.largest))),
  };
}

/** The criteria that were answered, as the API takes them; a pair has none here. */
export const rankedCriteria = (form) =>
  Object.fromEntries(rowsOf(form).filter(isWhole).map((row) => [row.dataset.criterion, verdict(form, row)]));

/** What is missing in a criterion that was begun, as a sentence; empty when all are whole or empty. */
export function whatCriteriaLack(form) {
  const open = rowsOf(form).find((row) => rankedIn(row).length && !isWhole(row));
  if (open) return interpolate(gettext("Rank every response under “%(criterion)s”, or none."), { criterion: open.dataset.label });
  const hasTie = rowsOf(form).some((row) => verdict(form, row).ranking.some((tier) => tier.length > 1));
  return form.dataset.scale === "two" && hasTie ? gettext("This project asks for an order without ties.") : "";
}

/** How a row reads: B > A = C, equal ones by their letters: their numbers may follow the models. */
function reading(form, row) {
  if (!isWhole(row)) return "";
  const { ranking, strengths } = verdict(form, row);
  const letter = (id) => form.querySelector(`[data-candidate="${id}"]`).dataset.letter;
  const sign = (place) => (place ? ` ${form.dataset.largest === "1" ? ">" : SIGNS[strengths[place - 1]]} ` : "");
  return ranking.map((tier, place) => sign(place) + tier.map(letter).sort().join(" = ")).join("");
}

function render(form) {
  for (const row of rowsOf(form)) row.querySelector("[data-reading]").textContent = reading(form, row);
}

/** Arrows move between cells, 0 and Backspace take a rank back. Digits come from the keys of the bench. */
function onKey(event) {
  const cell = event.target;
  if (!cell.matches("select[data-rank]") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (["0", "Backspace", "Delete"].includes(event.key)) {
    event.preventDefault();
    cell.value = "";
    cell.dispatchEvent(new Event("input", { bubbles: true }));
  } else if (["ArrowLeft", "ArrowRight"].includes(event.key)) {
    event.preventDefault();
    const cells = cellsOf(cell.form).filter((one) => one.dataset.rank);
    const isOnward = (event.key === "ArrowRight") === (getComputedStyle(cell).direction === "ltr");
    cells[cells.indexOf(cell) + (isOnward ? 1 : -1)]?.focus();
  }
}

/** Bind the criteria of a bench that is shown; a pair and a project without a rubric have none. */
export function bindCriteria(form) {
  if (!rowsOf(form).length) return;
  if (!form.dataset.criteria) {
    form.dataset.criteria = "bound";
    form.addEventListener("input", () => render(form));
    form.addEventListener("keydown", onKey);
  }
  render(form);
}
