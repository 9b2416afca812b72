// The reasons of a skip: a digit or an arrow chooses one while they are open. Escape and a click elsewhere close them (theme.js).
const detailsOf = (form) => form.querySelector("[data-skip]");
const reasonsOf = (form) => [...detailsOf(form).querySelectorAll("button")];

export function toggleSkip(form) {
  const details = detailsOf(form);
  details.open = !details.open;
  (details.open ? reasonsOf(form)[0] : details.querySelector("summary")).focus();
}

function moveFocus(reasons, by) {
  const place = reasons.indexOf(document.activeElement) + by;
  reasons[(place + reasons.length) % reasons.length].focus();
}

/** Whether the reasons are open and this key was for them: digits are theirs then, and answer nothing behind them. */
export function chooseReason(form, event, digit) {
  if (!form || !detailsOf(form).open) return false;
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by) moveFocus(reasonsOf(form), by);
  if (digit) reasonsOf(form)[digit - 1]?.click();
  return Boolean(by || digit);
}
