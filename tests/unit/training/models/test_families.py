"""Every family: trees where they serve, padded rows where not (and said so), one loss, one score elsewhere."""

from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    Gemma2Config,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

from tests.unit.training.trainers.runs import CPU
from training.data.forward import response_logprobs
from training.data.packing import TokenGroup, pack_groups
from training.models.load import load_policy, save_model
from training.models.lora import Adapter, add_lora, merge_lora
from training.models.reward import new_reward_model, save_reward_model, score_tree
from training.models.tiny import tiny_tokenizer
from training.rollout.sampler import Knobs, LocalSampler
from training.spec.preferences import SftSpec

SPECIAL = {"vocab_size": 259, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
SMALL = SPECIAL | {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 64,
}
TREES = {
    "llama": LlamaConfig(**SMALL),
    "qwen2": Qwen2Config(**SMALL),
    "qwen3": Qwen3Config(**SMALL),
    "gemma": GemmaConfig(**SMALL),
    "gpt2": GPT2Config(**SPECIAL, n_embd=32, n_layer=2, n_head=4),
}
PADDED = {
    "gemma2": Gemma2Config(**SMALL, sliding_window=4),
    "mistral": MistralConfig(**SMALL, sliding_window=4),
}
END = 1
RESPONSES = ((9, 10, END), (11, 12, 13, 14, 15, END), (16, END))
GROUP = TokenGroup(prompt_id="a", prompt=(5, 6, 7, 8), responses=RESPONSES)


@pytest.fixture(params=[*TREES, *PADDED])
def folder(request, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = AutoModelForCausalLM.from_config((TREES | PADDED)[request.param])
    model.save_pretrained(tmp_path / request.param)
    tiny_tokenizer().save_pretrained(tmp_path / request.param)
    return tmp_path / request.param


def rows():
    return [torch.tensor([[*GROUP.prompt, *one]]) for one in RESPONSES]


@torch.no_grad()
def test_a_policys_losses_are_those_of_the_plain_model(folder, tmp_path):
    policy = load_policy(str(folder), precision="float32", device=CPU)
    assert policy.is_tree == (folder.name in TREES)
    assert any("padded rows" in one for one in policy.notes) == (folder.name in PADDED)
    found = response_logprobs(policy, pack_groups([GROUP])).logprob_R
    padded = replace(policy, padded_because="asked")
    again = response_logprobs(padded, pack_groups([GROUP])).logprob_R
    torch.testing.assert_close(again, found, atol=1e-5, rtol=1e-5)
    save_model(policy, tmp_path / "saved")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    expected = []
    for row, response in zip(rows(), RESPONSES, strict=True):
        logprob_SV = plain(row).logits[0].log_softmax(-1)
        places = range(len(GROUP.prompt) - 1, row.shape[1] - 1)
        expected += [logprob_SV[at, token] for at, token in zip(places, response, strict=True)]
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_sampled_log_probs_are_those_of_the_plain_model(folder):
    """Of rows that leave the batch at different tokens, under windows shorter than the rows too."""
    policy = load_policy(str(folder), precision="float32", device=CPU)
    ends = tuple(range(10))
    policy.model.generation_config.eos_token_id = list(ends)
    prompts = [list(GROUP.prompt), [9, 8, 7, 6, 5, 4], [3]]
    knobs = Knobs(n=3, temperature=1.0, top_p=1.0, max_tokens=40, seed=3)
    sampled = LocalSampler(policy.model, policy.tokenizer).sample_tokens(prompts, knobs)
    plain = AutoModelForCausalLM.from_pretrained(folder)
    for prompt, group in zip(prompts, sampled, strict=True):
        for one in group:
            row = torch.tensor([[*prompt, *one.token_ids]])
            logprob_SV = plain(row).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            expected = logprob_SV.gather(1, row[0, len(prompt) :, None])[:, 0]
            torch.testing.assert_close(torch.tensor(one.logprobs), expected, atol=1e-4, rtol=0)
    assert len({len(one.token_ids) for group in sampled for one in group}) > 3


@torch.no_grad()
@pytest.mark.parametrize("heads", [1, 3])
def test_a_reward_models_scores_are_those_of_the_plain_classifier(folder, tmp_path, heads):
    reward = new_reward_model(str(folder), precision="float32", device=CPU, seed=3, heads=heads)
    pack = pack_groups([GROUP])
    found = score_tree(reward, pack.tree, pack.last_N)
    save_reward_model(reward, tmp_path / "saved")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    expected = torch.cat([plain(row).logits[:, 0] for row in rows()])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # of peft
def test_an_adapter_is_the_same_merged_added_and_put_on_by_peft(folder, tmp_path):
    policy = load_policy(str(folder), precision="float32", device=CPU)
    before = policy.model(rows()[0]).logits
    add_lora(policy.model, SftSpec(model="m", data="d", lora_rank=2, lora_alpha=4.0))
    for name, one in policy.model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(one, std=0.1)
    expected = policy.model(rows()[0]).logits
    assert not torch.allclose(expected, before, atol=1e-3)
    Adapter(policy.model).save(tmp_path / "adapter")
    plain = load_policy(str(folder), precision="float32", device=CPU).model
    Adapter(policy.model).add_to(plain)
    merge_lora(policy.model)
    base = AutoModelForCausalLM.from_pretrained(folder)
    adapted = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    for one in (plain, policy.model, adapted):
        torch.testing.assert_close(one(rows()[0]).logits, expected, atol=1e-5, rtol=1e-5)
