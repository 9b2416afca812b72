"""Training records, one line a group: a prompt, its K candidates and the pairs people judged.

A snapshot folder holds `groups.jsonl` (sorted by prompt id) and `manifest.json`. Nothing here
imports torch or Django.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.spec.errors import DataError

GROUPS_FILE = "groups.jsonl"
MANIFEST_FILE = "manifest.json"
SPLITS = ("train", "validation", "test")
FEWEST_ROWS = 8  # that a trainer takes: decided pairs, responses or prompts, by its kind
ROLES = ("system", "user", "assistant")
JUDGED, EDITED = "judgment", "edit"  # sources of a pair
MACHINE, MACHINE_EDITED = "machine", "machine_edit"  # the same by machines alone
EDITS = frozenset({EDITED, MACHINE_EDITED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message of a chat."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateText:
    """One candidate response: its id in the project, its text, and False where a token limit cut the text."""

    id: str
    text: str
    is_finished: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DemonstrationText:
    """A response to imitate; ``source`` is written, edited (of a candidate) or imported, by people, or machine.

    Only an imported one may be cut by a token limit: then ``is_finished`` is False.
    """

    text: str
    source: str = "written"
    is_finished: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What people said of two candidates of one prompt.

    ``chosen`` and ``rejected`` are candidate ids; for a tie they are in id order. Votes are
    (weighted) counts of judgments for chosen, for rejected and for a tie. ``soft_label`` is the
    probability that chosen is better. ``margin`` is the mean strength
    in chosen's favor, 0 (about the same) to 3 (much better). ``source`` is "judgment", or "edit" where
    chosen is an approved edit of rejected: one person's word, without a strength; "machine" and
    "machine_edit" where no person has judged or written. ``votes_machine`` of the votes are by machines.
    """

    chosen: str
    rejected: str
    is_tie: bool = False
    votes_chosen: float = 1.0
    votes_rejected: float = 0.0
    votes_tied: float = 0.0
    votes_machine: float = 0.0
    soft_label: float = 1.0
    margin: float = 0.0
    weight: float = 1.0
    criterion: str = "overall"
    source: str = JUDGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """How many accepted and how many rejected one candidate, seen alone in a product."""

    candidate: str
    accepted: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One prompt, its candidates, its judged pairs, and the responses people wrote for it.

    ``unacceptable`` names candidates that were judged "all bad": KTO negatives, never half a win.
    ``signals`` are unpaired: KTO learns from them, they rank nothing. ``criterion_pairs`` are what was said of the
    same candidates under single criteria: they explain a score and train none.
    """

    prompt_id: str
    prompt: tuple[Turn, ...]
    split: str = "train"
    candidates: tuple[CandidateText, ...] = ()
    pairs: tuple[Pair, ...] = ()
    unacceptable: tuple[str, ...] = ()
    demonstrations: tuple[DemonstrationText, ...] = ()
    signals: tuple[Signal, ...] = ()
    criterion_pairs: tuple[Pair, ...] = ()

    def candidate(self, candidate_id: str) -> CandidateText:
        """One candidate; KeyError if the group has none by that id."""
        return next_or_key_error(self.candidates, candidate_id)

    def text_of(self, candidate_id: str) -> str:
        """The text of one candidate; KeyError if the group has none by that id."""
        return self.candidate(candidate_id).text


def next_or_key_error(candidates: Iterable[CandidateText], candidate_id: str) -> CandidateText:
    for candidate in candidates:
        if candidate.id == candidate_id:
            return candidate
    raise KeyError(candidate_id)


def group_to_json(group: Group) -> str:
    """One canonical JSON line (sorted keys, no spaces, UTF-8): equal groups give equal bytes."""
    row = asdict(group)
    for response in (*row["candidates"], *row["demonstrations"]):
        if response["is_finished"]:
            del response["is_finished"]  # as nearly all are
    if not group.criterion_pairs:
        del row["criterion_pairs"]  # most projects have no criteria
    return json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def group_from_dict(row: dict[str, Any]) -> Group:
    """The group of one parsed line. Raises DataError naming what is wrong."""
    try:
        group = Group(
            prompt_id=str(row["prompt_id"]),
            prompt=tuple(Turn(**turn) for turn in row["prompt"]),
            split=row.get("split", "train"),
            candidates=tuple(CandidateText(**one) for one in row.get("candidates", ())),
            pairs=tuple(Pair(**pair) for pair in row.get("pairs", ())),
            unacceptable=tuple(row.get("unacceptable", ())),
            demonstrations=tuple(_demonstration(one) for one in row.get("demonstrations", ())),
            signals=tuple(Signal(**one) for one in row.get("signals", ())),
            criterion_pairs=tuple(Pair(**pair) for pair in row.get("criterion_pairs", ())),
        )
    except (KeyError, TypeError) as error:
        raise DataError(
            f"A group record is malformed ({error}); it needs prompt_id and prompt."
        ) from error
    _refuse_odd_values(group)
    return group


def _demonstration(row: str | dict[str, Any]) -> DemonstrationText:  # Any: JSON
    """One demonstration; snapshots of the first format hold its bare text."""
    return DemonstrationText(**row) if isinstance(row, dict) else DemonstrationText(text=row)


def _refuse_odd_values(group: Group) -> None:
    """Raise DataError where a text is none, a number of a pair is none, or a flag is neither true nor false."""
    texts: list[object] = [part for turn in group.prompt for part in (turn.role, turn.content)]
    texts += [one.text for one in group.candidates]
    texts += [one.text for one in group.demonstrations]
    numbers: list[object] = [
        value
        for pair in (*group.pairs, *group.criterion_pairs)
        for value in (pair.soft_label, pair.margin, pair.weight)
    ]
    for value in texts:
        if not isinstance(value, str):
            raise DataError(f"Prompt {group.prompt_id}: {value!r} stands where a text belongs.")
    for value in numbers:
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise DataError(f"Prompt {group.prompt_id}: {value!r} stands where a number belongs.")
    ends = [(one.id, one.is_finished) for one in group.candidates]
    ends += [("a demonstration", one.is_finished) for one in group.demonstrations]
    for name, is_finished in ends:
        if not isinstance(is_finished, bool):
            raise DataError(
                f"Prompt {group.prompt_id}: is_finished of {name} is {is_finished!r}, not true or false."
            )


def no_groups(folder: Path) -> str:
    """What to do about a place that is no snapshot."""
    if folder.is_file():
        return f"{folder} is a file. Make a snapshot of its rows first: python -m training snapshot DIR {folder}"
    return f"There is no {GROUPS_FILE} in {folder}; build or copy a snapshot there first."


def read_groups(folder: Path) -> Iterator[Group]:
    """Stream the groups of a snapshot folder. Raises DataError with the number of a bad line."""
    path = folder / GROUPS_FILE
    if not path.is_file():
        raise DataError(no_groups(folder))
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            yield _group_of_line(line, f"Line {number} of {path}")


def _group_of_line(line: bytes, place: str) -> Group:
    try:
        return group_from_dict(json.loads(line.decode()))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place} is not JSON: {error}.") from error
    except DataError as error:
        raise DataError(f"{place}: {error}") from error
