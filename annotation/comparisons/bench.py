"""What a labeler has before them: prompt, responses in the order drawn for them, and the rows to answer.

It holds no model name and nothing that tells candidates apart but their ids and texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.utils.safestring import SafeString

from annotation.comparisons import selectors
from annotation.comparisons.models import Assignment
from annotation.projects.models import Guideline, Project
from annotation.projects.selectors import current_guideline
from annotation.ui import markdown

LETTERS = "ABCDEFGHI"
STEPS = ((3, "much better", "≫"), (2, "better", ">"), (1, "slightly better", "›"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTurn:
    role: str
    html: SafeString


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCandidate:
    """A response at its place on the screen; the letter names the place, only for the eye."""

    id: int
    letter: str
    text: str
    html: SafeString
    raw: SafeString


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One step of an answer row. The value names a candidate and a strength: `12:3`, or `tie`."""

    value: str
    key: str
    label: str
    short: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One question with its seven steps: the verdict itself, or one criterion."""

    name: str
    label: str
    help: str
    options: Sequence[Option]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    assignment: Assignment
    client_uuid: UUID
    turns: Sequence[ShownTurn]
    candidates: Sequence[ShownCandidate]
    rows: Sequence[Row]
    ranks: Sequence[int]
    guideline: Guideline | None

    @property
    def is_pair(self) -> bool:
        return len(self.candidates) == 2

    @property
    def project(self) -> Project:
        return self.assignment.project

    @property
    def skip_reasons(self) -> list[tuple[str, str]]:
        return [(one.value, str(one.label)) for one in Assignment.SkipReason]

    @property
    def asks_rationale(self) -> bool:
        return self.project.rationale_rule != Project.RationaleRule.NEVER


def bench_for(assignment: Assignment) -> Bench:
    """Lay out an assignment: three queries (texts, criteria, guideline)."""
    texts = selectors.texts_of(assignment.shown_order)
    candidates = [
        ShownCandidate(
            id=pk,
            letter=letter,
            text=texts[pk],
            html=markdown.render(texts[pk]),
            raw=markdown.raw(texts[pk]),
        )
        for pk, letter in zip(assignment.shown_order, LETTERS, strict=False)
    ]
    turns = assignment.comparison.prompt.turns
    return Bench(
        assignment=assignment,
        client_uuid=uuid4(),
        turns=[
            ShownTurn(role=turn["role"], html=markdown.render(turn["content"])) for turn in turns
        ],
        candidates=candidates,
        rows=_rows(assignment.project, candidates) if len(candidates) == 2 else [],
        ranks=range(1, len(LETTERS) + 1),
        guideline=current_guideline(assignment.project),
    )


def _rows(project: Project, candidates: Sequence[ShownCandidate]) -> list[Row]:
    options = _options(*candidates)
    overall = Row(name="overall", label="Overall", help="Which is better?", options=options)
    criteria = [
        Row(
            name=f"criterion-{one.name}",
            label=one.name.replace("-", " ").capitalize(),
            help=one.question,
            options=options,
        )
        for one in project.criteria.all()
    ]
    return [overall, *criteria]


def _options(first: ShownCandidate, second: ShownCandidate) -> list[Option]:
    left = [
        (f"{first.id}:{step}", f"{first.letter} {words}", f"{first.letter}{sign}")
        for step, words, sign in STEPS
    ]
    right = [
        (f"{second.id}:{step}", f"{second.letter} {words}", f"{second.letter}{sign}")
        for step, words, sign in reversed(STEPS)
    ]
    steps = [*left, ("tie", "About the same", "="), *right]
    return [
        Option(value=value, key=str(number), label=label, short=short)
        for number, (value, label, short) in enumerate(steps, start=1)
    ]
