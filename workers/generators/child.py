"""The child of `local.py`: loads models, samples and scores, and appends lines to `answers.jsonl`.

Lines: ``{"loaded": key}``; ``{"key", "prompt", "samples", "reason", "prompt_tokens_cut"}`` for a prompt, with no
samples where there is a reason; ``{"key", "failed"}`` for a model that cannot be asked; ``{"key", "scores"}`` by the
keys of the responses, with the keys that were ``truncated``, and ``criteria`` where a single prompt's were scored.
``reasons`` say what was not scored where others were: by key, or of each chat (``chat_scores``), empty where it was.
``{"done": true}`` ends the answers to a request.

A child that stays reads the folder of its next request from stdin, and keeps the model that it loaded last.
"""

import gc
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from training.data.chat import Encoded, encode_prompt
from training.models.load import LoadedModel, load_policy
from training.models.reward import load_criteria, load_reward_model, load_temperature
from training.rollout.sampler import Knobs, LocalSampler, Sample
from training.rollout.scoring import Score, Scorer, scorer_of
from training.runtime.device import leave_half, named_failures, pick_device
from training.spec.errors import DataError, OutOfMemory, TrainingError
from training.spec.records import Turn
from workers.generators.local import ANSWERS_FILE, LOG_FILE, REQUEST_FILE, Text

ROWS_AT_ONCE = {"cuda": 256, "cpu": 96}  # fewer make a processor wait for its memory
CACHED_TOKENS = {"cuda": 262_144, "cpu": 24_576}
BYTES_PER_TOKEN = 3  # a guess on the safe side
MOST_ROUNDS = 16  # of prompts in a part: the random numbers of all are drawn at its beginning
SHORTEST_LIMIT = 1024  # tokens of a prompt, however many responses it is to have
SCORE_BUDGET = 8192
PROMPTS_A_LINE = 16
NO_ROOM_BESIDE = (
    "The model needs more than half of the device's memory that is free, and the rest is left to runs. Try again when "
    "no run trains, or give the live worker another device (CUDA_VISIBLE_DEVICES; empty for the CPU)."
)
TOO_LITTLE_MEMORY = (
    "There is too little memory for this prompt; lower max_tokens or the responses a prompt."
)

Tell = Callable[[dict[str, Any]], None]  # Any: JSON
Model = TypeVar("Model")


class Held:
    """The model that was loaded last, for the next task that asks for it."""

    def __init__(self) -> None:
        self._key: object = None
        self._model: object = None

    def get(self, source: str, load: Callable[[str], Model]) -> Model:
        """The model of a folder or hub name; another one is let go before it is loaded."""
        key = (load.__name__, source, _stamps(Path(source)))
        if key != self._key:
            self.let_go()
            self._model, self._key = load(source), key
        return self._model  # type: ignore[return-value] # what `load` of this key gave

    def let_go(self) -> None:
        self._key = self._model = None
        gc.collect()


def _stamps(folder: Path) -> list[tuple[str, int]]:
    """Tells whether the files of a folder are those that were loaded."""
    return sorted((one.name, one.stat().st_mtime_ns) for one in folder.glob("*"))


def serve(folder: Path, told: "SimpleQueue[str]") -> None:
    """Do the request, and those that come within the time that it lets this process stay."""
    held = Held()
    while stay_seconds := main(folder, held):
        try:
            folder = Path(told.get(timeout=stay_seconds))
        except Empty:
            return
        with (folder / LOG_FILE).open("ab") as log:  # where its parent reads why it died
            os.dup2(log.fileno(), sys.stdout.fileno())
            os.dup2(log.fileno(), sys.stderr.fileno())


def main(folder: Path, held: Held) -> float:
    """Do all tasks of the request, in order; one that fails does not stop the next. How long to stay for more."""
    request = json.loads((folder / REQUEST_FILE).read_text(encoding="utf-8"))
    stay_seconds: float = request["stay_seconds"]
    if stay_seconds:
        _leave_half()
    texts: dict[str, Text] = {}
    with (folder / ANSWERS_FILE).open("a", encoding="utf-8") as file:

        def tell(line: dict[str, Any]) -> None:  # Any: JSON
            file.write(json.dumps(line) + "\n")
            file.flush()

        for task in request["tasks"]:
            try:
                with named_failures():
                    texts |= do(task, texts, tell, held)
            except TrainingError as error:
                held.let_go()
                tell({"key": task["key"], "failed": sentence_of(error, is_guest=stay_seconds > 0)})
            gc.collect()
        tell({"done": True})
    return stay_seconds


