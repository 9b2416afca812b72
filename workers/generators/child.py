"""The child of `local.py`: loads models, samples and scores, and appends lines to `answers.jsonl`.

Lines: ``{"loaded": key}``; ``{"key", "prompt", "samples", "reason", "prompt_tokens_cut"}`` for a prompt, with no
samples where there is a reason; ``{"key", "failed"}`` for a model that cannot be asked; ``{"key", "scores"}`` by the
keys of the responses, with the keys that were ``truncated``, and ``criteria`` where a single prompt's were scored.
"""

import gc
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from training.data.chat import Encoded, encode_prompt
from training.models.load import load_policy
from training.models.reward import load_criteria, load_reward_model, load_temperature
from training.rollout.sampler import Knobs, LocalSampler, Sample
from training.rollout.scoring import Score, Scorer, scorer_of
from training.runtime.device import leave_half, named_failures, pick_device
from training.spec.errors import DataError, OutOfMemory, TrainingError
from training.spec.records import Turn
from workers.generators.local import ANSWERS_FILE, REQUEST_FILE, Text

ROWS_AT_ONCE = {"cuda": 256, "cpu": 96}  # fewer make a processor wait for its memory
CACHED_TOKENS = {"cuda": 262_144, "cpu": 24_576}
BYTES_PER_TOKEN = 3  # a guess on the safe side
SHORTEST_LIMIT = 1024  # tokens of a prompt, however many responses it is to have
SCORE_BUDGET = 8192
PROMPTS_A_LINE = 16
NO_ROOM_BESIDE = (
    "The model needs more than half of the device's memory that is free, and the rest is left to runs. Try again when "
    "no run trains, or give the live worker another device (CUDA_VISIBLE_DEVICES; empty for the CPU)."
)

Tell = Callable[[dict[str, Any]], None]  # Any: JSON


def main(folder: Path) -> None:
    """Do all tasks of the request, in order; one that fails does not stop the next."""
    request = json.loads((folder / REQUEST_FILE).read_text(encoding="utf-8"))
    is_guest = request["is_guest"]
    if is_guest:
        leave_half()
    texts: dict[str, Text] = {}
    with (folder / ANSWERS_FILE).open("a", encoding="utf-8") as file:

        def tell(line: dict[str, Any]) -> None:  # Any: JSON
            file.write(json.dumps(line) + "\n")
            file.flush()

        for task in request["tasks"]:
            try:
                with named_failures():
                    texts |= do(task, texts, tell)
            except TrainingError as error:
                tell({"key": task["key"], "failed": sentence_of(error, is_guest=is_guest)})
            gc.collect()


def sentence_of(error: TrainingError, *, is_guest: bool) -> str:
    """Why a task failed, with what helps."""
    return NO_ROOM_BESIDE if is_guest and isinstance(error, OutOfMemory) else str(error)


def do(task: dict[str, Any], texts: dict[str, Text], tell: Tell) -> dict[str, Text]:  # Any: JSON
    """One task; the first response of each key that it sampled."""
    if task["task"] == "score_chats":
        score_chats(task, tell)
        return {}
    if task["task"] == "score":
        score(task, {**task["texts"], **texts}, tell)
        return {}
    if task["task"] == "score_many":
        score_many(task, tell)
        return {}
    return sample(task, tell)


def sample(task: dict[str, Any], tell: Tell) -> dict[str, Text]:  # Any: JSON
    """Answer all prompts of a task, a batch at a time, the longest first."""
    device = pick_device()
    loaded = load_policy(task["model"], precision="auto", device=device)
    tell({"loaded": task["key"]})
    rows, cached_tokens = ROWS_AT_ONCE[device.type], CACHED_TOKENS[device.type]
    sampler = LocalSampler(
        loaded.model,
        loaded.tokenizer,
        rows=max(rows, task["n"]),
        max_prompt_tokens=longest_prompt(task, cached_tokens),
    )
    first: dict[str, Text] = {}
    for batch in batches(task, rows=rows, cached_tokens=cached_tokens):
        for prompt, (samples, reason, cut) in answer_batch(sampler, batch, task):
            line = {"key": task["key"], "prompt": prompt["id"], "reason": reason}
            told = [as_json(one) for one in samples]
            tell({**line, "samples": told, "prompt_tokens_cut": cut})
            if samples:
                first[task["key"]] = samples[0].text, samples[0].finished
    return first


def longest_prompt(task: dict[str, Any], cached_tokens: int) -> int:  # Any: JSON
    """The tokens of a prompt that the cache may hold beside its responses; a model may have fewer positions."""
    share: int = cached_tokens // task["n"] - task["max_tokens"]
    return max(SHORTEST_LIMIT, share)


