"""One lap of RLHF: each stage calls the service that a page or the API would call, and waits for its job.

A second lap reuses what is there: a stage whose rows exist is not done again.
"""

import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Sum

from annotation.accounts.models import User
from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.services.judging import submit_judgment
from annotation.comparisons.services.queue import EmptyQueue, lease_next_comparison
from annotation.core import storage
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.services.requesting import request_snapshot
from annotation.generation.models import Candidate, GenerationRun
from annotation.generation.services import request_candidates
from annotation.projects.models import Project
from annotation.quality.models import AgreementReport
from annotation.registry.models import ModelVersion
from annotation.registry.services import promote, register_version
from annotation.runs.models import TrainingRun
from annotation.runs.services.queueing import queue_run
from deploy.demo import simulated
from deploy.demo.plan import Plan
from deploy.demo.report import Summary
from deploy.demo.watch import Stages, bar, follow, wait_until

Alive = Callable[[], bool]


class Lap:
    """One lap on one project; ``stages`` keeps the time, ``is_alive`` says whether workers still run."""

    def __init__(self, *, project: Project, actor: User, plan: Plan, is_alive: Alive) -> None:
        self.project, self.actor, self.plan, self.is_alive = project, actor, plan, is_alive
        self.stages = Stages()

    def policy(self, model: Path) -> ModelVersion:
        """The base policy, registered and serving."""
        versions = ModelVersion.objects.filter(project=self.project, kind=ModelVersion.Kind.POLICY)
        version = versions.filter(parent=None).first()
        if version is None:
            version = register_version(
                project=self.project,
                kind=ModelVersion.Kind.POLICY,
                name=model.name,
                location=str(model),
                actor=self.actor,
            )
        elif version.location != str(model):
            sys.stderr.write(
                f"   This lap began with {version.location} and goes on with it, not with {model}. "
                "Another model starts in a place of its own: CONCORD_VAR=FOLDER.\n"
            )
        if not versions.filter(stage=ModelVersion.Stage.SERVING).exists():
            promote(version=version, stage=ModelVersion.Stage.SERVING, actor=self.actor)
        return version

    def candidates(self, policy: ModelVersion) -> None:
        """Responses of the base policy, and the comparisons of them."""
        run = GenerationRun.objects.filter(project=self.project, policy=policy).first()
        run = run or request_candidates(
            project=self.project,
            policy=policy,
            per_prompt=self.plan.per_prompt,
            max_tokens=self.plan.max_tokens,
            temperature=0.8,
            seed=17,
            actor=self.actor,
        )
        follow(run, is_alive=self.is_alive)

    def simulated_judgments(self) -> None:
        """The simulated labelers work the queue until it is empty for each of them."""
        wanted = (
            Comparison.objects.filter(project=self.project).aggregate(n=Sum("overlap"))["n"] or 0
        )
        done = Judgment.objects.filter(project=self.project, is_counted=True).count()
        with bar(total=wanted, unit="judgments", initial=done) as progress:
            for labeler, noise in simulated.hire(self.project):
                for _ in self._judged_by(labeler, noise):
                    progress.update()

    def _judged_by(self, labeler: User, noise: float) -> Any:  # Any: a generator of judgments
        while not isinstance(
            lease := lease_next_comparison(project=self.project, labeler=labeler), EmptyQueue
        ):
            verdict = simulated.judge(lease, noise=noise)
            yield submit_judgment(
                assignment=lease,
                client_uuid=uuid.uuid4(),
                ranking=verdict.ranking,
                strengths=verdict.strengths,
            )

    def agreement(self) -> dict[str, Any]:  # Any: JSON
        """The report over all judgments, as the worker computed it."""
        newest = Judgment.objects.filter(project=self.project).order_by("-pk").first()
        if newest is None:
            raise CommandError("There are no judgments to measure agreement on.")

        def report() -> AgreementReport | None:
            rows = AgreementReport.objects.filter(project=self.project)
            return rows.filter(last_judgment_id__gte=newest.pk).first()

        wait_until(
            lambda: report() is not None, is_alive=self.is_alive, what="the agreement report"
        )
        found = report()
        assert found is not None  # noqa: S101 - just waited for it
        data: dict[str, Any] = found.data
        return data

    def snapshot(self) -> DatasetSnapshot:
        """All judgments, votes kept, split by prompt."""
        snapshot = (
            DatasetSnapshot.objects.filter(project=self.project).exclude(status="failed").first()
        )
        train, validation, test = self.plan.shares
        snapshot = snapshot or request_snapshot(
            project=self.project,
            name="first lap",
            query={"train": train, "validation": validation, "test": test},
            actor=self.actor,
        )
        follow(snapshot, is_alive=self.is_alive)
        return snapshot

    def train(
        self,
        kind: str,
        *,
        snapshot: DatasetSnapshot,
        base: ModelVersion,
        reward: ModelVersion | None = None,
    ) -> TrainingRun:
        """One training run to its end; a failed or cancelled one is tried anew."""
        runs = TrainingRun.objects.filter(project=self.project, kind=kind, snapshot=snapshot)
        run = runs.exclude(status__in=["failed", "cancelled"]).first()
        run = run or queue_run(
            project=self.project,
            spec={"kind": kind, **self.plan.settings[kind]},
            snapshot=snapshot,
            base_model=base,
            reward_model=reward,
            name=f"{kind.replace('_', '-')}-first-lap",
            actor=self.actor,
        )
        follow(run, is_alive=self.is_alive)
        return run

    def next_candidates(self, policy: ModelVersion) -> None:
        """Promote the new policy; it answers prompts, and people find its comparisons in the queue."""
        if policy.stage != ModelVersion.Stage.SERVING:
            promote(version=policy, stage=ModelVersion.Stage.SERVING, actor=self.actor)
        run = GenerationRun.objects.filter(project=self.project, policy=policy).first()
        run = run or request_candidates(
            project=self.project,
            per_prompt=2,
            max_tokens=self.plan.max_tokens,
            max_prompts=self.plan.next_prompts,
            temperature=0.8,
            seed=18,
            actor=self.actor,
        )
        follow(run, is_alive=self.is_alive)

    def counts(self) -> Summary:
        """What the project holds."""
        mine = {"project": self.project}
        return {
            "prompts": self.project.prompts.count(),
            "candidates": Candidate.objects.filter(**mine).count(),
            "comparisons": Comparison.objects.filter(**mine).count(),
            "judgments": Judgment.objects.filter(withdrawn_at=None, **mine).count(),
        }


def model_folder() -> Path:
    """Where the embedded policy lies."""
    return storage.folder("models") / "smollm2-135m-instruct"
