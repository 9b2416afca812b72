// Marking words of a response as good or wrong: offsets count the characters (code points) of its raw text.
import { gettext, interpolate } from "../ui/gettext.js";

const SHOWN = 40; // characters of a phrase in the list
const KINDS = ["good", "wrong"];
const markInRaw = () => gettext("These words stand differently in the raw text: press R and mark them there.");
const field = (form) => form.querySelector("[data-marks]");
const cardOf = (node) => (node?.nodeType === Node.ELEMENT_NODE ? node : node?.parentElement)?.closest("[data-candidate]");
const viewOf = (card, name) => card.querySelector(`[data-view="${name}"]`);
const chooseFirst = () => gettext("First choose the words to mark; by keyboard: R, then the arrows.");
const rawText = (card) => viewOf(card, "raw").textContent;
const points = (text, units) => [...text.slice(0, units)].length;
const units = (text, count) => [...text].slice(0, count).join("").length;

/** The marks of the answer, as the API takes them. */
export const marksOf = (form) => JSON.parse(field(form)?.value || "[]");

function store(form, marks) {
  field(form).value = JSON.stringify(marks);
  field(form).dispatchEvent(new Event("input", { bubbles: true }));
  showMarks(form);
}

function places(text, phrase) {
  const found = [];
  for (let at = text.indexOf(phrase); phrase && at >= 0; at = text.indexOf(phrase, at + 1)) found.push(at);
  return found;
}

/** Where a range starts in the text of an element, in UTF-16 units. */
function startIn(element, range) {
  const before = document.createRange();
  before.setStart(element, 0);
  before.setEnd(range.startContainer, range.startOffset);
  return before.toString().length;
}

function rangeIn(element, start, end) {
  const range = document.createRange();
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let seen = 0, node = walker.nextNode(); node; seen += node.length, node = walker.nextNode()) {
    if (start >= seen && start <= seen + node.length) range.setStart(node, start - seen);
    if (end > seen && end <= seen + node.length) { range.setEnd(node, end - seen); return range; }
  }
  return null;
}

/** The same phrase in another text, by its number among its like; -1 where the other text does not have it. */
function sameIn(other, text, phrase, start) {
  const [here, there] = [places(text, phrase), places(other, phrase)];
  return here.length === there.length ? there[here.indexOf(start)] ?? -1 : -1;
}

/** The chosen words with their offsets in the raw text; null without a choice, `start` -1 where they are not literal there. */
function chosen(form) {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  const card = cardOf(range.startContainer);
  if (!card || !form.contains(card) || cardOf(range.endContainer) !== card) return null;
  const view = ["raw", "read"].map((name) => viewOf(card, name)).find((one) => one.contains(range.startContainer) && one.contains(range.endContainer));
  const phrase = range.toString().trim();
  if (!view || !phrase) return null;
  const shift = range.toString().indexOf(phrase);
  const at = startIn(view, range) + shift;
  const raw = rawText(card);
  const start = view.dataset.view === "raw" ? at : sameIn(raw, view.textContent, phrase, at);
  return { card, phrase, raw, start, range };
}

function add(form, kind, tell) {
  const found = chosen(form);
  if (!found) return;
  if (found.start < 0) { tell(markInRaw()); return; }
  const start = points(found.raw, found.start);
  const mark = { candidate: Number(found.card.dataset.candidate), start, end: start + [...found.phrase].length, kind };
  const others = marksOf(form).filter((one) => one.candidate !== mark.candidate || one.end <= mark.start || one.start >= mark.end);
  getSelection().collapseToEnd(); // the next arrow goes on from here
  form.querySelector("[data-marker]").hidden = true;
  store(form, [...others, mark].sort((a, b) => a.candidate - b.candidate || a.start - b.start));
}

const phraseOf = (card, mark) => [...rawText(card)].slice(mark.start, mark.end).join("");

function item(form, card, mark) {
  const phrase = phraseOf(card, mark);
  const words = phrase.length > SHOWN ? `${phrase.slice(0, SHOWN)}…` : phrase;
  const line = document.createElement("li");
  line.className = `mark ${mark.kind}`;
  const kind = document.createElement("b");
  kind.textContent = mark.kind === "good" ? gettext("good") : gettext("wrong");
  const text = document.createElement("span");
  text.dir = "auto";
  text.textContent = words;
  const remove = document.createElement("button");
  Object.assign(remove, { type: "button", className: "btn quiet", textContent: "×" });
  remove.setAttribute("aria-label", interpolate(gettext("Remove the mark from “%(words)s”"), { words }));
  remove.addEventListener("click", () => {
    store(form, marksOf(form).filter((one) => one.candidate !== mark.candidate || one.start !== mark.start));
    card.focus();
  });
  line.append(kind, text, remove);
  return line;
}

