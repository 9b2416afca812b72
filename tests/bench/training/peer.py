"""The peers' side of one measurement: TRL and transformers, as their documentation says; nothing of ours.

Two settings favor the peer: gradient checkpointing, which TRL switches on by default and which
computes every layer twice, is off, and it gets token ids instead of texts.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TrainerCallback,
)

from tests.bench.training.meter import Job, Meter, measure_all

SETTINGS = {
    "per_device_train_batch_size": 8,
    "learning_rate": 1e-5,
    "adam_beta2": 0.95,
    "adam_epsilon": 1e-5,
    "max_grad_norm": 1.0,
    "train_sampling_strategy": "sequential",
    "logging_steps": 1,
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
    "gradient_checkpointing": False,
    "dataloader_pin_memory": False,
}


def loading(job: Job) -> dict[str, Any]:
    return {"dtype": getattr(torch, job.precision)}


def settings_of(job: Job) -> dict[str, Any]:
    return SETTINGS | {"use_cpu": not job.is_cuda, "bf16": job.is_cuda, "max_steps": job.steps}


class Metering(TrainerCallback):
    """Tells the meter where training begins and where a step ends."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._meter.begin()

    def on_log(
        self, _args: Any, _state: Any, _control: Any, logs: dict[str, Any], **_: Any
    ) -> None:
        loss = logs.get("loss", logs.get("loss/policy_avg"))
        if "loss/value_avg" in logs:
            self._meter.value_losses.append(float(logs["loss/value_avg"]))
        if loss is not None:
            self._meter.step(float(loss))


def metered(trainer: Any, meter: Meter) -> Any:
    """The trainer, which says when the loss of a forward pass is there."""
    compute = trainer.compute_loss

    def told(*arguments: Any, **named: Any) -> Any:
        made = compute(*arguments, **named)
        meter.forward_done()
        return made

    trainer.compute_loss = told
    trainer.add_callback(Metering(meter))
    return trainer


def reward(
    job: Job, meter: Meter, name: str, *, pairs_a_batch: int = 8, pairs_a_unit: int = 1
) -> None:
    """Some pairs at a time; where a prompt has six, its pairs are rows like any others."""
    from trl import RewardConfig, RewardTrainer

    rows = [
        {
            "chosen_ids": one["prompt"] + one["chosen"],
            "rejected_ids": one["prompt"] + one["rejected"],
        }
        for one in job.rows(f"{name}-{{}}")
    ]
    settings = settings_of(job) | {
        "per_device_train_batch_size": pairs_a_batch,
        "gradient_accumulation_steps": pairs_a_unit,
    }
    with tempfile.TemporaryDirectory(dir=job.scratch) as folder, meter.counting():
        trainer = RewardTrainer(
            model=AutoModelForSequenceClassification.from_pretrained(
                job.folder("reward"), **loading(job)
            ),
            args=RewardConfig(folder, center_rewards_coefficient=0.01, max_length=None, **settings),
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(job.folder("reward")),
        )
        metered(trainer, meter).train()
    meter.units = float(pairs_a_batch * job.steps)


def direct(job: Job, meter: Meter) -> None:
    from trl import DPOConfig, DPOTrainer

    class Prepared(DPOTrainer):  # type: ignore[misc] # TRL is untyped here
        """Rows are token ids already."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

    rows = [
        {"prompt_ids": one["prompt"], "chosen_ids": one["chosen"], "rejected_ids": one["rejected"]}
        for one in job.rows("pairs-{}")
    ]
    with tempfile.TemporaryDirectory(dir=job.scratch) as folder, meter.counting():
        trainer = Prepared(
            model=AutoModelForCausalLM.from_pretrained(job.folder("policy"), **loading(job)),
            args=DPOConfig(folder, beta=0.1, max_length=None, **settings_of(job)),
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(job.folder("policy")),
        )
        metered(trainer, meter).train()
    meter.units = 8.0 * job.steps


def single(job: Job, meter: Meter) -> None:
    """Good and bad responses, with the responses to other prompts that ours takes for the KL."""
    from trl import KTOConfig, KTOTrainer

    class Prepared(KTOTrainer):  # type: ignore[misc] # TRL is untyped here
        """Rows are token ids already."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

    rows = [
        {
            "prompt_ids": one["prompt"],
            "completion_ids": one[side],
            "KL_completion_ids": one["foreign"],
            "label": side == "chosen",
        }
        for one in job.rows("pairs-{}")
        for side in ("chosen", "rejected")
    ]
    settings = settings_of(job) | {"per_device_train_batch_size": 16}
    with tempfile.TemporaryDirectory(dir=job.scratch) as folder, meter.counting():
        trainer = Prepared(
            model=AutoModelForCausalLM.from_pretrained(job.folder("policy"), **loading(job)),
            args=KTOConfig(folder, beta=0.1, max_length=None, **settings),
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(job.folder("policy")),
        )
        metered(trainer, meter).train()
    meter.units = 8.0 * job.steps


