// Dialogs: opened, and asked.
export const byId = (id) => document.getElementById(id);

export const openSheet = (id) => byId(id)?.showModal();

/** What the person chose in the dialog; "" where it was left by Escape. */
export function asked(id) {
  const sheet = byId(id);
  sheet.returnValue = "";
  sheet.showModal();
  return new Promise((done) => { sheet.addEventListener("close", () => done(sheet.returnValue), { once: true }); });
}
