// The keys of the bench. No single letter acts while a text field has the focus.
const isTextField = (element) => element.matches("textarea, select, input:not([type=radio], [type=checkbox])");
const isControl = (element) => element.matches("button, a, summary");

const rows = (form) => [...form.querySelectorAll("[data-row]")];
const isAnswered = (row) => row.querySelector("input:checked") !== null;

/** The row that digits answer: the one in focus, else the first without an answer, else the last. */
function currentRow(form) {
  const all = rows(form);
  const focused = document.activeElement?.closest("[data-row]");
  const card = document.activeElement?.closest("[data-candidate]")?.querySelector("[data-row]");
  return focused ?? card ?? all.find((row) => !isAnswered(row)) ?? all.at(-1);
}

/** Show which row the next digit answers. */
export function markRow(form) {
  const open = rows(form).find((row) => !isAnswered(row));
  for (const row of rows(form)) row.classList.toggle("now", row === open);
}

function answer(form, digit) {
  const row = currentRow(form);
  const input = row.querySelectorAll("input")[digit - 1];
  if (!input) return;
  input.checked = true;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  advance(form, row);
}

function advance(form, row) {
  const open = rows(form).find((one) => !isAnswered(one));
  const card = open?.closest("[data-candidate]");
  if (card) {
    card.focus({ preventScroll: false });
    card.scrollIntoView({ block: "nearest" });
  } else if (document.activeElement?.closest("[data-row]") === row) {
    (open ? open.querySelector("input") : form.querySelector("[data-submit]")).focus();
  }
}

function allBad(form) {
  const input = form.querySelector("[data-all-bad]");
  input.checked = input.type === "radio" ? true : !input.checked;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

const toggleSkip = (form) => {
  const details = form.querySelector("[data-skip]");
  details.open = !details.open;
  (details.open ? details.querySelector("button") : details.querySelector("summary")).focus();
};

const togglePrompt = (form) => { const one = form.querySelector("[data-prompt]"); one.open = !one.open; };
const why = (form) => form.querySelector("[data-why]")?.focus();
const openDialog = (id) => document.getElementById(id)?.showModal();

function letters(bench) {
  const onForm = (work) => () => { const form = bench.form(); if (form) work(form); };
  return {
    b: onForm(allBad), k: onForm(toggleSkip), n: onForm(why), p: onForm(togglePrompt),
    e: onForm(() => bench.extend()), s: onForm(() => bench.view("sync")), d: onForm(() => bench.view("diff")),
    r: onForm(() => bench.view("raw")), z: () => bench.undo(), g: () => openDialog("guideline"), "?": () => openDialog("keys"),
  };
}

export function bindKeys(bench) {
  const actions = letters(bench);
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (document.querySelector("dialog[open]") || event.altKey || event.metaKey) return;
    if (isTextField(target)) return inTextField(event, target, bench);
    if (event.ctrlKey) return;
    const form = bench.form();
    if (event.key === "Escape") return form?.querySelector("[data-skip]")?.removeAttribute("open");
    if (event.key === "Enter" && form && !isControl(target)) { event.preventDefault(); return bench.submit(); }
    if (/^[1-9]$/.test(event.key) && form) { event.preventDefault(); return answer(form, Number(event.key)); }
    const action = actions[event.key.toLowerCase()];
    if (action) { event.preventDefault(); action(); }
  });
}

function inTextField(event, target, bench) {
  if (event.key === "Escape") target.blur();
  if (event.key === "Enter" && event.ctrlKey) { event.preventDefault(); bench.submit(); }
}