def compared(job: Job, meter: Meter) -> None:
    """GRPO as TRL's documentation has it, with the reward model as a function of texts; its prompts are texts too."""
    from trl import GRPOConfig, GRPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(job.folder("policy"), padding_side="left")
    prompts = job.rows("prompts-{}_prompts")[: 4 * job.steps]
    settings = settings_of(job) | {"per_device_train_batch_size": 16}
    settings.pop("train_sampling_strategy")
    with tempfile.TemporaryDirectory(dir=job.scratch) as folder, meter.counting():
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(job.folder("policy"), **loading(job)),
            reward_funcs=[classifier(job)],
            args=GRPOConfig(
                folder,
                num_generations=4,
                max_completion_length=64,
                steps_per_generation=1,
                beta=0.05,
                loss_type="grpo",
                temperature=1.0,
                top_k=0,
                shuffle_dataset=False,
                **settings,
            ),
            train_dataset=Dataset.from_list([{"prompt": tokenizer.decode(one)} for one in prompts]),
            processing_class=tokenizer,
        )
        metered(trainer, meter).train()
    meter.units = 16.0 * job.steps


def supervised(job: Job, meter: Meter) -> None:
    from trl import SFTConfig, SFTTrainer

    rows = [
        {
            "input_ids": one["prompt"] + one["chosen"],
            "completion_mask": [0] * len(one["prompt"]) + [1] * len(one["chosen"]),
        }
        for one in job.rows("pairs-{}")
    ]
    with tempfile.TemporaryDirectory(dir=job.scratch) as folder, meter.counting():
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(job.folder("policy"), **loading(job)),
            args=SFTConfig(folder, completion_only_loss=True, max_length=None, **settings_of(job)),
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(job.folder("policy")),
        )
        metered(trainer, meter).train()
    meter.units = 8.0 * job.steps


def generation(job: Job, meter: Meter) -> None:
    """`generate` on some rows at a time: nobody is done before the longest is."""
    model = (
        AutoModelForCausalLM.from_pretrained(job.folder("policy"), **loading(job))
        .eval()
        .to(job.device)
    )
    tokenizer = AutoTokenizer.from_pretrained(job.folder("policy"), padding_side="left")
    prompts = sorted(job.rows("prompts-{}_prompts"), key=len, reverse=True)
    a_batch = job.rows_at_once // 4
    batches = [prompts[first : first + a_batch] for first in range(0, len(prompts), a_batch)]

    def answered(batch: list[list[int]], most: int) -> list[int]:
        """Lengths of four responses to each prompt."""
        asked = tokenizer.pad({"input_ids": batch}, return_tensors="pt")
        made = model.generate(
            **asked.to(model.device), do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=most,
            num_return_sequences=4, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        )[:, asked["input_ids"].shape[1] :]  # fmt: skip
        ended = (made == tokenizer.eos_token_id).int()
        told: list[int] = torch.where(ended.any(-1), ended.argmax(-1) + 1, made.shape[1]).tolist()
        return told

    torch.manual_seed(17)
    if job.is_cuda:
        answered(batches[0], 4)  # kernels are loaded here
    with meter.counting(), torch.inference_mode():
        meter.begin()
        lengths = [length for batch in batches for length in answered(batch, 256)]
        meter.step(sum(lengths) / len(lengths))
    meter.units = float(sum(lengths))


def rollouts(job: Job, meter: Meter) -> None:
    prompts = job.rows("prompts-{}_prompts")[: 4 * job.steps]
    meter.units = 16.0 * job.steps
    with meter.counting():
        trainer = ppo_trainer(
            job,
            rows=[one for one in prompts for _ in range(4)],
            policy=AutoModelForCausalLM.from_pretrained(job.folder("policy"), **loading(job)),
            value_model=classifier(job),
            stop_token="eos",  # noqa: S106
            missing_eos_penalty=1.0,
        )
        trainer.add_callback(Metering(meter))
        meter.begin()
        trainer.train()


