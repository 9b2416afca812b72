// The page that stands where the labeling page could not be loaded: how many answers wait, and on as soon as there is a way.
import "../ui/theme.js";
import { keysOf, read } from "./store.js";

const LOOK_EVERY = 5_000;
const { address } = document.body.dataset;
const OUTBOX = /^concord\.outbox\.\d+\./;

/** Answers of this project that wait in this browser, whoever gave them. */
function waiting() {
  const project = `/api/v1${location.pathname.replace(/label\/$/, "")}.`;
  const kinds = keysOf("concord.outbox.").filter((key) => key.replace(OUTBOX, "").startsWith(project)).map((key) => read(key)?.kind);
  return kinds.filter((kind) => kind === "answer").length - kinds.filter((kind) => kind === "undo").length;
}

function show() {
  document.querySelector("[data-count]").textContent = Math.max(0, waiting());
  for (const one of document.querySelectorAll("[data-online]")) one.hidden = navigator.onLine !== (one.dataset.online === "yes");
}

async function look() {
  const answer = await fetch(address, { method: "HEAD", cache: "no-store" }).catch(() => null);
  if (answer?.ok) location.reload();
}

show();
addEventListener("online", () => { show(); look(); });
addEventListener("offline", show);
document.querySelector("[data-again]").addEventListener("click", () => location.reload());
setInterval(look, LOOK_EVERY);
