"""The one act that starts a round."""

from django.db import IntegrityError, transaction
from django.db.models import Max

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.core.errors import Conflict, InvalidInput
from annotation.datasets.query import SnapshotQuery
from annotation.datasets.selectors import splits_of_newest
from annotation.generation.services import request_candidates
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion
from annotation.rounds.estimates import asked_prompts, split_prompts
from annotation.rounds.models import Round
from annotation.rounds.plans import Plan
from annotation.rounds.selectors import start_policy, under_way
from annotation.runs.services import check_sampler
from annotation.runs.specs import settings_with

SEED = 17


@transaction.atomic
def start_round(
    *,
    project: Project,
    plan: Plan,
    policy: ModelVersion | None = None,
    sampler: ModelVersion | None = None,
    actor: User,
) -> Round:
    """Ask the policy (the serving one where none is named) for responses; the rest follows by itself.

    Raises Conflict while another round is under way, InvalidInput where the policy cannot be trained or the
    sampler cannot follow it.
    """
    Project.objects.select_for_update().get(pk=project.pk)  # numbers are given one at a time
    if (present := under_way(project)) is not None:
        raise Conflict(f"{present} is {present.state}; cancel it, or let it end, before the next.")
    policy = policy or start_policy(project)
    check_policy(project, policy)
    check_server(project, plan, sampler)
    check_training(project, plan)
    assert policy is not None  # noqa: S101 - checked above
    last = project.rounds.aggregate(last=Max("number"))["last"] or 0
    generation = request_candidates(
        project=project,
        policy=policy,
        per_prompt=plan.per_prompt,
        temperature=plan.temperature,
        max_tokens=plan.max_tokens,
        max_prompts=plan.max_prompts,
        seed=SEED + last,  # the same policy answers anew in every round
        actor=actor,
    )
    row = _stored(project, last + 1, plan, policy)
    row.generation, row.sampler, row.created_by = generation, sampler, actor
    row.save(update_fields=["generation", "sampler", "created_by"])
    record("round.started", row, actor=actor, number=row.number, plan=row.plan, policy=policy.pk)
    return row


def _stored(project: Project, number: int, plan: Plan, policy: ModelVersion) -> Round:
    try:
        with transaction.atomic():
            return Round.objects.create(
                project=project, number=number, plan=plan.as_json(), policy=policy
            )
    except IntegrityError as error:
        raise Conflict("Another round was started just now; look at it first.") from error


def check_server(project: Project, plan: Plan, sampler: ModelVersion | None) -> None:
    """Refuse a server that could not sample for the policy's run, before people have labeled for it."""
    check_sampler(project, plan.algorithm, sampler)
    if sampler is not None and not settings_with(plan.preset, plan.algorithm)["lora_rank"]:
        raise InvalidInput.at(
            "sampler",
            "A server follows the policy by its adapter, and these settings train none. Choose the settings "
            "for a real project, or let the run's own process sample.",
        )


def check_training(project: Project, plan: Plan) -> None:
    """Refuse a round that would find no prompt to train on, before people have labeled for it."""
    asked = asked_prompts(project, plan)
    train, _ = split_prompts(project, asked)
    if asked and not train:
        share = splits_of_newest(project).get("train", SnapshotQuery().train)
        raise InvalidInput.at(
            "max_prompts",
            f"About 0 of {asked} prompt{'s'[: asked != 1]} would be in the train split (it gets {share * 100:.0f} %): "
            "nothing would be trained. Ask more prompts, or build a snapshot that gives train a larger share first.",
        )


def check_policy(project: Project, policy: ModelVersion | None) -> None:
    """Refuse what the last part of the round could not train, before the first one costs anything."""
    if policy is None:
        raise InvalidInput.at(
            "policy", "No policy serves this project yet; promote one on Models, or name one."
        )
    if policy.project_id != project.pk or policy.kind != ModelVersion.Kind.POLICY:
        raise InvalidInput.at(
            "policy", f"{policy.name} v{policy.number} is no policy of this project."
        )
    if policy.backend != ModelVersion.Backend.LOCAL:
        raise InvalidInput.at(
            "policy",
            f"{policy.name} is served over HTTP; a round trains its policy, so it needs weights "
            "in a folder or a hub name.",
        )
