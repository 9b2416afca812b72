// Says how many responses and at most how many tokens the form asks for, while it is filled in.
const number = (form, name) => Number(form.elements[name].value) || 0;

function estimate(form) {
  const all = Number(form.dataset.prompts);
  const most = number(form, "max_prompts");
  const prompts = most > 0 ? Math.min(most, all) : all;
  const responses = prompts * number(form, "per_prompt");
  const tokens = responses * number(form, "max_tokens");
  const words = (value) => value.toLocaleString("en-US");
  form.querySelector("[data-estimate-text]").textContent =
    `At most ${words(prompts)} prompts × ${number(form, "per_prompt")} = ${words(responses)} responses, ` +
    `up to ${words(tokens)} tokens.`;
}

for (const form of document.querySelectorAll("form[data-estimate]")) {
  form.addEventListener("input", () => estimate(form));
  estimate(form);
}
