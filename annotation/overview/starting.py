"""The last act of a set-up: what is planned begins."""

from django.db import transaction

from annotation.accounts.models import User
from annotation.comparisons.selectors import prompts_to_pair
from annotation.comparisons.services.overlap import draw_overlap_again
from annotation.comparisons.services.pairing import pair_waiting
from annotation.core.errors import Conflict
from annotation.generation.models import SamplingPlan
from annotation.generation.services import request_candidates
from annotation.projects.models import Project, Role
from annotation.projects.selectors import roles_of
from annotation.projects.services.members import set_roles
from annotation.prompts.selectors import imports_under_way


@transaction.atomic
def start(*, project: Project, actor: User, is_labeling: bool) -> str:
    """Pair the candidates that wait, ask the planned policy for more; a sentence of what happens now.

    With ``is_labeling`` the admin becomes a labeler too. Raises Conflict where there is nothing to begin with.
    """
    if is_labeling:
        roles = roles_of(actor, project.pk) | {Role.LABELER}
        set_roles(project=project, user_id=actor.pk, roles=roles, actor=actor)
    draw_overlap_again(project=project, actor=actor)
    told = []
    if prompts_to_pair(project).exists():
        told.append(f"Comparisons made: {pair_waiting(project=project, actor=actor):,}.")
    plan = SamplingPlan.objects.filter(project=project, policy__isnull=False).first()
    if plan is not None and plan.policy is not None:
        try:
            with transaction.atomic():
                run = request_candidates(
                    project=project,
                    policy=plan.policy,
                    per_prompt=plan.per_prompt,
                    temperature=plan.temperature,
                    max_tokens=plan.max_tokens,
                    actor=actor,
                )
        except Conflict as nothing:
            if not told and not project.comparisons.exists():
                raise
            told.append(str(nothing))
        else:
            told.append(
                f"{plan.policy.name} answers {run.progress_total:,} prompts; comparisons appear as it does."
            )
    if not told and not project.comparisons.exists():
        raise Conflict(_why_nothing_begins(project))
    return " ".join(told) or "Everything is under way."


def _why_nothing_begins(project: Project) -> str:
    if (one := imports_under_way(project).first()) is not None:
        return f"{one.filename} is still being imported, and nothing is here to compare before; start when it is done."
    return (
        "There is nothing to compare yet: import responses or judgments, or choose a policy "
        "that answers the prompts."
    )
