"""Publishing models: register, promote, retire, go back. What a version is made of never changes afterwards."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Max

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.text import canonical
from annotation.projects.models import Project
from annotation.registry import locations
from annotation.registry.models import ModelVersion
from annotation.registry.selectors import served_before, serving
from annotation.registry.servers import check_may_register

Stage = ModelVersion.Stage


@transaction.atomic
def register_version(  # noqa: PLR0913 - a version is made of these
    *,
    project: Project,
    kind: str,
    name: str,
    location: str,
    parent: ModelVersion | None = None,
    lineage: Mapping[str, Any] | None = None,  # Any: JSON
    metrics: Mapping[str, Any] | None = None,
    actor: User | None,
    backend: str = ModelVersion.Backend.LOCAL,
    remote_model: str = "",
    api_key_variable: str = "",
    sha256: str = "",
) -> ModelVersion:
    """Publish a model under the next number of its name; ``sha256`` of its folder, where it was made here."""
    _lock(project)  # numbers are given one at a time
    named = ModelVersion.objects.filter(project=project, name=name)
    last = named.aggregate(last=Max("number"))["last"] or 0
    version = ModelVersion.objects.create(
        project=project,
        kind=ModelVersion.Kind(kind),
        name=name,
        number=last + 1,
        backend=ModelVersion.Backend(backend),
        location=location,
        remote_model=remote_model,
        api_key_variable=api_key_variable,
        parent=parent,
        lineage=dict(lineage or {}),
        metrics=dict(metrics or {}),
        sha256=sha256,
        created_by=actor,
    )
    record("model.registered", version, actor=actor, kind=kind, name=name, number=version.number)
    return version


def add_model(  # noqa: PLR0913 - what the form asks
    *,
    project: Project,
    kind: str,
    name: str,
    backend: str,
    location: str,
    remote_model: str = "",
    api_key_variable: str = "",
    actor: User,
) -> ModelVersion:
    """Register a model that a person names, after a look at what they name."""
    name = canonical(name)
    if not name or "\x00" in name:
        raise InvalidInput("The model needs a name, such as smollm2-135m-instruct.")
    if kind == ModelVersion.Kind.REWARD and backend == ModelVersion.Backend.HTTP:
        raise InvalidInput("A reward model is scored here: give its folder, not an address.")
    if backend == ModelVersion.Backend.HTTP:
        check_may_register(actor, project)
        location = locations.checked_url(location, remote_model=remote_model)
        locations.check_key_variable(api_key_variable)
    else:
        location = locations.checked_folder_or_hub_name(
            location, scores=kind == ModelVersion.Kind.REWARD
        )
        remote_model = api_key_variable = ""
    return register_version(
        project=project,
        kind=kind,
        name=name,
        location=location,
        backend=backend,
        remote_model=remote_model.strip(),
        api_key_variable=api_key_variable,
        lineage={"registered_by_hand": True},
        actor=actor,
    )


@transaction.atomic
def promote(
    *, version: ModelVersion, stage: str = Stage.SERVING, actor: User | None
) -> ModelVersion:
    """Move a version to a stage. Where it begins to serve, the one that served its kind retires."""
    _lock(version.project)
    version.refresh_from_db()
    if stage not in Stage.values:
        known = ", ".join(Stage.values)
        raise InvalidInput(f"There is no stage {stage!r}; choose one of {known}.")
    if version.stage == stage:
        return version
    if stage == Stage.SERVING:
        _retire_serving(version, actor=actor)
    return _move(version, Stage(stage), actor=actor)


@transaction.atomic
def rollback(
    *, project: Project, kind: str, expected: int | None = None, actor: User | None
) -> ModelVersion:
    """Let the version serve again that served before the present one.

    With ``expected``, its key, only if it is that one still: the page that was pressed may be an old one.
    """
    _lock(project)
    previous = served_before(project=project, kind=kind)
    if previous is None:
        raise Conflict(f"No other {kind} model has served this project yet; promote one instead.")
    if expected not in {None, previous.pk}:
        raise Conflict(_why_no_return(project=project, kind=kind, expected=expected))
    return promote(version=previous, stage=Stage.SERVING, actor=actor)


def _why_no_return(*, project: Project, kind: str, expected: int | None) -> str:
    present = serving(project=project, kind=kind)
    if present is not None and present.pk == expected:
        return f"{present} serves already: that was done before. Nothing was changed."
    state = f"No {kind} model serves now" if present is None else f"{present} serves now"
    return f"Somebody was faster: {state}, and the way back leads elsewhere. Nothing was changed."


def _lock(project: Project) -> None:
    Project.objects.select_for_update().get(pk=project.pk)


def _retire_serving(version: ModelVersion, *, actor: User | None) -> None:
    present = serving(project=version.project, kind=version.kind)
    if present is not None:
        _move(present, Stage.RETIRED, actor=actor)


def _move(version: ModelVersion, stage: Stage, *, actor: User | None) -> ModelVersion:
    before, version.stage = version.stage, stage
    version.save(update_fields=["stage"])
    record(f"model.{stage.value}", version, actor=actor, kind=version.kind, before=before)
    return version
