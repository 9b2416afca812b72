"""A snapshot folder of files of rows, for who trains without the site.

Rows of one prompt become one group: equal texts are one response, and what several rows say of two responses is
counted as votes. Splits are dealt by the last user turn as in the site's snapshots, where the rows name none.
"""

import gzip
import hashlib
import json
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from training.data.rows import RowRefused, Said, Turns, read_row
from training.spec.errors import DataError
from training.spec.records import (
    GROUPS_FILE,
    MANIFEST_FILE,
    SPLITS,
    CandidateText,
    DemonstrationText,
    Group,
    Pair,
    Signal,
    group_to_json,
)
from training.spec.splits import split_key, split_of

NAME_LENGTH = 16  # hex digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What went into a snapshot folder, as its manifest says; ``refused`` are sentences, one a row that did not."""

    sha256: str
    rows: int
    splits: dict[str, int]  # groups of each
    pairs: int
    demonstrations: int
    signals: int
    refused: tuple[str, ...]

    def __str__(self) -> str:
        splits = ", ".join(f"{count:,} {name}" for name, count in self.splits.items())
        return (
            f"{sum(self.splits.values()):,} prompts ({splits}) with {self.pairs:,} pairs, {self.demonstrations:,} "
            f"responses to imitate and {self.signals:,} signals. {len(self.refused):,} of "
            f"{self.rows + len(self.refused):,} rows were left out{self._where}."
        )

    @property
    def _where(self) -> str:
        return f"; {MANIFEST_FILE} names them" if self.refused else ""


@dataclass(slots=True)
class _Votes:
    """What rows say of two responses, in the order of their ids."""

    first: float = 0.0
    second: float = 0.0
    margin: float = 0.0  # summed, positive in the first one's favor

    def add(self, said: Said, *, is_swapped: bool) -> None:
        favor, margin = said.favor, said.margin
        if is_swapped:
            favor, margin = 1 - favor, -margin
        self.first += favor
        self.second += 1 - favor
        self.margin += margin

    def pair(self, first: str, second: str) -> Pair:
        total = self.first + self.second
        is_tie = self.first == self.second
        if self.second > self.first:
            swapped = _Votes(self.second, self.first, -self.margin)
            return swapped.pair(second, first)
        return Pair(
            chosen=first,
            rejected=second,
            is_tie=is_tie,
            votes_chosen=self.first,
            votes_rejected=self.second,
            soft_label=round(self.first / total, 6),
            margin=0.0 if is_tie else round(max(self.margin / total, 0.0), 6),
        )


@dataclass(slots=True)
class _Draft:
    """A group while its rows are read."""

    prompt: Turns
    split: str
    texts: dict[str, str] = field(default_factory=dict)  # id -> text
    votes: dict[tuple[str, str], _Votes] = field(default_factory=dict)
    imitated: dict[str, None] = field(default_factory=dict)  # in the order they came
    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    cut: set[str] = field(default_factory=set)  # texts of which a row says so

    def add(self, said: Said) -> None:
        self.cut.update(said.cut)
        if said.chosen:
            self._add_pair(said)
        if said.imitated:
            self.imitated[said.imitated] = None
        if said.signaled:
            counted = self.accepted if said.is_accepted else self.rejected
            counted[self._named(said.signaled)] += 1

    def _add_pair(self, said: Said) -> None:
        chosen, rejected = self._named(said.chosen), self._named(said.rejected)
        first, second = sorted((chosen, rejected))
        votes = self.votes.setdefault((first, second), _Votes())
        votes.add(said, is_swapped=first != chosen)

    def _named(self, text: str) -> str:
        name = _digest(text)[:NAME_LENGTH]
        self.texts[name] = text
        return name

    def group(self, prompt_id: str) -> Group:
        signaled = sorted({*self.accepted, *self.rejected})
        return Group(
            prompt_id=prompt_id,
            prompt=self.prompt,
            split=self.split,
            candidates=tuple(
                CandidateText(id=name, text=text, is_finished=text not in self.cut)
                for name, text in sorted(self.texts.items())
            ),
            pairs=tuple(votes.pair(*names) for names, votes in sorted(self.votes.items())),
            demonstrations=tuple(
                DemonstrationText(text=text, source="imported", is_finished=text not in self.cut)
                for text in self.imitated
            ),
            signals=tuple(
                Signal(candidate=name, accepted=self.accepted[name], rejected=self.rejected[name])
                for name in signaled
            ),
        )


