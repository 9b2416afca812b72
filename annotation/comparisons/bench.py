"""What a labeler has before them: prompt, responses in the order drawn for them, and the rows to answer.

It holds no model name and nothing that tells candidates apart but their ids and texts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.comparisons.letters import letters_of
from annotation.comparisons.models import Assignment
from annotation.comparisons.selectors import Response
from annotation.comparisons.services.queue import Lease
from annotation.comparisons.stations import Asked
from annotation.comparisons.steps import Step, steps_of
from annotation.comparisons.verdicts import has_tie, largest_strength
from annotation.projects.models import Project
from annotation.ui import markdown

SPEAKERS: dict[str, str | Promise] = {
    "system": gettext_lazy("System"),
    "user": gettext_lazy("User"),
    "assistant": gettext_lazy("Assistant"),
    "tool": gettext_lazy("Tool"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTurn:
    role: str
    html: SafeString

    @property
    def speaker(self) -> str:
        """Who says it, in the reader's language."""
        return str(SPEAKERS.get(self.role, self.role))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCandidate:
    """A response at its place on the screen; the letter names the place, only for the eye."""

    id: int | str
    letter: str
    html: SafeString
    raw: SafeString
    is_cut: bool  # by the token limit: the text did not end by itself
    difference: str = ""  # from the other of a pair, as HTML, where the page cannot ask for it

    @property
    def name(self) -> str:
        """Response A, in the reader's language."""
        return _("Response %(letter)s") % {"letter": self.letter}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One step of an answer row. The value names a candidate and a strength: `12:3`, or `tie`."""

    value: str
    key: str
    label: str
    short: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One question: the verdict itself, or one criterion.

    Of a pair it has the steps of the project's scale as options; a criterion of a ranking has a rank for each response.
    """

    name: str
    label: str
    help: str
    options: Sequence[Option]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What the template reads of a lease, where the values are to be filled in."""

    pk: str
    seconds_left: str
    project: Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the template of the bench draws."""

    lease: Lease | Marked
    client_uuid: UUID | str
    turns: Sequence[ShownTurn]
    candidates: Sequence[ShownCandidate]
    criteria: Sequence[Asked]
    is_upsetting: bool  # someone skipped it as that

    @property
    def rows(self) -> list[Row]:
        """The questions of the answer bar."""
        return _rows(self.project.answer_scale, self.candidates, self.criteria)

    @property
    def ranks(self) -> range:
        return range(1, len(self.candidates) + 1)

    @property
    def is_pair(self) -> bool:
        return len(self.candidates) == 2

    @property
    def is_conversation(self) -> bool:
        return len(self.turns) > 1

    @property
    def steps(self) -> range:
        """The places between the tiers of a ranking, where a strength may be asked for."""
        return range(1, len(self.candidates))

    @property
    def step_strengths(self) -> list[tuple[int, str, str]]:
        """Strength, its words and its sign, the slightest first."""
        steps = reversed(steps_of(self.project.answer_scale))
        return [(strength, _(words), sign) for strength, words, sign in steps]

    @property
    def project(self) -> Project:
        return self.lease.project

    @property
    def skip_reasons(self) -> list[tuple[str, str]]:
        return [(one.value, str(one.label)) for one in Assignment.SkipReason]

    @property
    def largest_strength(self) -> int:
        """The strength of the strongest step of the project's scale."""
        return largest_strength(self.project.answer_scale)

    @property
    def asks_rationale(self) -> bool:
        return self.project.rationale_rule != Project.RationaleRule.NEVER


def bench_for(lease: Lease, criteria: Sequence[Asked]) -> Bench:
    """Lay out a lease with the criteria of its project; asks the database nothing."""
    return Bench(
        lease=lease,
        client_uuid=uuid4(),
        turns=shown_turns(lease.row.turns),
        candidates=shown_candidates(lease.responses),
        criteria=criteria,
        is_upsetting=lease.row.is_upsetting,
    )


def shown_turns(turns: Iterable[Mapping[str, str]]) -> list[ShownTurn]:
    """The turns of a prompt as HTML."""
    return [ShownTurn(role=turn["role"], html=markdown.render(turn["content"])) for turn in turns]


def shown_candidates(responses: Mapping[int, Response]) -> list[ShownCandidate]:
    """Responses as HTML, in their order, each with a letter."""
    letters = letters_of(list(responses))
    return [
        ShownCandidate(
            id=pk,
            letter=letters[pk],
            html=markdown.response(one.text),
            raw=markdown.raw(one.text),
            is_cut=not one.is_finished,
        )
        for pk, one in responses.items()
    ]


def answer_keys(scale: str) -> list[tuple[list[str], str]]:
    """The digits of a scale and what they answer, for the list of keys."""
    words, tie = [_(one.words) for one in steps_of(scale)], has_tie(scale)
    steps = len(words)
    digits = [str(number) for number in range(1, 2 * steps + tie + 1)]
    return [
        (digits[:steps], _("the first is %(steps)s") % {"steps": ", ".join(words)}),
        *([([digits[steps]], _("about the same"))] if tie else []),
        (digits[steps + tie :], _("the second is %(steps)s") % {"steps": ", ".join(words[::-1])}),
    ]


def _rows(scale: str, candidates: Sequence[ShownCandidate], criteria: Sequence[Asked]) -> list[Row]:
    if len(candidates) > 2:
        return [_criterion(one, name=one.name, options=[]) for one in criteria]
    options = _options(scale, *candidates)
    overall = Row(name="overall", label=_("Overall"), help=_("Which is better?"), options=options)
    named = [_criterion(one, name=f"criterion-{one.name}", options=options) for one in criteria]
    return [overall, *named]


def _criterion(criterion: Asked, *, name: str, options: Sequence[Option]) -> Row:
    return Row(name=name, label=criterion.label, help=criterion.question, options=options)


def _options(scale: str, first: ShownCandidate, second: ShownCandidate) -> list[Option]:
    """The steps of the scale, from the first clearly better to the second clearly better: digits in that order."""
    steps = steps_of(scale)
    found = [
        *(_step(first, one) for one in steps),
        *([("tie", _("About the same"), "=")] if has_tie(scale) else []),
        *(_step(second, one) for one in reversed(steps)),
    ]
    return [
        Option(value=value, key=str(number), label=label, short=short)
        for number, (value, label, short) in enumerate(found, start=1)
    ]


def _step(better: ShownCandidate, step: Step) -> tuple[str, str, str]:
    label = f"{better.letter} {_(step.words)}"
    return f"{better.id}:{step.strength}", label, f"{better.letter}{step.sign}"