@cache
def _leave_half() -> None:
    """Once: with a model loaded, less is free."""
    leave_half()


def sentence_of(error: TrainingError, *, is_guest: bool) -> str:
    """Why a task failed, with what helps."""
    return NO_ROOM_BESIDE if is_guest and isinstance(error, OutOfMemory) else str(error)


def do(
    task: dict[str, Any],  # Any: JSON
    texts: dict[str, Text],
    tell: Tell,
    held: Held,
) -> dict[str, Text]:
    """One task; the first response of each key that it sampled."""
    if task["task"] == "score_chats":
        score_chats(task, tell, held)
        return {}
    if task["task"] == "score":
        score(task, {**task["texts"], **texts}, tell, held)
        return {}
    if task["task"] == "score_many":
        score_many(task, tell, held)
        return {}
    return sample(task, tell, held)


def sample(task: dict[str, Any], tell: Tell, held: Held) -> dict[str, Text]:  # Any: JSON
    """Answer all prompts of a task, the longest first, each told as soon as it is answered."""
    device = pick_device()
    loaded = held.get(task["model"], load_sampled)
    tell({"loaded": task["key"]})
    rows, cached_tokens = ROWS_AT_ONCE[device.type], CACHED_TOKENS[device.type]
    longest = longest_prompt(task, cached_tokens)
    sampler = LocalSampler(loaded.model, loaded.tokenizer, max_prompt_tokens=longest)
    first: dict[str, Text] = {}
    for part in parts(task, rows=rows, cached_tokens=cached_tokens):
        for prompt, (samples, reason, cut) in answers(sampler, part, task):
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


class Part(NamedTuple):
    """Prompts of a task, the longest first, and how many of them are asked at once."""

    prompts: Sequence[dict[str, Any]]  # Any: JSON
    at_once: int


