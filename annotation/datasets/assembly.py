"""From one prompt's material to its training record, and the statistics of all of them together."""

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

from annotation.datasets.query import SnapshotQuery
from annotation.datasets.selectors import PromptMaterial
from annotation.datasets.splits import LeakCheck
from annotation.datasets.votes import Posterior, PromptVotes, pairs_of, votes_of
from annotation.generation.models import Candidate
from annotation.quality.adjudication import PairVerdict
from training.spec.imitation import imitated
from training.spec.records import (
    EDITED,
    EDITS,
    MACHINE,
    MACHINE_EDITED,
    SPLITS,
    CandidateText,
    DemonstrationText,
    Group,
    Pair,
    Signal,
    Turn,
)
from training.spec.splits import plain, split_key
from training.spec.verdicts import verdicts_of

NAME_LENGTH = 16  # hex digits of a candidate's fingerprint; unique within a prompt
IMPORTED = "imported"
VERDICTS = ("desirable", "undesirable", "undecided", "prompts", "prompts_without")
MATERIAL = ("pair", "decided_pair", "demonstration", "response")
LENGTH_EDGES = (50, 100, 200, 400, 800, 1600, 3200, 6400)  # characters of a response


def candidate_name(fingerprint: str) -> str:
    """The id of a candidate in records: the same wherever the same text answers the same prompt."""
    return fingerprint[:NAME_LENGTH]


def group_of(
    material: PromptMaterial,
    query: SnapshotQuery,
    posteriors: Mapping[tuple[int, int], Posterior],
    adjudicated: Mapping[tuple[int, int], PairVerdict],
) -> Group | None:
    """The record of one prompt; None where nothing was judged and nothing demonstrated."""
    names = {one.pk: candidate_name(one.fingerprint) for one in material.candidates}
    votes = votes_of(material.rows, material.machines)
    found_bad = votes.unacceptable(min_judgments=query.min_judgments, adjudicated=adjudicated)
    bad = {names[pk] for pk in found_bad}
    judged = pairs_of(votes, query, names, posteriors, adjudicated)
    pairs = (*judged, *edit_pairs(material, query, votes, names))
    demonstrations = demonstrations_of(material) if query.demonstrations else ()
    signals = signals_of(material, names)
    if not (pairs or bad or demonstrations or signals):
        return None
    used = (
        bad
        | {one.candidate for one in signals}
        | {name for pair in pairs for name in (pair.chosen, pair.rejected)}
    )
    prompt = tuple(Turn(role=turn["role"], content=turn["content"]) for turn in material.turns)
    return Group(
        prompt_id=material.fingerprint,
        prompt=prompt,
        split=query.split_of(split_key(prompt)),
        candidates=tuple(
            CandidateText(id=names[one.pk], text=one.text, is_finished=one.is_finished)
            for one in material.candidates
            if names[one.pk] in used
        ),
        pairs=pairs,
        unacceptable=tuple(sorted(bad)),
        demonstrations=demonstrations,
        signals=signals,
        criterion_pairs=criterion_pairs(material, query, names, used),
    )


def criterion_pairs(
    material: PromptMaterial, query: SnapshotQuery, names: Mapping[int, str], used: Set[str]
) -> tuple[Pair, ...]:
    """What the votes say under each criterion of the candidates in the record; verdicts of admins are overall ones."""
    pairs = [
        pair
        for name, rows in sorted(material.criterion_rows.items())
        for pair in pairs_of(
            votes_of(rows, material.machines), replace(query, criterion=name), names, {}, {}
        )
    ]
    return tuple(pair for pair in pairs if {pair.chosen, pair.rejected} <= used)


def signals_of(material: PromptMaterial, names: Mapping[int, str]) -> tuple[Signal, ...]:
    """How often each candidate was accepted and rejected, by its name."""
    counts = Counter((names[key], is_accepted) for key, is_accepted in material.signals)
    return tuple(
        Signal(candidate=name, accepted=counts[name, True], rejected=counts[name, False])
        for name in sorted({name for name, _ in counts})
    )


