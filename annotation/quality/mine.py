"""What a labeler may see of what was decided about their work: never who else said what, never real gold.

Verdicts are in the letters that the labeler saw.
"""

from dataclasses import replace
from typing import NamedTuple

from django.utils.translation import gettext as _

from annotation.comparisons.gold import gold_answers, is_right_answer, known_tiers
from annotation.comparisons.letters import letters_of, ranking_text, verdict_in_signs
from annotation.comparisons.models import Comparison, Flag, Judgment
from annotation.measures.statistic import Statistic
from annotation.projects.models import Project
from annotation.quality import disputes, rule_kinds
from annotation.quality.adjudication import standing_adjudications
from annotation.quality.labeler_table import ALONE, NO_MAJORITY
from annotation.quality.models import Adjudication, Rule

SHOWN = 50


class Decided(NamedTuple):
    """A comparison that an admin decided, beside the labeler's own judgment of it."""

    adjudication: Adjudication
    judgment: Judgment
    question: str
    is_same: bool  # the same verdict, or none: the cause is taste
    verdict: str
    said: str


def decided_otherwise(project: Project, labeler_id: int) -> list[Decided]:
    """The newest adjudications of what this labeler judged; two queries."""
    rows = standing_adjudications(project).filter(
        comparison__judgments__labeler_id=labeler_id,
        comparison__judgments__withdrawn_at=None,
        comparison__judgments__is_repeat=False,
    )
    found = list(rows.select_related("comparison__prompt")[:SHOWN])
    mine = Judgment.objects.filter(
        labeler_id=labeler_id,
        withdrawn_at=None,
        is_repeat=False,
        comparison_id__in=[one.comparison_id for one in found],
    )
    own = {one.comparison_id: one for one in mine}
    scale = project.answer_scale
    return [_decided(one, own[one.comparison_id], scale) for one in found]


def _decided(one: Adjudication, judgment: Judgment, scale: str) -> Decided:
    verdict, own = (one.is_all_bad, one.ranking), (judgment.is_all_bad, judgment.ranking)
    is_same = not one.has_verdict or verdict == own
    letters = letters_seen(judgment, one.comparison)
    return Decided(
        adjudication=one,
        judgment=judgment,
        question=question_of(one.comparison.prompt.turns),
        is_same=is_same,
        verdict=verdict_in_signs(one, letters, scale=scale),
        said=verdict_in_signs(judgment, letters, scale=scale),
    )


def letters_seen(judgment: Judgment, comparison: Comparison) -> dict[int, str]:
    """The letters on the screen of the labeler; the fixed ones where nothing is known of it."""
    return letters_of(judgment.shown_order or comparison.candidate_ids)


class Trained(NamedTuple):
    """A training answer, whose known answer was shown when it was given."""

    comparison_id: int
    question: str
    is_right: bool
    note: str
    known: str
    said: str


def training_answers(project: Project, labeler_id: int) -> list[Trained]:
    """The newest training answers of this labeler; one query."""
    rows = gold_answers(project).filter(labeler_id=labeler_id, assignment__is_training=True)
    rows = rows.select_related("comparison__prompt", "comparison__gold").order_by("-pk")
    return [_trained(one, project.answer_scale) for one in rows[:SHOWN]]


def _trained(one: Judgment, scale: str) -> Trained:
    letters, tiers = letters_seen(one, one.comparison), known_tiers(one.comparison)
    return Trained(
        comparison_id=one.comparison_id,
        question=question_of(one.comparison.prompt.turns),
        is_right=is_right_answer(one),
        note=one.comparison.gold.note,
        known=ranking_text(tiers, letters) if tiers else _("All bad"),
        said=verdict_in_signs(one, letters, scale=scale),
    )


class Flagged(NamedTuple):
    """What a labeler told the admins about a comparison, with its question."""

    flag: Flag
    question: str


def flagged(project: Project, labeler_id: int) -> list[Flagged]:
    """The newest flags of this labeler; one query."""
    rows = project.flags.filter(labeler_id=labeler_id).select_related("comparison__prompt")
    found = rows.order_by("-pk")[:SHOWN]
    return [Flagged(one, question_of(one.comparison.prompt.turns)) for one in found]


def rules_in_words(project: Project, labeler_id: int) -> list[tuple[Rule, str]]:
    """The rules that leave something of this labeler out, in words that name nobody else."""
    about = disputes.rules_about(project, labeler_id)
    return [(one, rule_kinds.own_sentence_of(one)) for one in about]


def question_of(turns: list[dict[str, str]]) -> str:
    """The last turn of a prompt, for a list."""
    return turns[-1]["content"] if turns else ""


def said_to_them(one: Statistic) -> Statistic:
    """A figure for its own labeler: where it is missing, the reason speaks to them."""
    words = {
        ALONE: _("You share no comparison with another labeler yet."),
        NO_MAJORITY: _("On none of your comparisons do the others have a clear majority yet."),
    }
    return replace(one, reason=words.get(one.reason or "", one.reason))
