"""What disputes are about, told to admins and to the labelers who appeal."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.utils.translation import gettext as _

from annotation.comparisons.letters import (
    letters_of,
    own_letters,
    verdict_in_signs,
    verdict_text,
)
from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.selectors import texts_of
from annotation.projects import pauses
from annotation.projects.models import Project
from annotation.prompts.models import Prompt
from annotation.quality import rules
from annotation.quality.items import last_turn
from annotation.quality.models import Adjudication, Dispute, LabelerAct, Rule

Subject = Dispute.Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Appealed:
    """The subject of a dispute, and the comparison to look at where there is one."""

    title: str
    own_title: str  # to its labeler: in their letters and language
    own_letters: str = ""  # how these map to those of admins
    said: str = ""  # the labeler's own verdict, in the letters of admins
    comparison: Comparison | None = None

    @property
    def comparison_id(self) -> int | None:
        return self.comparison.pk if self.comparison else None


class Compared(NamedTuple):
    """What there was to compare: the question, and each response with its letter."""

    question: str
    responses: list[tuple[str, str]]


def compared_in(about: Mapping[int, Appealed]) -> dict[int, Compared]:
    """By dispute, what there was to compare, where it is about that; two queries, whatever their number."""
    rows = {pk: one.comparison for pk, one in about.items() if one.comparison is not None}
    texts = texts_of([pk for row in rows.values() for pk in row.candidate_ids])
    prompts = Prompt.objects.in_bulk({row.prompt_id for row in rows.values()})
    return {
        pk: Compared(
            last_turn(prompts[row.prompt_id]),
            [(letter, texts[key]) for key, letter in letters_of(row.candidate_ids).items()],
        )
        for pk, row in rows.items()
    }


class _Subjects(NamedTuple):
    """Rows that disputes are about, by the id that disputes name, and what their labelers had judged."""

    decided: dict[int, Adjudication]
    known: dict[int, Comparison]
    ruled: dict[int, Rule]
    paused: dict[int, LabelerAct]
    judged: dict[tuple[int, int], Judgment]  # by comparison and labeler

    def order_seen(self, comparison: Comparison, labeler_id: int) -> Sequence[int]:
        """The order of the candidates on the labeler's screen; the fixed one where nothing is known of it."""
        judgment = self.judged.get((comparison.pk, labeler_id))
        return (judgment and judgment.shown_order) or comparison.candidate_ids

    def said(self, comparison: Comparison, labeler_id: int) -> str:
        judgment = self.judged.get((comparison.pk, labeler_id))
        return verdict_text(judgment, comparison) if judgment else ""


def appealed(project: Project, listed: Iterable[Dispute]) -> dict[int, Appealed]:
    """By dispute id, what each is about; five queries at most, whatever their number."""
    rows = list(listed)
    asked = {
        subject: [one.subject_id for one in rows if one.subject == subject] for subject in Subject
    }
    made = Adjudication.objects.select_related("comparison__project")
    decided = made.in_bulk(asked[Subject.ADJUDICATION])
    known = Comparison.objects.select_related("project").in_bulk(asked[Subject.GOLD])
    found = _Subjects(
        decided=decided,
        known=known,
        ruled={one.series: one for one in rules.rules_of(project)}
        if asked[Subject.EXCLUSION]
        else {},
        paused=LabelerAct.objects.in_bulk(asked[Subject.PAUSE]),
        judged=_judged(rows, {*known, *(one.comparison_id for one in decided.values())}),
    )
    return {one.pk: _ABOUT[Subject(one.subject)](one, found) for one in rows}


def _judged(rows: Iterable[Dispute], comparisons: Iterable[int]) -> dict[tuple[int, int], Judgment]:
    labelers = {one.labeler_id for one in rows}
    judged = Judgment.objects.filter(
        comparison__in=comparisons, labeler__in=labelers, is_repeat=False
    )
    return {(one.comparison_id, one.labeler_id): one for one in judged.order_by("pk")}


def _adjudication(one: Dispute, found: _Subjects) -> Appealed:
    made = found.decided[one.subject_id]
    comparison, order = made.comparison, found.order_seen(made.comparison, one.labeler_id)
    verdict, own = "taste, the votes stay", _("a matter of taste")
    if made.has_verdict:
        scale = comparison.project.answer_scale
        verdict = verdict_text(made, comparison)
        own = verdict_in_signs(made, letters_of(order), scale=scale)
    told = _("Comparison %(number)s was decided: %(verdict)s")
    return Appealed(
        title=f"Comparison {comparison.pk} was decided: {verdict}",
        own_title=told % {"number": comparison.pk, "verdict": own},
        own_letters=own_letters(order, comparison.candidate_ids),
        said=found.said(comparison, one.labeler_id),
        comparison=comparison,
    )


def _gold(one: Dispute, found: _Subjects) -> Appealed:
    comparison = found.known[one.subject_id]
    told = _("The known answer of training comparison %(number)s")
    order = found.order_seen(comparison, one.labeler_id)
    return Appealed(
        title=f"The known answer of training comparison {comparison.pk}",
        own_title=told % {"number": comparison.pk},
        own_letters=own_letters(order, comparison.candidate_ids),
        said=found.said(comparison, one.labeler_id),
        comparison=comparison,
    )


def _exclusion(one: Dispute, found: _Subjects) -> Appealed:
    told = _("Some of your judgments are left out of data sets.")
    return Appealed(title=found.ruled[one.subject_id].get_kind_display(), own_title=told)


def _pause(one: Dispute, found: _Subjects) -> Appealed:
    text = found.paused[one.subject_id].text
    return Appealed(title=f"Paused: {text}", own_title=f"{_('Paused')}: {pauses.told(text)}")


_ABOUT: dict[Subject, Callable[[Dispute, _Subjects], Appealed]] = {
    Subject.ADJUDICATION: _adjudication,
    Subject.GOLD: _gold,
    Subject.EXCLUSION: _exclusion,
    Subject.PAUSE: _pause,
}