def batches(
    task: dict[str, Any], *, rows: int, cached_tokens: int
) -> Iterator[list[dict[str, Any]]]:  # Any: JSON
    """Prompts of about equal length together, as many as the cache may hold; the longest first, so that too little
    memory shows at once.
    """

    def length(prompt: dict[str, Any]) -> int:  # Any: JSON
        return sum(len(turn["content"].encode("utf-8", "replace")) for turn in prompt["turns"])

    waiting = sorted(task["prompts"], key=length, reverse=True)
    while waiting:
        tokens = length(waiting[0]) // BYTES_PER_TOKEN + task["max_tokens"]
        size = max(1, min(rows, cached_tokens // tokens) // task["n"])
        yield waiting[:size]
        waiting = waiting[size:]


class Answer(NamedTuple):
    """The responses to a prompt, why there are none, and how many of its tokens were cut."""

    samples: Sequence[Sample] = ()
    reason: str = ""
    cut: int = 0


def answer_batch(
    sampler: LocalSampler,
    batch: list[dict[str, Any]],
    task: dict[str, Any],  # Any: JSON
) -> Iterator[tuple[dict[str, Any], Answer]]:  # Any: JSON
    """The batch's responses. Where memory is short or a prompt is refused, halves are asked, down to single prompts."""
    try:
        answers = ask(sampler, batch, task)
    except (DataError, OutOfMemory) as error:
        reason = reason_of(error)  # and no more of it: its frames hold all that the batch held
    else:
        yield from zip(batch, answers, strict=True)
        return
    gc.collect()
    if len(batch) == 1:
        yield batch[0], Answer(reason=reason)
        return
    middle = len(batch) // 2
    yield from answer_batch(sampler, batch[:middle], task)
    yield from answer_batch(sampler, batch[middle:], task)


def reason_of(error: TrainingError) -> str:
    if isinstance(error, OutOfMemory):
        return "There is too little memory for this prompt; lower max_tokens or the responses a prompt."
    return str(error)


def ask(
    sampler: LocalSampler,
    batch: list[dict[str, Any]],
    task: dict[str, Any],  # Any: JSON
) -> list[Answer]:
    limits = sampler.limits(task["max_tokens"])
    knobs = Knobs(task["n"], task["temperature"], task["top_p"], limits.response, task["seed"])
    with named_failures():
        prompts = [read_prompt(sampler, one, task, longest=limits.prompt) for one in batch]
        samples = sampler.sample_tokens([one.ids for one in prompts], knobs)
    return [Answer(drawn, cut=prompt.cut) for drawn, prompt in zip(samples, prompts, strict=True)]


def read_prompt(
    sampler: LocalSampler,
    prompt: dict[str, Any],
    task: dict[str, Any],  # Any: JSON
    *,
    longest: int,
) -> Encoded:
    """Its tokens. Raises DataError where the task wants prompts whole and this one is longer."""
    read = encode_prompt(sampler.tokenizer, turns_of(prompt["turns"]), max_tokens=longest)
    if read.cut and task["whole_prompts"]:
        raise DataError(
            f"The prompt is longer than the model reads here: {longest + read.cut} tokens, and at most {longest} "
            f"beside an answer of {task['max_tokens']}. Lower max_tokens, shorten the principles, or appoint a "
            "model that reads more."
        )
    return read


def score(task: dict[str, Any], texts: dict[str, Text], tell: Tell) -> None:  # Any: JSON
    """Rewards of the responses to one prompt."""
    if not texts:
        return
    scorer = explaining(task["model"])
    judged = judge(scorer, [{"turns": task["turns"], "texts": texts}])[0]
    told = dict(zip(texts, judged, strict=True))
    tell(
        {
            "key": task["key"],
            **scores_of(told),
            "criteria": {name: dict(one.criteria) for name, one in told.items() if one.criteria},
        }
    )


def score_many(task: dict[str, Any], tell: Tell) -> None:  # Any: JSON
    """Rewards of the responses to many prompts, some prompts a line."""
    scorer = load_scorer(task["model"])
    rows = task["rows"]
    for start in range(0, len(rows), PROMPTS_A_LINE):
        part = rows[start : start + PROMPTS_A_LINE]
        told = {
            name: score
            for one, judged in zip(part, judge(scorer, part), strict=True)
            for name, score in zip(one["texts"], judged, strict=True)
        }
        tell({"key": task["key"], **scores_of(told)})


def scores_of(told: dict[str, Score]) -> dict[str, Any]:  # Any: JSON
    return {
        "scores": {name: one.mean for name, one in told.items()},
        "truncated": [name for name, one in told.items() if one.is_truncated],
    }


def judge(scorer: Scorer, rows: list[dict[str, Any]]) -> list[list[Score]]:  # Any: JSON
    """The score of each text of each row; those that did not end are read without an end, as in training."""
    return scorer.judge(
        [turns_of(one["turns"]) for one in rows],
        [[text for text, _ in one["texts"].values()] for one in rows],
        finished=[[is_finished for _, is_finished in one["texts"].values()] for one in rows],
    )


def score_chats(task: dict[str, Any], tell: Tell) -> None:  # Any: JSON
    """Rewards of the last turns of many chats, by one load of the model; a chat does not say that one was cut."""
    scorer = explaining(task["model"])
    chats = [turns_of(chat) for chat in task["chats"]]
    judged = scorer.judge([chat[:-1] for chat in chats], [[chat[-1].content] for chat in chats])
    temperature = load_temperature(Path(task["model"]))
    scores = [[one.mean, one.deviation, dict(one.criteria), one.is_truncated] for (one,) in judged]
    tell({"key": task["key"], "chat_scores": scores, "temperature": temperature})


def load_scorer(source: str) -> Scorer:
    reward = load_reward_model(source, precision="auto", device=pick_device())
    return scorer_of(source, reward, budget=SCORE_BUDGET)


def explaining(source: str) -> Scorer:
    """One that tells what each criterion says too."""
    return replace(load_scorer(source), criteria=load_criteria(Path(source)))


def turns_of(turns: list[dict[str, str]]) -> list[Turn]:
    return [Turn(role=one["role"], content=one["content"]) for one in turns]


def as_json(sample: Sample) -> dict[str, Any]:  # Any: JSON
    return {
        "text": sample.text,
        "is_finished": sample.finished,
        "token_count": len(sample.token_ids),
    }


def end_with_the_parent() -> None:
    """Leave as soon as stdin ends: the worker that asked is gone, and nobody reads on."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(3)


if __name__ == "__main__":
    if os.environ.get("CONCORD_FOLLOW_STDIN") == "1":
        threading.Thread(target=end_with_the_parent, daemon=True).start()
    main(Path(sys.argv[1]))
