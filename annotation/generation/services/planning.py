"""How a project means to sample: kept while it is set up, used when it starts."""

from collections.abc import Collection

from django.db import transaction

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.core.errors import InvalidInput
from annotation.generation.models import SamplingPlan
from annotation.generation.sampling import MOST_PER_PROMPT, check_sampling
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion

MOST_POLICIES = 9


@transaction.atomic
def save_plan(
    *,
    project: Project,
    policies: Collection[ModelVersion],
    per_prompt: int,
    temperature: float,
    max_tokens: int,
    actor: User,
) -> SamplingPlan:
    """Keep what the set-up chose; nothing is asked yet. Without policies the responses are imported."""
    check_sampling(
        per_prompt=per_prompt, temperature=temperature, top_p=1.0, max_tokens=max_tokens, seed=0
    )
    kind = ModelVersion.Kind.POLICY
    if any(one.project_id != project.pk or one.kind != kind for one in policies):
        raise InvalidInput.at("policies", "Choose policies of this project.")
    check_responses(per_prompt, policies=len(policies))
    facts = {"per_prompt": per_prompt, "temperature": temperature, "max_tokens": max_tokens}
    plan, _ = SamplingPlan.objects.update_or_create(project=project, defaults=facts)
    plan.policies.set(policies)
    keys = sorted(one.pk for one in policies)
    record("sampling.planned", project, actor=actor, policies=keys, **facts)
    return plan


def check_responses(per_prompt: int, *, policies: int) -> None:
    """Refuse more policies, or more responses of all of them, than can be compared. Raises InvalidInput."""
    if policies > MOST_POLICIES:
        raise InvalidInput.at(
            "policies", f"{policies} policies are chosen; at most {MOST_POLICIES} are compared."
        )
    if per_prompt * policies > MOST_PER_PROMPT:
        raise InvalidInput.at(
            "per_prompt",
            f"{per_prompt} responses of each of {policies} policies are {per_prompt * policies} a prompt; "
            f"at most {MOST_PER_PROMPT} are compared.",
        )