def losses_of_ppo(job: Job, meter: Meter) -> None:
    """One update on what ours learned from: TRL's own loop, given responses, scores and minibatches.

    So that losses can be equal at all, its critic reads the policy's states as ours does, responses have
    one length, log-probs are those of the training forward, and its whitening divides by the deviation of
    the batch itself.
    """
    from trl.experimental.ppo import ppo_trainer as trl

    learned = json.loads(job.learned_from.read_text())
    rows, orders = learned["rows"], learned["orders"]
    scores = torch.tensor([one["score"] for one in rows])
    responses = torch.tensor([one["response"] for one in rows])
    policy = AutoModelForCausalLM.from_pretrained(job.folder("policy"), **loading(job))
    critic = classifier(job)
    setattr(critic, critic.base_model_prefix, policy.base_model)
    critic.score = saved_head(job, policy.config.hidden_size)
    trainer = ppo_trainer(
        job, rows=[one["prompt"] for one in rows], policy=policy, value_model=critic
    )
    trainer.processing_class.pad_token = unused_token(trainer.processing_class, rows)
    pad = trainer.processing_class.pad_token_id
    trainer.dataloader = [trainer.data_collator([{"input_ids": one["prompt"]} for one in rows])]
    half = len(rows) // len(orders[0])
    shuffles = iter([np.concatenate([np.arange(half) + half * at for at in one]) for one in orders])

    def answered(model: Any, queries: Any, *_: Any) -> tuple[Any, Any]:
        whole = torch.cat([queries, responses.to(queries.device)], 1)
        return whole, trl.forward(model, whole, pad).logits[:, queries.shape[1] - 1 : -1]

    def scored(model: Any, *arguments: Any) -> tuple[Any, Any, Any]:
        values, _, lengths = get_reward(model, *arguments)
        return values, scores.to(values), lengths

    get_reward, variance = trl.get_reward, trl.masked_var
    trainer.add_callback(Metering(meter))
    with (
        patch.object(trl, "batch_generation", answered),
        patch.object(trl, "get_reward", scored),
        patch.object(trl, "masked_var", lambda *of: variance(*of, unbiased=False)),
        patch.object(np.random, "permutation", lambda _: next(shuffles)),
    ):
        trainer.train()


def saved_head(job: Job, width: int) -> Any:
    head = torch.nn.Linear(width, 1)
    named = load_file(Path(job.folder("policy")) / "value_head.safetensors")
    head.load_state_dict({name.removeprefix("linear."): one for name, one in named.items()})
    return head.to(getattr(torch, job.precision))


def unused_token(tokenizer: Any, rows: list[dict[str, Any]]) -> str:
    """What TRL takes for padding must not be in a text: the chat's end token is, which the tokenizer pads with."""
    used = {token for one in rows for token in (*one["prompt"], *one["response"])}
    return next(name for name, token in sorted(tokenizer.get_vocab().items()) if token not in used)


def ppo_trainer(
    job: Job, *, rows: list[list[int]], policy: Any, value_model: Any, **settings: Any
) -> Any:
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    unknown = {"train_sampling_strategy", "max_steps"}
    known = {key: one for key, one in settings_of(job).items() if key not in unknown}
    data = Dataset.from_list([{"input_ids": one} for one in rows])
    return PPOTrainer(
        args=PPOConfig(
            tempfile.mkdtemp(dir=job.scratch), total_episodes=16 * job.steps, num_ppo_epochs=4, num_mini_batches=2,
            gradient_accumulation_steps=1, local_rollout_forward_batch_size=16, response_length=64, temperature=1.0,
            num_sample_generations=0, **known | {"per_device_train_batch_size": 16} | settings,
        ),
        processing_class=AutoTokenizer.from_pretrained(job.folder("policy"), padding_side="left"),
        model=policy,
        ref_model=AutoModelForCausalLM.from_pretrained(job.folder("policy"), **loading(job)),
        reward_model=classifier(job),
        value_model=value_model,
        train_dataset=data,
        eval_dataset=data.select(range(2)),
    )  # fmt: skip


def classifier(job: Job) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(job.folder("reward"), **loading(job))


CASES: dict[str, Callable[[Job, Meter], None]] = {
    "reward": lambda job, meter: reward(job, meter, "pairs"),
    "reward_many": lambda job, meter: reward(job, meter, "many_pairs", pairs_a_batch=32),
    "hh_rankings": lambda job, meter: reward(job, meter, "hh_rankings", pairs_a_unit=6),
    "oasst_rankings": lambda job, meter: reward(job, meter, "oasst_rankings", pairs_a_unit=6),
    "dpo": direct,
    "kto": single,
    "sft": supervised,
    "ppo": rollouts,
    "grpo": compared,
    "ppo_losses": losses_of_ppo,
    "generation": generation,
}


if __name__ == "__main__":
    measure_all(CASES)