def demonstrations_of(material: PromptMaterial) -> tuple[DemonstrationText, ...]:
    """What people wrote for this prompt, each text once: here, with review, or imported as written by people.

    Only a file may say of what it holds that a limit cut it: what was written here is whole.
    """
    kinds = {
        one.candidate_id: MACHINE if one.by_machine else one.kind
        for one in sorted(material.demonstrations, key=lambda each: not each.by_machine)
    }
    return tuple(
        DemonstrationText(
            text=one.text,
            source=kinds.get(one.pk, IMPORTED),
            is_finished=one.is_finished or one.pk in kinds,
        )
        for one in material.candidates
        if one.pk in kinds
        or (one.source == Candidate.Source.DEMONSTRATION and one.author_id is None)
    )


def edit_pairs(
    material: PromptMaterial, query: SnapshotQuery, votes: PromptVotes, names: Mapping[int, str]
) -> tuple[Pair, ...]:
    """Each edit over its original, once; where labelers judged the two, theirs stands alone."""
    if not query.takes_edits:
        return ()
    edits = {
        (one.candidate_id, one.source_id): MACHINE_EDITED if one.by_machine else EDITED
        for one in sorted(material.demonstrations, key=lambda each: not each.by_machine)
        if one.source_id is not None and one.candidate_id != one.source_id
    }
    unjudged = [
        (names[edit], names[original], source)
        for (edit, original), source in edits.items()
        if (min(edit, original), max(edit, original)) not in votes.tallies
    ]
    return tuple(
        Pair(
            chosen=edit,
            rejected=original,
            source=source,
            votes_machine=float(source == MACHINE_EDITED),
        )
        for edit, original, source in sorted(unjudged)
    )


def material_of(group: Group) -> dict[str, bool]:
    """What a run finds in the group, by `MATERIAL`; ``response``: one to imitate, written or chosen."""
    pairs = [
        one
        for one in group.pairs
        if one.weight > 0 and group.text_of(one.chosen) != group.text_of(one.rejected)
    ]
    written = imitated(group, includes_chosen=False)
    return {
        "pair": bool(pairs),
        "decided_pair": any(not one.is_tie for one in pairs),
        "demonstration": any(one.text.strip() for one in written),
        "response": any(one.text.strip() for one in imitated(group, includes_chosen=True)),
    }


