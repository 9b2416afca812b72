"""Finding models, and reading where one came from."""

from typing import Any, NamedTuple

from django.db.models import QuerySet

from annotation.audit.models import AuditEvent
from annotation.core.errors import NotFound
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion

LONGEST_CHAIN = 100  # versions from a model back to its first ancestor
LONGEST_LIST = 20  # items of a list in a lineage that a page shows


def models_of(project: Project) -> QuerySet[ModelVersion]:
    """The project's versions with their parents, newest first."""
    rows = ModelVersion.objects.filter(project=project)
    return rows.select_related("parent", "created_by", "card").order_by("-pk")


def model_for(project: Project, pk: int) -> ModelVersion:
    """One version of the project."""
    version = models_of(project).filter(pk=pk).first()
    if version is None:
        raise NotFound(f"There is no model {pk} in {project.name}; look in its list of models.")
    return version


def serving(*, project: Project, kind: str) -> ModelVersion | None:
    """The version of this kind that serves the project; None before the first promotion."""
    serves = ModelVersion.Stage.SERVING
    return ModelVersion.objects.filter(project=project, kind=kind, stage=serves).first()


def served_before(*, project: Project, kind: str) -> ModelVersion | None:
    """The version that served before the present one, as the audit trail remembers it."""
    events = AuditEvent.objects.filter(project_id=project.pk, verb="model.serving")
    keys = events.filter(data__kind=kind).order_by("-pk").values_list("object_id", flat=True)
    present = serving(project=project, kind=kind)
    past = [key for key in keys if key is not None and (present is None or key != present.pk)]
    return ModelVersion.objects.filter(project=project, pk=past[0]).first() if past else None


class Ancestor(NamedTuple):
    """One step back in a lineage: a version and what went into it."""

    version: ModelVersion
    facts: list[tuple[str, str]]


def ancestry(version: ModelVersion) -> list[Ancestor]:
    """The version, its parent, and so on back to the one that was registered by hand."""
    chain: list[Ancestor] = []
    step: ModelVersion | None = version
    while step is not None and len(chain) < LONGEST_CHAIN:
        chain.append(Ancestor(step, lineage_facts(step.lineage)))
        step = step.parent
    return chain


class MetricRow(NamedTuple):
    """One number of a model: what it belongs to, its name, and its value in words."""

    group: str
    name: str
    value: str


def metric_rows(metrics: dict[str, Any], group: str = "") -> list[MetricRow]:  # Any: JSON
    """The numbers of a model as rows of a table, whatever their nesting."""
    rows: list[MetricRow] = []
    for name, value in metrics.items():
        if isinstance(value, dict):
            rows += metric_rows(value, f"{group} {name}".strip().replace("_", " "))
        else:
            shown = f"{value:,.4g}" if isinstance(value, float) else words(value)
            rows.append(MetricRow(group, name.replace("_", " "), shown))
    return rows


def lineage_facts(lineage: dict[str, Any]) -> list[tuple[str, str]]:  # Any: JSON
    """What went into a version, as label and words for a person; unknown keys are shown too."""
    labels = {
        "run": "Training run",
        "snapshot": "Dataset snapshot",
        "judgments": "Judgments",
        "guideline_versions": "Guideline versions",
        "base_model": "Started from",
        "reward_model": "Reward model",
        "code_revision": "Code",
        "registered_by_hand": "Registered by hand",
        "spec": "Spec",
    }
    keys = [key for key in (*labels, *lineage) if key in lineage]
    return [
        (labels.get(key, key), words(lineage[key]))
        for key in dict.fromkeys(keys)
        if lineage[key] not in (None, "", [], {})
    ]


def words(value: Any) -> str:  # Any: JSON
    """A JSON value on one line: nested objects as `key value`, lists with commas, long ones cut."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " · ".join(f"{key} {words(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        shown = ", ".join(words(inner) for inner in value[:LONGEST_LIST])
        more = len(value) - LONGEST_LIST
        return f"{shown} and {more:,} more" if more > 0 else shown
    return str(value)
