"""How a project means to sample: kept while it is set up, used when it starts."""

from django.db import transaction

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.core.errors import InvalidInput
from annotation.generation.models import SamplingPlan
from annotation.generation.sampling import check_sampling
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion


@transaction.atomic
def save_plan(
    *,
    project: Project,
    policy: ModelVersion | None,
    per_prompt: int,
    temperature: float,
    max_tokens: int,
    actor: User,
) -> SamplingPlan:
    """Keep what the set-up chose; nothing is asked yet."""
    check_sampling(
        per_prompt=per_prompt, temperature=temperature, top_p=1.0, max_tokens=max_tokens, seed=0
    )
    if policy is not None and (
        policy.project_id != project.pk or policy.kind != ModelVersion.Kind.POLICY
    ):
        raise InvalidInput.at("policy", "Choose a policy of this project.")
    facts = {"per_prompt": per_prompt, "temperature": temperature, "max_tokens": max_tokens}
    plan, _ = SamplingPlan.objects.update_or_create(
        project=project, defaults={**facts, "policy": policy}
    )
    record("sampling.planned", project, actor=actor, policy=policy and policy.pk, **facts)
    return plan
