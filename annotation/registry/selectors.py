"""Finding models, and reading where one came from."""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db.models import QuerySet

from annotation.audit.models import AuditEvent
from annotation.core.errors import NotFound
from annotation.core.jobs import JobModel
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion
from training.spec.naming import title_of

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


def was_loaded(version: ModelVersion) -> bool:
    """Whether anything here shows that the model works: a run made it or began with it, or it answered or scored."""
    if not version.lineage.get("registered_by_hand"):
        return True
    project, done = version.project, JobModel.Status.DONE
    answered = {f"answers__{version.pk}__reason": ""}
    scored = project.playground_runs.filter(reward_model=version).exclude(scores={})
    return (
        version.candidates.filter(run__isnull=False).exists()
        or version.children.exists()
        or version.scoring_requests.filter(status=done).exists()
        or version.judges.filter(runs__status=done).exists()
        or project.playground_runs.filter(**answered).exists()
        or scored.exists()
        or project.runs.filter(status=done, reward_model=version).exists()
    )


def serving(*, project: Project, kind: str) -> ModelVersion | None:
    """The version of this kind that serves the project; None before the first promotion."""
    serves = ModelVersion.Stage.SERVING
    return ModelVersion.objects.filter(project=project, kind=kind, stage=serves).first()


def served_before(*, project: Project, kind: str) -> ModelVersion | None:
    """The version that served before the last one, as the audit trail remembers it; that one may be retired since."""
    events = AuditEvent.objects.filter(project_id=project.pk, verb="model.serving")
    keys = list(events.filter(data__kind=kind).order_by("-pk").values_list("object_id", flat=True))
    past = [key for key in keys if key is not None and key != keys[0]]
    return ModelVersion.objects.filter(project=project, pk=past[0]).first() if past else None


class Fact(NamedTuple):
    """One thing that went into a version, in words, and the page of it where there is one."""

    label: str
    text: str
    route: str = ""
    key: int | None = None


class Ancestor(NamedTuple):
    """One step back in a lineage: a version, what went into it, and the settings of its run."""

    version: ModelVersion
    facts: list[Fact]
    settings: list[tuple[str, str]]


def ancestry(version: ModelVersion) -> list[Ancestor]:
    """The version, its parent, and so on back to the one that was registered by hand."""
    chain: list[Ancestor] = []
    step: ModelVersion | None = version
    while step is not None and len(chain) < LONGEST_CHAIN:
        spec = step.lineage.get("spec") or {}
        settings = [(title_of(name), words(value)) for name, value in spec.items()]
        chain.append(Ancestor(step, lineage_facts(step.lineage), settings))
        step = step.parent
    return chain


def lineage_facts(lineage: dict[str, Any]) -> list[Fact]:  # Any: JSON
    """What went into a version, for a person; unknown keys are shown too. The settings have a place of their own."""
    told = {**lineage, "judgments": _judgments(lineage)}
    keys = [key for key in (*READERS, *lineage) if key not in {"spec", "judgments_by_kind"}]
    return [
        READERS.get(key, lambda value, label=key: Fact(title_of(label), words(value)))(told[key])
        for key in dict.fromkeys(keys)
        if told.get(key) not in (None, "", [], {})
    ]


def _judgments(lineage: dict[str, Any]) -> str:  # Any: JSON
    """`144 (144 simulated)`; empty where none is told of."""
    count = lineage.get("judgments", {}).get("count")
    kinds = lineage.get("judgments_by_kind", {})
    told = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items())
    return "" if count is None else f"{count:,} ({told})" if told else f"{count:,}"


def _snapshot(value: dict[str, Any]) -> Fact:  # Any: JSON
    counts = [f"{value[name]:,} {word}" for name, word in SNAPSHOT_COUNTS if name in value]
    digest = [f"sha256 {str(value['sha256'])[:16]}"] if value.get("sha256") else []
    text = " · ".join([str(value.get("name", "")), *counts, *digest])
    return Fact("Dataset snapshot", text, "datasets-snapshot", value.get("id"))


def _model(label: str) -> Callable[[dict[str, Any]], Fact]:  # Any: JSON
    def read(value: dict[str, Any]) -> Fact:  # Any: JSON
        text = f"{value.get('name')} v{value.get('number')}"
        return Fact(label, text, "registry-model", value.get("id"))

    return read


SNAPSHOT_COUNTS = (("rows", "prompts"), ("pairs", "pairs"))
READERS: dict[str, Callable[[Any], Fact]] = {  # Any: JSON
    "run": lambda value: Fact("Training run", str(value), "runs-detail", value),
    "snapshot": _snapshot,
    "judgments": lambda value: Fact("Judgments", value),
    "guideline_versions": lambda value: Fact("Guideline versions", words(value)),
    "base_model": _model("Started from"),
    "reward_model": _model("Reward model"),
    "held_out_reward_model": _model("Held-out reward model"),
    "sampler": _model("Sampled on"),
    "code_revision": lambda value: Fact("Code", str(value)[:12]),
    "registered_by_hand": lambda value: Fact("Registered by hand", words(value)),
}


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
