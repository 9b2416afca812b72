// The keys of the bench. No single letter acts while a text field has the focus.
import { chooseReason } from "./skip.js";

const isTextField = (element) => element.matches("textarea, select:not([data-rank]), input:not([type=radio], [type=checkbox])");
const isControl = (element) => element.matches("button, a, summary");

const rows = (form) => [...form.querySelectorAll("[data-row]")].filter((row) => !row.hidden);
const rowInFocus = () => document.activeElement?.closest("[data-row]");

/** Whether "all bad" is chosen in place of this row. */
const isAllBad = (row) => !row.dataset.row.startsWith("criterion-") && row.closest("form").querySelector("[data-all-bad]").checked;
const isAnswered = (row) => isAllBad(row) || row.querySelector("input:checked") !== null || Boolean(row.querySelector("select")?.value);
const firstOpen = (form) => rows(form).find((row) => !isAnswered(row));

/** The row in focus, else the first without an answer; undefined where all are answered. */
function nextRow(form) {
  const card = document.activeElement?.closest("[data-candidate]")?.querySelector("[data-row]");
  return rowInFocus() ?? card ?? firstOpen(form);
}

/** The row that digits answer: where all are answered the last, or the first where "all bad" is all of the answer. */
function currentRow(form) {
  const all = rows(form);
  return nextRow(form) ?? all.findLast((row) => !isAllBad(row)) ?? all[0];
}

/** Show which row the next digit answers; none where all are answered and none has the focus. */
export function markRow(form) {
  const now = rowInFocus() ?? firstOpen(form);
  for (const row of rows(form)) row.classList.toggle("now", row === now);
  bringInView(now);
}

/** Many criteria scroll in the bar, under the verdict, which stays. */
function bringInView(row) {
  const list = row?.closest(".rows");
  if (!list || list.scrollHeight <= list.clientHeight) return;
  list.scrollTop = row.offsetTop - (list.clientHeight + list.firstElementChild.offsetHeight - row.offsetHeight) / 2;
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
  const row = nextRow(form);
  goTo(all[Math.max((row ? all.indexOf(row) : all.length) - 1, 0)]);
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

/** Take the answer of the row in focus back, "all bad" with that of a verdict. */
function clear(form) {
  const row = rowInFocus();
  if (!row) return;
  for (const input of form.querySelectorAll(`[name="${CSS.escape(row.dataset.row)}"]`)) input.checked = false;
  row.dispatchEvent(new Event("input", { bubbles: true }));
}

function advance(form, row) {
  const open = firstOpen(form);
  const card = open?.closest("[data-candidate]");
  if (card) {
    card.focus({ preventScroll: false });
    card.scrollIntoView({ block: "nearest" });
  } else if (open?.querySelector("select") || rowInFocus() === row) {
    (open?.querySelector("input, select") ?? form.querySelector("[data-submit]")).focus();
  }
}

export function allBad(form) {
  const input = form.querySelector("[data-all-bad]");
  input.checked = input.type === "radio" ? true : !input.checked;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  if (input.checked) advance(form, rowInFocus() ?? undefined);
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

const CORRECTIONS = { Backspace: goBack, 0: clear, Delete: clear };

/** `keys`: action -> key; `desk`: form(), submit(), and `actions`, by the same names as the keys. */
export function bindKeys(keys, desk) {
  const actionOf = new Map(Object.entries(keys).map(([action, key]) => [key, action]));
  document.addEventListener("keydown", (event) => {
    const target = targetOf(event);
    if (document.querySelector("dialog[open]") || event.altKey || event.metaKey || event.isComposing) return;
    if (isTextField(target)) return inTextField(event, target, desk);
    if (event.ctrlKey) return event.key === "Enter" ? onCtrlEnter(event, desk) : undefined;
    const action = actionOf.get(signOf(event));
    if (chooseReason(desk.form(), event, digitOf(event))) event.preventDefault();
    else if (event.key === "Enter") onEnter(event, target, desk);
    else if (action) act(event, () => desk.actions[action]?.());
    else if (desk.form() && !event.defaultPrevented && event.key in CORRECTIONS) act(event, () => CORRECTIONS[event.key](desk.form()));
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
  if (event.key === "Enter" && event.ctrlKey) onCtrlEnter(event, desk);
}

/** It submits wherever the focus is, on another button too. */
function onCtrlEnter(event, desk) {
  act(event, () => { if (!event.repeat) desk.submit(); });
}
