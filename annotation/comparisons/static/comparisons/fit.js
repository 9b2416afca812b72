// Room for what is written. A sentence of the strip stands beside the rest while two lines hold it, a longer one in a
// line of its own; on a small screen the verdict stands on the foot of the bar, however high a reason makes that.
const MORE_THAN_TWO_LINES = 3; // in its own size

/** Give what `status` says now its room. */
export function fit(status) {
  const strip = status.closest(".strip");
  strip.classList.remove("spoken");
  const size = parseFloat(getComputedStyle(status).fontSize);
  strip.classList.toggle("spoken", status.offsetHeight > MORE_THAN_TWO_LINES * size);
}

/** The same whenever something is said, what stands beside it changes, or the window does. */
export function keepFitting(status) {
  const again = () => fit(status);
  const changes = { childList: true, characterData: true, subtree: true, attributeFilter: ["hidden"] };
  new MutationObserver(again).observe(status.closest(".strip"), changes);
  addEventListener("resize", again);
  again();
}

/** Tell the styles of a form how high its foot is. */
export function keepFoot(form) {
  const foot = form.querySelector(".foot");
  const tell = () => form.style.setProperty("--foot", `${Math.floor(foot.getBoundingClientRect().height)}px`);
  new ResizeObserver(tell).observe(foot);
}
