"""The last act of a set-up: what is planned begins."""

from collections.abc import Sequence

from django.db import transaction

from annotation.accounts.models import User
from annotation.comparisons.selectors import prompts_to_pair
from annotation.comparisons.services.overlap import draw_overlap_again
from annotation.comparisons.services.pairing import pair_waiting
from annotation.core.errors import Conflict
from annotation.generation.models import GenerationRun, SamplingPlan
from annotation.generation.services import request_planned
from annotation.generation.services.asking import Begun
from annotation.projects.models import Project, Role
from annotation.projects.selectors import roles_of
from annotation.projects.services.members import set_roles
from annotation.prompts.selectors import imports_under_way
from annotation.registry.models import ModelVersion


@transaction.atomic
def start(*, project: Project, actor: User, is_labeling: bool) -> str:
    """Ask the planned policies for more, pair the candidates that wait for none of them; sentences of what happens now.

    With ``is_labeling`` the admin becomes a labeler too. Raises Conflict where there is nothing to begin with,
    InvalidInput where a planned policy cannot be asked any more: then nothing begins.
    """
    if is_labeling:
        roles = roles_of(actor, project.pk) | {Role.LABELER}
        set_roles(project=project, user_id=actor.pk, roles=roles, actor=actor)
    draw_overlap_again(project=project, actor=actor)
    plan = SamplingPlan.objects.filter(project=project).first()
    # First of all: what one policy said is not paired with itself while another is asked.
    begun = Begun([], [], []) if plan is None else request_planned(plan=plan, actor=actor)
    told = []
    if prompts_to_pair(project).exists():
        told.append(f"Comparisons made: {pair_waiting(project=project, actor=actor):,}.")
    told += [*_told_of(begun.runs), *map(_told_of_before, begun.under_way)]
    if begun.refusals and not told and not project.comparisons.exists():
        raise Conflict(" ".join(begun.refusals))
    told += begun.refusals
    if not told and not project.comparisons.exists():
        raise Conflict(_why_nothing_begins(project))
    return " ".join(told) or "Everything is under way."


def _told_of(runs: Sequence[GenerationRun]) -> list[str]:
    if not runs:
        return []
    answers = ", ".join(f"{run.policy} answers {run.progress_total:,} prompts" for run in runs)
    when = "all of them have answered" if runs[0].group_id else "it does"
    retired = [run.policy for run in runs if run.policy.stage == ModelVersion.Stage.RETIRED]
    warned = [f"{one} is retired, and is asked as planned." for one in retired]
    return [f"{answers}; comparisons appear as {when}.", *warned]


def _told_of_before(run: GenerationRun) -> str:
    return (
        f"{run.policy} is being asked in this way already, by generation run {run.pk}, and is not "
        "asked twice; start again once that is over."
    )


def _why_nothing_begins(project: Project) -> str:
    if (one := imports_under_way(project).first()) is not None:
        return f"{one.filename} is still being imported, and nothing is here to compare before; start when it is done."
    return (
        "There is nothing to compare yet: import responses or judgments, or choose a policy "
        "that answers the prompts."
    )
