"""What changed between two snapshots: pairs added, removed, flipped, even or no more."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from annotation.core.errors import Conflict
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.selectors import folder_of
from training.spec.errors import DataError
from training.spec.records import Group, read_groups

TIE = "tie"
Verdicts = dict[tuple[str, str], str]


@dataclass(slots=True)
class Difference:
    """Counts of groups and pairs of one snapshot against an older one."""

    groups_added: int = 0
    groups_removed: int = 0
    groups_moved: int = 0  # to another split
    pairs_added: int = 0
    pairs_removed: int = 0
    pairs_flipped: int = 0  # the other response is chosen
    pairs_evened: int = 0  # a tie now
    pairs_decided: int = 0  # no tie any more
    pairs_kept: int = 0

    def as_json(self) -> dict[str, int]:
        return asdict(self)


def difference(*, snapshot: DatasetSnapshot, against: DatasetSnapshot) -> Difference:
    """Walk both record files side by side; they are sorted by prompt."""
    for one in (snapshot, against):
        if one.status != one.Status.DONE:
            raise Conflict(f"{one.name} is {one.status}; only finished snapshots can be compared.")
    found = Difference()
    try:
        for new, old in _side_by_side(folder_of(snapshot), folder_of(against)):
            _count(found, new, old)
    except DataError as error:
        raise Conflict(f"The files of a snapshot cannot be read: {error}") from error
    return found


def _side_by_side(left: Path, right: Path) -> Iterator[tuple[Group | None, Group | None]]:
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


def _count(found: Difference, new: Group | None, old: Group | None) -> None:
    found.groups_added += old is None
    found.groups_removed += new is None
    found.groups_moved += bool(new and old and new.split != old.split)
    ours, theirs = _verdicts(new), _verdicts(old)
    for pair, verdict in ours.items():
        if pair not in theirs:
            found.pairs_added += 1
        elif theirs[pair] == verdict:
            found.pairs_kept += 1
        elif verdict == TIE:
            found.pairs_evened += 1
        elif theirs[pair] == TIE:
            found.pairs_decided += 1
        else:
            found.pairs_flipped += 1
    found.pairs_removed += len(theirs.keys() - ours.keys())


def _verdicts(group: Group | None) -> Verdicts:
    if group is None:
        return {}
    return {
        (min(pair.chosen, pair.rejected), max(pair.chosen, pair.rejected)): TIE
        if pair.is_tie
        else pair.chosen
        for pair in group.pairs
    }