/** Ranges of a mark in both views, as far as they can be found there. */
function rangesOf(card, mark) {
  const raw = rawText(card);
  const [start, end] = [units(raw, mark.start), units(raw, mark.end)];
  const [rawView, read] = [viewOf(card, "raw"), viewOf(card, "read")];
  const phrase = raw.slice(start, end);
  const at = sameIn(read.textContent, raw, phrase, start);
  return [rangeIn(rawView, start, end), at < 0 ? null : rangeIn(read, at, at + phrase.length)].filter(Boolean);
}

/** Show the marks: colored in the text where the browser can, and always in a list below it. */
function showMarks(form) {
  const marks = marksOf(form);
  const ranges = { good: [], wrong: [] };
  for (const card of form.querySelectorAll("[data-candidate]")) {
    const own = marks.filter((one) => one.candidate === Number(card.dataset.candidate));
    const list = card.querySelector("[data-mark-list]");
    list.replaceChildren(...own.map((mark) => item(form, card, mark)));
    list.hidden = own.length === 0;
    for (const mark of own) ranges[mark.kind].push(...rangesOf(card, mark));
  }
  if (globalThis.CSS?.highlights) for (const kind of KINDS) CSS.highlights.set(`mark-${kind}`, new Highlight(...ranges[kind]));
}

/** The two buttons stand above the chosen words. */
function showMarker(form) {
  const marker = form.querySelector("[data-marker]");
  const found = chosen(form);
  marker.hidden = !found;
  if (!found) return;
  const box = found.range.getBoundingClientRect();
  const top = box.top > marker.offsetHeight + 8 ? box.top - marker.offsetHeight - 8 : box.bottom + 8;
  const left = Math.max(8, Math.min(box.left, innerWidth - marker.offsetWidth - 8));
  Object.assign(marker.style, { top: `${top}px`, left: `${left}px` });
}

/** In the raw text arrows choose a word, with Shift more. */
function chooseByKey(event) {
  const onward = { ArrowRight: "right", ArrowLeft: "left" }[event.key];
  if (!onward || !event.target.matches?.('[data-view="raw"]')) return;
  event.preventDefault();
  const selection = getSelection();
  if (!event.target.contains(selection.anchorNode)) selection.collapse(event.target.querySelector("pre"), 0);
  if (event.shiftKey) { selection.modify("extend", onward, "word"); return; }
  if (onward === "right") selection.collapseToEnd();
  else { selection.collapseToStart(); selection.modify("move", "left", "word"); }
  selection.modify("extend", "right", "word");
}

/** To the raw text of the first response, where the arrows choose words. */
export const toRawText = (form) => field(form) && form.matches(".pair") && form.querySelector('[data-view="raw"]:not([hidden])')?.focus({ preventScroll: true });

function onKey(event, form, tell) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("textarea, input:not([type=radio], [type=checkbox])")) return;
  const kind = { "+": "good", "-": "wrong", "−": "wrong" }[event.key];
  if (kind && form.querySelector('[data-view="diff"]:not([hidden])')) tell(markInRaw());
  else if (kind && chosen(form)) { event.preventDefault(); event.stopPropagation(); add(form, kind, tell); } else if (kind) tell(chooseFirst()); else chooseByKey(event);
}

let current = null;
let say = () => {};
const isShown = () => current?.isConnected && field(current);
document.addEventListener("selectionchange", () => { if (isShown()) showMarker(current); });
document.addEventListener("keydown", (event) => { if (isShown()) onKey(event, current, say); });

/** Bind the marks of a bench that is shown; `tell` says a sentence to the person. */
export function bindMarks(form, tell) {
  [current, say] = [form, tell];
  if (!field(form)) return;
  if (!form.dataset.marking) {
    form.dataset.marking = "bound";
    for (const button of form.querySelectorAll("[data-mark]")) {
      button.addEventListener("pointerdown", (event) => event.preventDefault()); // the choice of words stays
      button.addEventListener("click", () => add(form, button.dataset.mark, tell));
    }
    form.addEventListener("scroll", () => { form.querySelector("[data-marker]").hidden = true; }, { capture: true, passive: true });
  }
  showMarks(form);
}