class _Drafts:
    """All groups; a last user turn has one split."""

    def __init__(self, *, shares: dict[str, float], seed: int) -> None:
        self._shares, self._seed = shares, seed
        self._split_by_key: dict[int, str] = {}
        self._by_id: dict[str, _Draft] = {}

    def add(self, said: Said) -> None:
        """Raise RowRefused where the row names another split than rows before it."""
        key = split_key(said.prompt)
        dealt = split_of(key, seed=self._seed, shares=self._shares)
        split = self._split_by_key.setdefault(key, said.split or dealt)
        if said.split not in {"", split}:
            raise RowRefused(
                f"split is {said.split!r}, but a row before it put what this user says last into {split}."
            )
        name = _digest(json.dumps([(turn.role, turn.content) for turn in said.prompt]))
        draft = self._by_id.setdefault(name, _Draft(said.prompt, split))
        draft.add(said)

    def groups(self) -> Iterator[Group]:
        for name, draft in sorted(self._by_id.items()):
            yield draft.group(name)


def gather(paths: Sequence[Path], folder: Path, *, shares: dict[str, float], seed: int) -> Gathered:
    """Read all files and write ``folder``; rows that cannot be taken are named, the others are kept.

    Raises DataError where a file cannot be read, no row can be taken, or the folder holds something already.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise DataError(f"{folder} is there already; choose another folder.")
    drafts, refused, taken = _Drafts(shares=shares, seed=seed), list[str](), 0
    for path in paths:
        for number, line in _lines(path):
            try:
                drafts.add(_said(line))
                taken += 1
            except RowRefused as error:
                refused.append(f"{path.name}, line {number}: {error}")
    if not taken:
        if not refused:
            raise DataError(f"There is no row in {', '.join(map(str, paths))}.")
        raise DataError(
            f"None of the {len(refused)} rows can be taken. The first says: {refused[0]}"
        )
    return _write(folder, list(drafts.groups()), rows=taken, refused=refused)


def _said(line: bytes) -> Said:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RowRefused(f"It is not JSON ({error}).") from error
    return read_row(row)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file of JSON Lines, plain or by gzip, that are not blank, with their numbers."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            yield from (one for one in enumerate(lines, start=1) if one[1].strip())
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read: {reason}.") from error


def _write(folder: Path, groups: Sequence[Group], *, rows: int, refused: Sequence[str]) -> Gathered:
    """The records, then the manifest, into a folder that is there only once it is whole."""
    content = b"".join(group_to_json(group).encode() + b"\n" for group in groups)
    splits = Counter(group.split for group in groups)
    gathered = Gathered(
        sha256=hashlib.sha256(content).hexdigest(),
        rows=rows,
        splits={name: splits[name] for name in SPLITS},
        pairs=sum(len(group.pairs) for group in groups),
        demonstrations=sum(len(group.demonstrations) for group in groups),
        signals=sum(len(group.signals) for group in groups),
        refused=tuple(refused),
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".gathering-") as name:
        draft = Path(name) / "snapshot"
        draft.mkdir()
        (draft / GROUPS_FILE).write_bytes(content)
        manifest = json.dumps(asdict(gathered), indent=1, ensure_ascii=False)
        (draft / MANIFEST_FILE).write_text(manifest + "\n", encoding="utf-8")
        draft.rename(folder)
    return gathered


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
