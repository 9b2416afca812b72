"""What changed between two snapshots: pairs added, removed, flipped, even or no more, counted and listed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from annotation.comparisons.models import Comparison
from annotation.core.errors import Conflict
from annotation.datasets.assembly import candidate_name
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.selectors import folder_of
from annotation.generation.models import Candidate
from annotation.projects.models import Project
from training.spec.errors import DataError
from training.spec.records import CandidateText, Group, Pair, Turn, read_groups

PAIRS_AT_ONCE = 200  # whose comparisons are looked up together
Key = tuple[str, str]  # the names of two candidates, in their order


class Change(StrEnum):
    """What became of a pair."""

    FLIPPED = "flipped"  # the other response is chosen
    ADDED = "added"
    REMOVED = "removed"
    EVENED = "evened"  # a tie now
    DECIDED = "decided"  # no tie any more


@dataclass(slots=True)
class Difference:
    """Counts of groups and pairs of one snapshot against an older one."""

    groups_added: int = 0
    groups_removed: int = 0
    groups_moved: int = 0  # to another split
    pairs_added: int = 0
    pairs_removed: int = 0
    pairs_flipped: int = 0
    pairs_evened: int = 0
    pairs_decided: int = 0
    pairs_kept: int = 0

    def as_json(self) -> dict[str, int]:
        return asdict(self)

    def changed(self, change: Change) -> int:
        """How many pairs changed so."""
        return int(getattr(self, f"pairs_{change}"))

    def count(self, new: Group | None, old: Group | None) -> None:
        """Take in a prompt of one snapshot, of the other, or of both; its pairs apart."""
        self.groups_added += old is None
        self.groups_removed += new is None
        self.groups_moved += bool(new and old and new.split != old.split)

    def count_pair(self, change: Change | None) -> None:
        """Take in a pair; None is one that stayed as it was."""
        name = f"pairs_{change or 'kept'}"
        setattr(self, name, getattr(self, name) + 1)


class Preference(NamedTuple):
    """What a snapshot says of a pair; votes are of the first response, of the second, and for a tie."""

    preferred: str  # first, second or tie
    votes_first: float
    votes_second: float
    votes_tied: float
    margin: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedPair:
    """A pair that changed: the preference of each snapshot, None where one does not have the pair."""

    change: Change
    prompt_id: str
    prompt: tuple[Turn, ...]
    first: CandidateText
    second: CandidateText
    before: Preference | None
    after: Preference | None


class Placed(NamedTuple):
    """A changed pair, and the comparison of it; None where there is none, as of an edit over its original."""

    pair: ChangedPair
    comparison: int | None


@dataclass(slots=True)
class Comparing:
    """The counts, and of each kind of change the pairs of one page."""

    counts: Difference = field(default_factory=Difference)
    pages: dict[Change, list[ChangedPair]] = field(
        default_factory=lambda: {one: [] for one in Change}
    )


def difference(*, snapshot: DatasetSnapshot, against: DatasetSnapshot) -> Difference:
    """The counts alone."""
    return compared(snapshot=snapshot, against=against, start=0, size=0).counts


def compared(
    *, snapshot: DatasetSnapshot, against: DatasetSnapshot, start: int, size: int
) -> Comparing:
    """Walk both record files side by side, once; keep ``size`` pairs of each change from ``start`` on."""
    found = Comparing()
    for new, old in _prompts(snapshot, against):
        found.counts.count(new, old)
        ours, theirs = _pairs(new), _pairs(old)
        for key, change in _changes(ours, theirs):
            place = found.counts.changed(change) if change else -1
            if change and start <= place < start + size:
                found.pages[change].append(_changed(change, key, new, old))
            found.counts.count_pair(change)
    return found


def changed_pairs(
    *, snapshot: DatasetSnapshot, against: DatasetSnapshot, change: Change
) -> Iterator[ChangedPair]:
    """Every pair that changed so, by prompt; a prompt of each snapshot is in memory."""
    prompts = _prompts(snapshot, against)
    return (
        _changed(change, key, new, old)
        for new, old in prompts
        for key, became in _changes(_pairs(new), _pairs(old))
        if became == change
    )


def with_comparisons(project: Project, pairs: Iterable[ChangedPair]) -> Iterator[Placed]:
    """Each pair with the comparison of it."""
    rest = iter(pairs)
    while some := list(islice(rest, PAIRS_AT_ONCE)):
        keys = _comparisons(project, {one.prompt_id for one in some})
        for one in some:
            yield Placed(one, keys.get((one.prompt_id, one.first.id, one.second.id)))


def _comparisons(project: Project, prompts: set[str]) -> dict[tuple[str, str, str], int]:
    """The comparison of each pair of candidates to these prompts: that of the fewest candidates, then the oldest."""
    candidates = Candidate.objects.filter(project=project, prompt__fingerprint__in=prompts)
    names = {key: candidate_name(one) for key, one in candidates.values_list("pk", "fingerprint")}
    rows = Comparison.objects.filter(project=project, prompt__fingerprint__in=prompts)
    told = rows.order_by("pk").values_list("pk", "prompt__fingerprint", "candidate_ids")
    found: dict[tuple[str, str, str], int] = {}
    for pk, prompt, keys in sorted(told, key=lambda row: len(row[2])):
        known = sorted(names[key] for key in keys if key in names)
        for place, first in enumerate(known):
            for second in known[place + 1 :]:
                found.setdefault((prompt, first, second), pk)
    return found


def _prompts(
    snapshot: DatasetSnapshot, against: DatasetSnapshot
) -> Iterator[tuple[Group | None, Group | None]]:
    """The prompts of both. Raises Conflict at once where one is not built, while they are read where a file is bad."""
    for one in (snapshot, against):
        if one.status != one.Status.DONE:
            raise Conflict(f"{one.name} is {one.status}; only finished snapshots can be compared.")
    return _side_by_side(folder_of(snapshot), folder_of(against))


def _side_by_side(left: Path, right: Path) -> Iterator[tuple[Group | None, Group | None]]:
    """Both files are sorted by prompt."""
    try:
        ours, theirs = read_groups(left), read_groups(right)
        new, old = next(ours, None), next(theirs, None)
        while new is not None or old is not None:
            if old is None or (new is not None and new.prompt_id < old.prompt_id):
                yield new, None
                new = next(ours, None)
            elif new is None or old.prompt_id < new.prompt_id:
                yield None, old
                old = next(theirs, None)
            else:
                yield new, old
                new, old = next(ours, None), next(theirs, None)
    except DataError as error:
        raise Conflict(f"The files of a snapshot cannot be read: {error}") from error


def _pairs(group: Group | None) -> dict[Key, Pair]:
    pairs = () if group is None else group.pairs
    return {(min(one.chosen, one.rejected), max(one.chosen, one.rejected)): one for one in pairs}


def _changes(
    ours: Mapping[Key, Pair], theirs: Mapping[Key, Pair]
) -> Iterator[tuple[Key, Change | None]]:
    """Every pair of either; None of what stayed."""
    for key, pair in ours.items():
        yield key, _change(pair, theirs.get(key))
    for key in theirs:
        if key not in ours:
            yield key, Change.REMOVED


def _change(new: Pair, old: Pair | None) -> Change | None:
    if old is None:
        return Change.ADDED
    if new.is_tie or old.is_tie:
        ties = (new.is_tie, old.is_tie)
        return {(True, False): Change.EVENED, (False, True): Change.DECIDED}.get(ties)
    return Change.FLIPPED if new.chosen != old.chosen else None


def _changed(change: Change, key: Key, new: Group | None, old: Group | None) -> ChangedPair:
    """The pair with its texts, which are those of the newer snapshot where it has them."""
    has = new if new is not None and key in _pairs(new) else old
    assert has is not None  # noqa: S101 - the pair is of one of them
    return ChangedPair(
        change=change,
        prompt_id=has.prompt_id,
        prompt=has.prompt,
        first=has.candidate(key[0]),
        second=has.candidate(key[1]),
        before=_preference(_pairs(old).get(key), key),
        after=_preference(_pairs(new).get(key), key),
    )


def _preference(pair: Pair | None, key: Key) -> Preference | None:
    if pair is None:
        return None
    is_first = pair.chosen == key[0]
    votes = (pair.votes_chosen, pair.votes_rejected)
    first, second = votes if is_first else reversed(votes)
    preferred = "tie" if pair.is_tie else "first" if is_first else "second"
    return Preference(preferred, first, second, pair.votes_tied, pair.margin, pair.source)


HEAD = (
    *("change", "prompt_id", "prompt", "first", "first_text", "second", "second_text"),
    *("before", "votes_first_before", "votes_second_before", "votes_tied_before", "margin_before"),
    *("after", "votes_first_after", "votes_second_after", "votes_tied_after", "margin_after"),
    "comparison",
)


def table_rows(
    project: Project, pairs: Iterable[ChangedPair]
) -> Iterator[list[Any]]:  # Any: a cell is text or a number
    """The pairs as rows of a table under `HEAD`; the prompt is its last turn."""
    for one, comparison in with_comparisons(project, pairs):
        yield [
            *(one.change.value, one.prompt_id, one.prompt[-1].content),
            *(one.first.id, one.first.text, one.second.id, one.second.text),
            *_cells(one.before),
            *_cells(one.after),
            comparison or "",
        ]


def _cells(told: Preference | None) -> list[Any]:  # Any: as above
    return [""] * 5 if told is None else list(told[:5])