def parts(task: dict[str, Any], *, rows: int, cached_tokens: int) -> Iterator[Part]:  # Any: JSON
    """All prompts, the longest first, so that too little memory shows at once. Of a part as many are asked at once as
    the cache holds of its first; none is half as long.
    """

    def length(prompt: dict[str, Any]) -> int:  # Any: JSON
        said = sum(len(turn["content"].encode("utf-8", "replace")) for turn in prompt["turns"])
        return int(said // BYTES_PER_TOKEN + task["max_tokens"])

    waiting = sorted(task["prompts"], key=length, reverse=True)
    while waiting:
        longest = length(waiting[0])
        at_once = max(1, min(rows, cached_tokens // longest) // task["n"])
        part = [one for one in waiting[: at_once * MOST_ROUNDS] if 2 * length(one) > longest]
        yield Part(part, at_once)
        waiting = waiting[len(part) :]


class Answer(NamedTuple):
    """The responses to a prompt, why there are none, and how many of its tokens were cut."""

    samples: Sequence[Sample] = ()
    reason: str = ""
    cut: int = 0


def answers(
    sampler: LocalSampler,
    part: Part,
    task: dict[str, Any],  # Any: JSON
) -> Iterator[tuple[dict[str, Any], Answer]]:  # Any: JSON
    """Each prompt with its responses, as soon as they are there; of one that is refused the reason."""
    limits = sampler.limits(task["max_tokens"])
    knobs = Knobs(task["n"], task["temperature"], task["top_p"], limits.response, task["seed"])
    taken = list[tuple[dict[str, Any], Encoded]]()  # Any: JSON
    for prompt in part.prompts:
        try:
            taken.append((prompt, read_prompt(sampler, prompt, task, longest=limits.prompt)))
        except DataError as error:
            yield prompt, Answer(reason=str(error))
    prompts, read = [one for one, _ in taken], [one for _, one in taken]
    for place, answer in ask(sampler, read, knobs, at_once=part.at_once):
        yield prompts[place], answer


def ask(
    sampler: LocalSampler, read: Sequence[Encoded], knobs: Knobs, *, at_once: int
) -> Iterator[tuple[int, Answer]]:
    """The place of each prompt with its responses. Where memory is short, half as many are asked at once, down to
    single ones: of those that do not fit the reason is told.
    """
    waiting = dict(enumerate(read))
    at_once = min(at_once, len(waiting))
    while waiting:
        asked = list(waiting)[: None if at_once > 1 else 1]
        sampler.rows = at_once * knobs.n
        try:
            with named_failures():
                for number, samples in sampler.sampled([read[one].ids for one in asked], knobs):
                    yield asked[number], Answer(samples, cut=waiting.pop(asked[number]).cut)
        except OutOfMemory:  # and no more of it: its frames hold all that the rows held
            is_alone, at_once = at_once == 1, max(1, at_once // 2)
            if is_alone:
                del waiting[asked[0]]
                yield asked[0], Answer(reason=TOO_LITTLE_MEMORY)
        gc.collect()


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


def score(
    task: dict[str, Any],  # Any: JSON
    texts: dict[str, Text],
    tell: Tell,
    held: Held,
) -> None:
    """Rewards of the responses to one prompt."""
    if not texts:
        return
    scorer = held.get(task["model"], explaining)
    (judged,) = judge(scorer, [{"turns": task["turns"], "texts": texts}])
    if isinstance(judged, DataError):
        raise judged
    told = dict(zip(texts, judged, strict=True))
    tell(
        {
            "key": task["key"],
            **scores_of(told),
            "criteria": {name: dict(one.criteria) for name, one in told.items() if one.criteria},
        }
    )


def score_many(task: dict[str, Any], tell: Tell, held: Held) -> None:  # Any: JSON
    """Rewards of the responses to many prompts, some prompts a line."""
    scorer = held.get(task["model"], load_scorer)
    rows = task["rows"]
    for start in range(0, len(rows), PROMPTS_A_LINE):
        part = rows[start : start + PROMPTS_A_LINE]
        told, reasons = dict[str, Score](), dict[str, str]()
        for one, judged in zip(part, judge(scorer, part), strict=True):
            if isinstance(judged, DataError):
                reasons |= dict.fromkeys(one["texts"], str(judged))
            else:
                told |= zip(one["texts"], judged, strict=True)
        tell({"key": task["key"], **scores_of(told), "reasons": reasons})


def scores_of(told: dict[str, Score]) -> dict[str, Any]:  # Any: JSON
    return {
        "scores": {name: one.mean for name, one in told.items()},
        "truncated": [name for name, one in told.items() if one.is_truncated],
    }


def judge(
    scorer: Scorer,
    rows: list[dict[str, Any]],  # Any: JSON
) -> list[list[Score] | DataError]:
    """The scores of the texts of each row, or why it has none; those that did not end are read without an end, as in
    training.
    """
    return scorer.judge_each(
        [turns_of(one["turns"]) for one in rows],
        [[text for text, _ in one["texts"].values()] for one in rows],
        finished=[[is_finished for _, is_finished in one["texts"].values()] for one in rows],
    )


def score_chats(task: dict[str, Any], tell: Tell, held: Held) -> None:  # Any: JSON
    """Rewards of the last turns of many chats, by one load of the model; a chat does not say that one was cut.

    Chats of several people are in one task: one that the model refuses has its reason, and the others their scores.
    """
    scorer = held.get(task["model"], explaining)
    chats = [turns_of(chat) for chat in task["chats"]]
    judged = scorer.judge_each(
        [chat[:-1] for chat in chats], [[chat[-1].content] for chat in chats]
    )
    line = {"key": task["key"], "temperature": load_temperature(Path(task["model"]))}
    reasons = [str(one) if isinstance(one, DataError) else "" for one in judged]
    tell({**line, "chat_scores": [chat_score(one) for one in judged], "reasons": reasons})


def chat_score(judged: list[Score] | DataError) -> list[Any] | None:  # Any: JSON
    """What is told of one chat; None where it was refused."""
    if isinstance(judged, DataError):
        return None
    (one,) = judged
    return [one.mean, one.deviation, dict(one.criteria), one.is_truncated]


def load_sampled(source: str) -> LoadedModel:
    return load_policy(source, precision="auto", device=pick_device())


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


def listen(told: "SimpleQueue[str]") -> None:
    """Hear what the parent says. Leave as soon as stdin ends: the worker that asked is gone, and nobody reads on."""
    for line in sys.stdin:
        told.put(line.rstrip("\n"))
    os._exit(3)


if __name__ == "__main__":
    heard: "SimpleQueue[str]" = SimpleQueue()
    if os.environ.get("CONCORD_FOLLOW_STDIN") == "1":
        threading.Thread(target=listen, args=[heard], daemon=True).start()
    serve(Path(sys.argv[1]), heard)
