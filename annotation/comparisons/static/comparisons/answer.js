// Reading the answer of a bench: candidates and strengths, never places.
const MOST = 3;

const checked = (form, name) => form.querySelector(`input[name="${name}"]:checked`)?.value ?? null;

export const candidatesOf = (form) =>
  [...form.querySelectorAll("[data-candidate]")].map((one) => Number(one.dataset.candidate));

function step(value, ids) {
  const sorted = [...ids].sort((a, b) => a - b);
  if (value === "tie") return { ranking: [sorted], strengths: [] };
  const [better, strength] = value.split(":").map(Number);
  return { ranking: [[better], sorted.filter((id) => id !== better)], strengths: [strength] };
}

function tiers(form, ids) {
  const ranks = new Map(ids.map((id) => [id, Number(checked(form, `rank-${id}`))]));
  if ([...ranks.values()].includes(0)) return null;
  const levels = [...new Set(ranks.values())].sort((a, b) => a - b);
  const ranking = levels.map((level) => ids.filter((id) => ranks.get(id) === level).sort((a, b) => a - b));
  const strengths = levels.slice(1).map((level, index) => Math.min(level - levels[index], MOST));
  return { ranking, strengths };
}

function verdict(form, ids) {
  if (form.querySelector("[data-all-bad]").checked) return { ranking: [], strengths: [], is_all_bad: true };
  if (ids.length > 2) return tiers(form, ids);
  const value = checked(form, "overall");
  return value ? step(value, ids) : null;
}

/** The answer as the API takes it, or null while the verdict itself is missing. */
export function answerOf(form) {
  const ids = candidatesOf(form);
  const found = verdict(form, ids);
  if (!found) return null;
  const criteria = {};
  for (const input of form.querySelectorAll('input[name^="criterion-"]:checked')) {
    criteria[input.name.slice("criterion-".length)] = step(input.value, ids);
  }
  return {
    client_uuid: form.elements.client_uuid.value,
    criteria,
    rationale: form.elements.rationale?.value ?? "",
    ...found,
  };
}

/** What is missing, as a sentence; empty when the answer is whole. */
export function whatIsMissing(form) {
  const answer = answerOf(form);
  if (!answer) {
    return candidatesOf(form).length > 2 ? "Give every response a rank first." : "Choose which is better first.";
  }
  const rule = form.dataset.rationale;
  const isAsked = rule === "always" || (rule === "strong" && answer.strengths.includes(MOST));
  return isAsked && !answer.rationale.trim() ? "Say in one sentence why: this project asks for it here." : "";
}
