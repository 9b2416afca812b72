// The labeler's page below a step of the set-up: it follows the form while it is filled in, and what is imported.
const PAUSE = 400; // milliseconds without a key
const frame = document.querySelector("[data-as-seen]");
const form = document.getElementById(frame.dataset.follows ?? "");
let timer = 0;
let asked = 0;

async function follow() {
  const number = ++asked;
  const answer = await fetch(frame.src, { method: "POST", body: new FormData(form) }).catch(() => null);
  if (!answer?.ok || number !== asked) return; // a later one is on its way
  const detail = await answer.text();
  frame.contentDocument.dispatchEvent(new CustomEvent("preview", { detail }));
}

form?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(follow, PAUSE);
});
document.body.addEventListener("imported", () => frame.contentWindow.location.reload());
