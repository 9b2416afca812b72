"""What became of a snapshot's rows as a run read them, in words: learned from or measured on, cut, left out."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from annotation.runs.models import RunEvent, TrainingRun
from training.spec.events import EventKind
from training.spec.naming import words_of

FATES: Mapping[str, Mapping[str, str]] = {
    "Learned from": {
        "prompts_used": "prompts to draw from",
        "pairs_used": "pairs",
        "responses_used": "responses to imitate",
        "good_responses": "desirable responses",
        "bad_responses": "undesirable responses",
        "prompts_ranked": "prompts as rankings",
        "prompts_without_a_ranking": "prompts by their pairs, which leave no single order",
        "prompts_without_another": "prompts alone, without another's response: KTO's reference point is 0",
    },
    "Cut": {
        "prompts_cut": "prompts at max_prompt_tokens, or at what the model has positions for; their end is kept",
        "responses_cut": "responses at max_response_tokens, or at what the model has positions for",
        "responses_without_an_end": "responses as they were sampled: learned from without an end",
    },
    "Left out": {
        "prompts_without_a_pair": "prompts without a pair to learn from",
        "prompts_without_a_response": "prompts without a response to imitate",
        "prompts_without_a_verdict": "prompts without a verdict: as many wins as losses, ties alone, or not judged",
        "ties_dropped": "ties",
        "pairs_without_weight": "pairs of weight 0",
        "pairs_of_equal_text": "pairs of equal text",
        "pairs_equal_after_cut": "pairs of equal text after the cut",
    },
}
KNOWN = frozenset(name for names in FATES.values() for name in names)
OF_RECORDS = ("records", "held_out_records")  # of a run's metrics
HELD_OUT: Mapping[str, str] = {
    "pairs": "Pairs",
    "verdicts": "Verdicts under criteria",
    "responses": "Responses",
    "answers": "Prompts",
}
OF_HELD_OUT: Mapping[str, Mapping[str, str]] = {
    "": {
        "pairs_used": "pairs",
        "responses_used": "responses to imitate",
        "prompts_used": "prompts that were answered",
    },
    "cut: ": {
        **FATES["Cut"],
        "responses_without_an_end": "responses as they were sampled: read without an end",
        "responses_scored_in_part": "answers that the reward model reads in part",
    },
    "left out: ": {
        **FATES["Left out"],
        "prompts_without_a_pair": "prompts without a pair",
        "prompts_not_measured": "prompts beyond those that max_steps takes",
    },
}
OF_READING = frozenset(name for names in OF_HELD_OUT.values() for name in names)


class Fate(NamedTuple):
    """What happened to some rows, and how many of which."""

    title: str
    lines: list[str]


def fates_of(run: TrainingRun) -> list[Fate]:
    """Of the rows of the training split; [] before they are read."""
    counts = (run.result.get("metrics") or {}).get("records") or _read_so_far(run)
    found = [
        Fate(
            title, [_counted(counts[name], text) for name, text in names.items() if name in counts]
        )
        for title, names in FATES.items()
    ]
    others = [f"{count:,} {words_of(name)}" for name, count in counts.items() if name not in KNOWN]
    return [one for one in (*found, Fate("Counted besides", others)) if one.lines]


def held_out_fates_of(run: TrainingRun) -> list[Fate]:
    """Of the rows that the result was measured on, by what of them was read; [] before it is."""
    counted = (run.result.get("metrics") or {}).get("held_out_records") or {}
    return [
        Fate(title, _lines_of(counted[name])) for name, title in HELD_OUT.items() if name in counted
    ]


def _lines_of(counts: Mapping[str, int]) -> list[str]:
    known = [
        f"{fate}{_counted(counts[name], text)}"
        for fate, names in OF_HELD_OUT.items()
        for name, text in names.items()
        if name in counts
    ]
    others = [name for name in counts if name not in OF_READING]
    return known + [f"{counts[name]:,} {words_of(name)}" for name in others]


def _counted(count: int, words: str) -> str:
    """Of 1 "1 prompt without a pair", of 2 "2 prompts without a pair": every text begins with its plural."""
    noun, _, rest = words.partition(" ")
    said = f"{noun.removesuffix('s')} {rest}" if count == 1 else words
    return f"{count:,} {said}".rstrip()


def _read_so_far(run: TrainingRun) -> dict[str, int]:
    """As the run said when it had read them."""
    said = RunEvent.objects.filter(run=run, kind=EventKind.LOG, data__has_any_keys=sorted(KNOWN))
    event = said.order_by("pk").first()  # held-out ones are read later
    data: dict[str, Any] = event.data if event else {}  # Any: JSON
    return {name: count for name, count in data.items() if name in KNOWN}
