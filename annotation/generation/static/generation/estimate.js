// Says what the form asks for, while it is filled in: responses and tokens of a run; models, tokens and time in the playground.
const number = (form, name) => Number(form.elements[name].value) || 0;
const words = (value) => value.toLocaleString("en-US");
const say = (form, text) => { form.querySelector("[data-estimate-text]").textContent = text; };

function ofRun(form) {
  const all = Number(form.dataset.prompts);
  const most = number(form, "max_prompts");
  const prompts = most > 0 ? Math.min(most, all) : all;
  const responses = prompts * number(form, "per_prompt");
  const tokens = responses * number(form, "max_tokens");
  say(form, `At most ${words(prompts)} prompts × ${number(form, "per_prompt")} = ${words(responses)} responses, up to ${words(tokens)} tokens.`);
}

const duration = (seconds) => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`);

function ofPlayground(form) {
  const policies = form.querySelectorAll("[name=policies]:checked").length;
  if (!policies) return say(form, "Choose the policies to ask.");
  const hasReward = form.elements.reward_model.value !== "";
  const models = policies + Number(hasReward);
  const asked = `${policies === 1 ? "One policy" : `${policies} policies`}, up to ${words(policies * number(form, "max_tokens"))} tokens${hasReward ? ", then the reward model" : ""}.`;
  const { seconds, runs } = form.dataset;
  const pace = seconds ? `At the pace of the last ${runs === "1" ? "run" : `${runs} runs`} here that takes about ${duration(models * Number(seconds))}.` : "No run was timed here yet.";
  return say(form, `${asked} ${pace}`);
}

for (const [name, estimate] of [["data-estimate", ofRun], ["data-play-estimate", ofPlayground]]) {
  for (const form of document.querySelectorAll(`form[${name}]`)) {
    form.addEventListener("input", () => estimate(form));
    estimate(form);
  }
}