@dataclass(slots=True)
class Totals:
    """What a manifest says of the records, counted as they pass."""

    groups: int = 0
    pairs: int = 0
    ties: int = 0
    edit_preferences: int = 0
    unacceptable: int = 0
    demonstrations: int = 0
    accepted: int = 0  # signals
    rejected: int = 0
    criterion_pairs: int = 0
    candidates: int = 0
    prompt_characters: int = 0
    chosen_characters: int = 0
    rejected_characters: int = 0
    longer_chosen: int = 0
    unequal_lengths: int = 0
    pairs_alike: int = 0
    last_turns: LeakCheck = field(default_factory=LeakCheck)
    splits: Counter[str] = field(default_factory=Counter)
    verdicts: dict[str, Counter[str]] = field(
        default_factory=lambda: {split: Counter() for split in SPLITS}
    )
    prompts_with: dict[str, Counter[str]] = field(
        default_factory=lambda: {split: Counter() for split in SPLITS}
    )
    pairs_by_split: Counter[str] = field(default_factory=Counter)
    votes_a_pair: Counter[int] = field(default_factory=Counter)
    margins: Counter[int] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)

    def add(self, group: Group) -> None:
        self.groups += 1
        self.splits[group.split] += 1
        self.last_turns.add(split_key(group.prompt), group.split)
        self.pairs_by_split[group.split] += len(group.pairs)
        self.candidates += len(group.candidates)
        self.unacceptable += len(group.unacceptable)
        self.demonstrations += len(group.demonstrations)
        self.criterion_pairs += len(group.criterion_pairs)
        self.accepted += sum(one.accepted for one in group.signals)
        self.rejected += sum(one.rejected for one in group.signals)
        self.prompt_characters += sum(len(turn.content) for turn in group.prompt)
        for candidate in group.candidates:
            self.lengths[_bucket(len(candidate.text))] += 1
        self._add_pairs(group)
        self._add_verdicts(group)
        self.prompts_with[group.split].update(
            name for name, is_there in material_of(group).items() if is_there
        )

    def _add_verdicts(self, group: Group) -> None:
        """As KTO reads the group."""
        found, told = verdicts_of(group), self.verdicts[group.split]
        if not found:
            told["prompts_without"] += 1
            return
        good = sum(found.values())
        told["prompts"] += 1
        told["desirable"] += good
        told["undesirable"] += len(found) - good
        told["undecided"] += len(group.candidates) - len(found)

    def _add_pairs(self, group: Group) -> None:
        lengths = {candidate.id: len(candidate.text) for candidate in group.candidates}
        texts = {candidate.id: plain(candidate.text) for candidate in group.candidates}
        for pair in group.pairs:
            self.pairs += 1
            self.pairs_alike += texts[pair.chosen] == texts[pair.rejected]
            if pair.source in EDITS:
                self.edit_preferences += 1
                continue
            votes = round(pair.votes_chosen + pair.votes_rejected + pair.votes_tied)
            self.votes_a_pair[votes] += 1
            if pair.is_tie:
                self.ties += 1
                continue
            chosen, rejected = lengths[pair.chosen], lengths[pair.rejected]
            self.chosen_characters += chosen
            self.rejected_characters += rejected
            self.longer_chosen += chosen > rejected
            self.unequal_lengths += chosen != rejected
            self.margins[round(pair.margin)] += 1

    @property
    def signals(self) -> int:
        return self.accepted + self.rejected

    @property
    def preferences(self) -> int:
        """Judged pairs with a winner."""
        return self.pairs - self.ties - self.edit_preferences

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return {
            "counts": {
                "groups": self.groups,
                "candidates": self.candidates,
                "pairs": self.pairs,
                "preferences": self.preferences,
                "ties": self.ties,
                "edit_preferences": self.edit_preferences,
                "unacceptable": self.unacceptable,
                "demonstrations": self.demonstrations,
                "signals": self.signals,
                "accepted": self.accepted,
                "rejected": self.rejected,
                "criterion_pairs": self.criterion_pairs,
            },
            "splits": {name: self.splits[name] for name in SPLITS},
            "pairs_by_split": {name: self.pairs_by_split[name] for name in SPLITS},
            "verdicts_by_split": {
                split: {name: told[name] for name in VERDICTS}
                for split, told in self.verdicts.items()
            },
            "prompts_with_by_split": {
                split: {name: told[name] for name in MATERIAL}
                for split, told in self.prompts_with.items()
            },
            "duplicates": {
                "prompts_alike": self.last_turns.alike(),
                "pairs_alike": self.pairs_alike,
            },
            "tie_share": _ratio(self.ties, self.pairs),
            "votes_a_pair": _sorted(self.votes_a_pair),
            "margins": _sorted(self.margins),
            "lengths": {
                "unit": "characters",
                "mean_prompt": _ratio(self.prompt_characters, self.groups),
                "mean_chosen": _ratio(self.chosen_characters, self.preferences),
                "mean_rejected": _ratio(self.rejected_characters, self.preferences),
                "longer_is_chosen": _ratio(self.longer_chosen, self.unequal_lengths),
                "responses": [
                    {"up_to": edge, "count": self.lengths[index]}
                    for index, edge in enumerate((*LENGTH_EDGES, None))
                ],
            },
        }


def _bucket(length: int) -> int:
    return next((i for i, edge in enumerate(LENGTH_EDGES) if length <= edge), len(LENGTH_EDGES))


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _sorted(counter: Counter[int]) -> dict[str, int]:
    return {str(key): counter[key] for key in sorted(counter)}
