"""Rows for tests: pass only what the test is about."""

import itertools
from datetime import timedelta

from django.utils import timezone

from annotation.accounts.models import User
from annotation.comparisons.models import Comparison, Judgment
from annotation.core import text
from annotation.datasets.models import DatasetSnapshot
from annotation.generation.models import Candidate, SamplingPlan
from annotation.projects.models import Membership, Project, Role
from annotation.prompts.models import Prompt
from annotation.registry.models import ModelVersion
from annotation.runs.models import RunEvent, TrainingRun
from annotation.runs.specs import settings_with

_numbers = itertools.count(1)


def user(username: str = "", **fields: object) -> User:
    return User.objects.create_user(username or f"user-{next(_numbers)}", password=None, **fields)


def project(**fields: object) -> Project:
    return Project.objects.create(**{"name": f"Project {next(_numbers)}", **fields})


def member(project: Project, role: Role = Role.LABELER, **fields: object) -> User:
    person = user(**fields)
    Membership.objects.create(project=project, user=person, role=role)
    return person


def prompt(project: Project, content: str = "", **fields: object) -> Prompt:
    content = content or f"Question {next(_numbers)}?"
    turns = [{"role": "user", "content": content}]
    defaults = {"turns": turns, "fingerprint": text.fingerprint([f"user: {content}"])}
    return Prompt.objects.create(project=project, **{**defaults, **fields})


def policy(project: Project, **fields: object) -> ModelVersion:
    defaults = {
        "name": f"policy-{next(_numbers)}",
        "kind": ModelVersion.Kind.POLICY,
        "location": ".",
    }
    return ModelVersion.objects.create(project=project, **{**defaults, **fields})


def sampling_plan(project: Project, *policies: ModelVersion, **fields: object) -> SamplingPlan:
    plan = SamplingPlan.objects.create(project=project, **fields)
    plan.policies.set(policies)
    return plan


def server_by_an_admin(
    project: Project, location: str = "http://h/v1", **fields: object
) -> dict[str, object]:
    """The fields of a model on a server that workers ask."""
    admin = member(project, Role.ADMIN)
    server = {"backend": "http", "location": location, "remote_model": "m", "created_by": admin}
    return server | fields


def candidate(prompt: Prompt, content: str = "", **fields: object) -> Candidate:
    content = content or f"Response {next(_numbers)}."
    defaults = {"source": Candidate.Source.IMPORT, "fingerprint": text.fingerprint([content])}
    return Candidate.objects.create(
        project=prompt.project, prompt=prompt, text=content, **{**defaults, **fields}
    )


def comparison(prompt: Prompt, size: int = 2, **fields: object) -> Comparison:
    candidates = [candidate(prompt) for _ in range(size)]
    return Comparison.objects.create(
        project=prompt.project,
        prompt=prompt,
        candidate_ids=sorted(one.pk for one in candidates),
        **fields,
    )


def snapshot(project: Project, folder: str = "", **fields: object) -> DatasetSnapshot:
    defaults = {
        "name": f"snapshot-{next(_numbers)}",
        "status": DatasetSnapshot.Status.DONE,
        "sha256": "5" * 64,
        "rows": 4,
        "pairs": 6,
        "manifest": {"judgments": {"count": 9}, "guideline_versions": [1, 2]},
    }
    return DatasetSnapshot.objects.create(project=project, folder=folder, **{**defaults, **fields})


def training_run(project: Project, **fields: object) -> TrainingRun:
    """A queued reward model run over an empty snapshot."""
    defaults: dict[str, object] = {
        "name": f"run-{next(_numbers)}",
        "kind": "reward_model",
        "spec": {"kind": "reward_model"},
    }
    if "snapshot" not in fields:
        fields["snapshot"] = snapshot(project)
    if "base_model" not in fields:
        fields["base_model"] = policy(project)
    return TrainingRun.objects.create(project=project, **{**defaults, **fields})


def paced_run(
    project: Project, kind: str, *, preset: str = "standard", seconds: float = 2.0, **fields: object
) -> TrainingRun:
    """A finished run with all settings of a preset that told of three steps, ``seconds`` apart."""
    run = training_run(
        project, kind=kind, spec=settings_with(preset, kind), status="done", **fields
    )
    began = timezone.now()
    for step in (1, 2, 3):
        at = began + timedelta(seconds=seconds * step)
        RunEvent.objects.create(run=run, kind="metrics", step=step, at=at, data={"loss": 1.0})
    return run


def judgment(comparison: Comparison, labeler: User | None = None, **fields: object) -> Judgment:
    """Prefers the first candidate, strength 2, unless ``ranking`` or ``is_all_bad`` says otherwise."""
    ranking = [] if fields.get("is_all_bad") else [[pk] for pk in comparison.candidate_ids]
    ranking = fields.pop("ranking", ranking)
    return Judgment.objects.create(
        project=comparison.project,
        comparison=comparison,
        labeler=labeler or user(),
        **{"ranking": ranking, "strengths": [2] * (len(ranking) - 1), **fields},
    )
