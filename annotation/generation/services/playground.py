"""The playground: one prompt, a few policies, one reward model."""

from collections.abc import Collection, Mapping, Sequence

from django.db import transaction

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.jobs import ring
from annotation.generation.models import PlaygroundRun
from annotation.generation.sampling import check_sampling
from annotation.generation.services.storing import LONGEST_REASON, LONGEST_RESPONSE, storable
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion
from annotation.registry.servers import check_may_be_asked

MOST_POLICIES = 4
LONGEST_PROMPT = 100_000  # characters


@transaction.atomic
def request_playground(  # noqa: PLR0913 - what a playground run is made of
    *,
    project: Project,
    turns: Sequence[Mapping[str, str]],
    policies: Sequence[ModelVersion],
    reward_model: ModelVersion | None = None,
    temperature: float = 0.8,
    top_p: float = 1.0,
    max_tokens: int = 256,
    seed: int = 17,
    actor: User | None,
) -> PlaygroundRun:
    """Queue the question; each policy answers once, the reward model scores all answers."""
    _check_turns(turns)
    _check_models(project, policies, reward_model)
    check_sampling(
        per_prompt=1, temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed
    )
    run = PlaygroundRun.objects.create(
        project=project,
        turns=[dict(turn) for turn in turns],
        policy_ids=[one.pk for one in policies],
        reward_model=reward_model,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        seed=seed,
        progress_total=len(policies) + (reward_model is not None),
        progress_unit="models",
        created_by=actor,
    )
    record("playground.queued", run, actor=actor, policies=run.policy_ids)
    ring(run.job, run.pk)
    return run


@transaction.atomic
def cancel_playground(*, run: PlaygroundRun, actor: User | None) -> PlaygroundRun:
    """Stop asking; what was answered stays on the page."""
    if run.is_over:
        raise Conflict(f"This run is {run.status} already; there is nothing to cancel.")
    run.request_cancel()
    record("playground.cancelled", run, actor=actor)
    return run


@transaction.atomic
def store_answer(
    *,
    run_id: int,
    policy_id: int,
    text: str | None,
    is_finished: bool = True,
    reason: str = "",
    prompt_tokens_cut: int = 0,
) -> None:
    """Keep what one policy said, or why it did not, and how much of the prompt it was not shown."""
    run = PlaygroundRun.objects.select_for_update().get(pk=run_id)
    if text is not None:
        text = storable(text[:LONGEST_RESPONSE])
    answer = {
        "text": text,
        "is_finished": is_finished,
        "reason": storable(reason)[:LONGEST_REASON],
        "prompt_tokens_cut": prompt_tokens_cut,
    }
    run.answers = {**run.answers, str(policy_id): answer}
    run.save(update_fields=["answers"])


@transaction.atomic
def store_scores(
    *,
    run_id: int,
    scores: Mapping[str, float],
    criterion_scores: Mapping[str, Mapping[str, float]] | None = None,
    truncated: Collection[str] = (),
    reason: str = "",
) -> None:
    """Keep the rewards by policy id, with what each criterion says, or why there are none.

    The answers of ``truncated`` were longer, or their prompt was, than the reward model reads.
    """
    run = PlaygroundRun.objects.select_for_update().get(pk=run_id)
    run.scores, run.criterion_scores = dict(scores), dict(criterion_scores or {})
    run.scores_reason = storable(reason)[:LONGEST_REASON]
    run.answers = {
        key: {**answer, "is_truncated": key in truncated} for key, answer in run.answers.items()
    }
    run.save(update_fields=["scores", "criterion_scores", "scores_reason", "answers"])


def _check_turns(turns: Sequence[Mapping[str, str]]) -> None:
    size = sum(len(turn["content"]) for turn in turns)
    if not turns or turns[-1]["role"] != "user" or not turns[-1]["content"].strip():
        raise InvalidInput.at("prompt", "Type the question that the policies are to answer.")
    if size > LONGEST_PROMPT:
        raise InvalidInput.at(
            "prompt", f"The prompt has {size} characters; the longest here is {LONGEST_PROMPT}."
        )
    if any(storable(turn["content"]) != turn["content"] for turn in turns):
        raise InvalidInput.at(
            "prompt", "The prompt has characters that are no text (NUL); remove them."
        )


def _check_models(
    project: Project, policies: Sequence[ModelVersion], reward_model: ModelVersion | None
) -> None:
    keys = {one.pk for one in policies}
    if not 1 <= len(policies) <= MOST_POLICIES or len(keys) != len(policies):
        raise InvalidInput.at(
            "policies",
            f"Choose 1 to {MOST_POLICIES} different policies; {len(policies)} were sent.",
        )
    kinds = ModelVersion.Kind
    if any(one.project_id != project.pk or one.kind != kinds.POLICY for one in policies):
        raise InvalidInput.at("policies", "Choose policies of this project.")
    for one in policies:
        check_may_be_asked(one, field="policies")
    if reward_model is None:
        return
    if reward_model.project_id != project.pk or reward_model.kind != kinds.REWARD:
        raise InvalidInput.at("reward_model", "Choose a reward model of this project.")
