"""A finished run becomes a model version that knows where it came from."""

from typing import Any

from django.db import transaction

from annotation.audit.services import record
from annotation.registry.models import ModelVersion
from annotation.registry.services import register_version
from annotation.runs.models import TrainingRun
from annotation.runs.services.following import storable
from annotation.runs.specs import trained_kind


@transaction.atomic
def finish_run(
    *, run: TrainingRun, result: dict[str, Any], location: str, sha256: str = ""
) -> ModelVersion:
    """Register what a run made, once; a second call returns the same version."""
    run = TrainingRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
    if run.model_version is not None:
        return run.model_version
    result = storable(result)
    version = register_version(
        project=run.project,
        kind=trained_kind(run.kind),
        name=run.name,
        location=location,
        sha256=sha256,
        parent=run.base_model,
        lineage=lineage_of(run),
        metrics=result.get("metrics", {}),
        actor=run.created_by,
    )
    run.result, run.model_version = result, version
    run.save(update_fields=["result", "model_version"])
    record("run.finished", run, actor=None, model_version=version.pk)
    return version


def lineage_of(run: TrainingRun) -> dict[str, Any]:
    """Everything that went into a version: records, judgments, guideline versions, models, code, spec."""
    manifest = run.snapshot.manifest
    return {
        "run": run.pk,
        "snapshot": {
            "id": run.snapshot_id,
            "name": run.snapshot.name,
            "sha256": run.snapshot.sha256,
            "rows": run.snapshot.rows,
            "pairs": run.snapshot.pairs,
        },
        "judgments": manifest.get("judgments", {}),
        "judgments_by_kind": manifest.get("labelers", {}).get("judgments_by_kind", {}),
        "guideline_versions": manifest.get("guideline_versions", []),
        "base_model": model_facts(run.base_model),
        "reward_model": model_facts(run.reward_model) if run.reward_model else None,
        "held_out_reward_model": model_facts(run.held_out_reward_model)
        if run.held_out_reward_model
        else None,
        "sampler": model_facts(run.sampler) if run.sampler else None,
        "code_revision": run.code_revision,
        "machine": run.machine,
        "spec": run.spec,
    }


def model_facts(version: ModelVersion) -> dict[str, Any]:
    return {"id": version.pk, "name": version.name, "number": version.number}
