// The reviewer's keys: approve, return (Ctrl Enter in the note), change, next. What is changed is approved as changed, unless that is unticked.
const form = document.querySelector("[data-review]");

if (form) {
  const text = form.querySelector("[data-text]");
  const note = form.querySelector("[data-note]");
  const before = text.value;
  text.addEventListener("input", () => { form.querySelector("[data-changed]").checked = text.value !== before; });
  const open = () => { form.querySelector("[data-changes]").open = true; text.focus(); };
  const giveBack = () => { if (note.value.trim()) form.querySelector("[data-return]").click(); else note.focus(); };
  const letters = {
    a: () => form.querySelector("[data-approve]").click(), e: open, r: giveBack,
  };
  note.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    giveBack();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("textarea, input, select")) { if (event.key === "Escape") event.target.blur(); return; }
    const act = letters[event.key.toLowerCase()];
    if (act) { event.preventDefault(); act(); }
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "j" || event.ctrlKey || event.metaKey || event.target.matches("textarea, input, select")) return;
  document.querySelector("[data-next-review]")?.click();
});
