// Reading the answer of a bench: candidates and strengths, never places.
import { gettext } from "../ui/gettext.js";
import { rankedCriteria, whatCriteriaLack } from "./criteria.js";
import { marksOf } from "./marks.js";
import { rankingOf, whatRankingLacks } from "./ranking.js";

const checked = (form, name) => form.querySelector(`input[name="${name}"]:checked`)?.value ?? null;

export const candidatesOf = (form) =>
  [...form.querySelectorAll("[data-candidate]")].map((one) => Number(one.dataset.candidate));

function step(value, ids) {
  const sorted = [...ids].sort((a, b) => a - b);
  if (value === "tie") return { ranking: [sorted], strengths: [] };
  const [better, strength] = value.split(":").map(Number);
  return { ranking: [[better], sorted.filter((id) => id !== better)], strengths: [strength] };
}

function verdict(form, ids) {
  if (form.querySelector("[data-all-bad]").checked) return { ranking: [], strengths: [], is_all_bad: true };
  if (ids.length > 2) return rankingOf(form);
  const value = checked(form, "overall");
  return value ? step(value, ids) : null;
}

/** The answer as the API takes it, or null while the verdict itself is missing. */
export function answerOf(form) {
  const ids = candidatesOf(form);
  const found = verdict(form, ids);
  if (!found) return null;
  const criteria = rankedCriteria(form);
  for (const input of form.querySelectorAll('input[name^="criterion-"]:checked')) {
    criteria[input.name.slice("criterion-".length)] = step(input.value, ids);
  }
  return {
    client_uuid: form.elements.client_uuid.value,
    criteria,
    marks: marksOf(form),
    rationale: form.elements.rationale?.value ?? "",
    ...found,
  };
}

/** What is missing, as a sentence; empty when the answer is whole. */
export function whatIsMissing(form) {
  const answer = answerOf(form);
  if (!answer) {
    return candidatesOf(form).length > 2 ? whatRankingLacks(form) : gettext("First choose which is better.");
  }
  const open = whatCriteriaLack(form);
  if (open) return open;
  return lacksReason(form, answer) ? gettext("Say in one sentence why: this project asks for it here.") : "";
}

/** Whether all that the project still asks for is the reason. */
export function lacksReason(form, answer = answerOf(form)) {
  const rule = form.dataset.rationale;
  const isAsked = rule === "always" || (rule === "strong" && answer?.strengths.includes(Number(form.dataset.largest)));
  return isAsked && answer !== null && !answer.rationale.trim();
}
