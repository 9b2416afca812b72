// The keys of the bench. No single letter acts while a text field has the focus.
import { chooseReason } from "./skip.js";

const isTextField = (element) => element.matches("textarea, select:not([data-rank]), input:not([type=radio], [type=checkbox])");
const isControl = (element) => element.matches("button, a, summary");

const rows = (form) => [...form.querySelectorAll("[data-row]")].filter((row) => !row.hidden);
const isAnswered = (row) => row.querySelector("input:checked") !== null || Boolean(row.querySelector("select")?.value);

/** The row that digits answer: the one in focus, else the first without an answer, else the last. */
function currentRow(form) {
  const all = rows(form);
  const focused = document.activeElement?.closest("[data-row]");
  const card = document.activeElement?.closest("[data-candidate]")?.querySelector("[data-row]");
  return focused ?? card ?? all.find((row) => !isAnswered(row)) ?? all.at(-1);
}

/** Show which row the next digit answers; none where all are answered and none has the focus. */
export function markRow(form) {
  const now = document.activeElement?.closest("[data-row]") ?? rows(form).find((row) => !isAnswered(row));
  for (const row of rows(form)) row.classList.toggle("now", row === now);
}

/** Let the next digit answer this row. The row itself takes the focus: in one of its inputs, arrows would change the answer. */
function goTo(row) {
  const target = row?.closest("[data-candidate]") ?? row;
  if (target && !target.hasAttribute("tabindex")) target.tabIndex = -1;
  target?.focus();
}

/** Begin at the top again, as after an undo. */
export const goToFirst = (form) => goTo(rows(form)[0]);

function goBack(form) {
  const all = rows(form);
  goTo(all[Math.max(all.indexOf(currentRow(form)) - 1, 0)]);
}

function answer(form, digit) {
  const row = currentRow(form);
  const field = row && choose(row, digit);
  if (!field) return;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  advance(form, row);
}

/** Choose the step or the rank of a row; the field that holds it, or undefined where the row has no such step. */
function choose(row, digit) {
  const select = row.querySelector("select");
  const field = select ? select.options[digit] && select : row.querySelectorAll("input")[digit - 1];
  if (field) field[select ? "value" : "checked"] = select ? String(digit) : true;
  return field;
}

function advance(form, row) {
  const open = rows(form).find((one) => !isAnswered(one));
  const card = open?.closest("[data-candidate]");
  if (card) {
    card.focus({ preventScroll: false });
    card.scrollIntoView({ block: "nearest" });
  } else if (open?.querySelector("select") || document.activeElement?.closest("[data-row]") === row) {
    (open?.querySelector("input, select") ?? form.querySelector("[data-submit]")).focus();
  }
}

export function allBad(form) {
  const input = form.querySelector("[data-all-bad]");
  input.checked = input.type === "radio" ? true : !input.checked;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Write the labeler's own keys where keys are shown. */
export function showKeys(root, keys) {
  for (const cap of root.querySelectorAll("kbd[data-key]")) cap.textContent = keys[cap.dataset.key].toUpperCase();
}

/** The sign of a key press; on a keyboard that writes no Latin letters, the letter printed on most others. */
function signOf(event) {
  const isPlain = event.key.length > 1 || event.key.charCodeAt(0) < 128;
  return (isPlain ? event.key : event.code.replace("Key", "")).toLowerCase();
}

/** Where the key was meant to go: what has just been hidden, as the button of a closed dialog, keeps the focus until the next frame. */
const targetOf = ({ target }) => (target.checkVisibility() ? target : document.body);

/** The digit a key press writes, or that of its key where it writes another sign without Shift, as on French keyboards. */
function digitOf(event) {
  if (/^[1-9]$/.test(event.key)) return Number(event.key);
  const isPrinted = event.key.length === 1 && !event.shiftKey;
  return isPrinted ? Number(/^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1] ?? 0) : 0;
}

/** `keys`: action -> key; `desk`: form(), submit(), and `actions`, by the same names as the keys. */
export function bindKeys(keys, desk) {
  const actionOf = new Map(Object.entries(keys).map(([action, key]) => [key, action]));
  document.addEventListener("keydown", (event) => {
    const target = targetOf(event);
    if (document.querySelector("dialog[open]") || event.altKey || event.metaKey || event.isComposing) return;
    if (isTextField(target)) return inTextField(event, target, desk);
    if (event.ctrlKey) return;
    const action = actionOf.get(signOf(event));
    if (chooseReason(desk.form(), event, digitOf(event))) event.preventDefault();
    else if (event.key === "Enter") onEnter(event, target, desk);
    else if (action) act(event, () => desk.actions[action]?.());
    else if (event.key === "Backspace" && desk.form() && !event.defaultPrevented) act(event, () => goBack(desk.form()));
    else if (digitOf(event) && desk.form()) act(event, () => answer(desk.form(), digitOf(event)));
  });
}

function act(event, work) {
  event.preventDefault();
  work();
}

function onEnter(event, target, desk) {
  if (isControl(target) && !target.matches("[data-submit]")) return;
  event.preventDefault();
  if (!event.repeat) desk.submit(); // a key held down answers once
}

function inTextField(event, target, desk) {
  if (event.key === "Escape") target.blur();
  if (event.key === "Enter" && event.ctrlKey && !event.repeat) act(event, desk.submit);
}
