"""A project's life: made, set up, archived; its guideline and its criteria."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.projects.models import Criterion, Guideline, Membership, Project, Role
from annotation.projects.rubric import STARTING_CRITERIA, STARTING_GUIDELINE

SETTINGS = (
    "name",
    "description",
    "overlap",
    "lease_seconds",
    "min_reading_seconds",
    "rationale_rule",
    "agreement_target",
    "is_paused",
)


@transaction.atomic
def create_project(*, name: str, actor: User, description: str = "", **settings: object) -> Project:
    """Make a project with the starting guideline and rubric; its maker is its first admin."""
    project = Project(name=name.strip(), description=description, created_by=actor)
    _apply(project, settings)
    project.save()
    Membership.objects.create(project=project, user=actor, role=Role.ADMIN)
    Guideline.objects.create(project=project, version=1, text=STARTING_GUIDELINE, created_by=actor)
    Criterion.objects.bulk_create(
        Criterion(project=project, name=criterion, question=question, position=position)
        for position, (criterion, question) in enumerate(STARTING_CRITERIA.items())
    )
    audit.record("project.created", project, actor=actor, name=project.name)
    return project


@transaction.atomic
def update_settings(*, project: Project, actor: User, **settings: object) -> Project:
    """Change settings by name; the audit keeps what each was and what it became."""
    before = {name: getattr(project, name) for name in settings if name in SETTINGS}
    _apply(project, settings)
    changed = {
        name: [was, getattr(project, name)]
        for name, was in before.items()
        if was != getattr(project, name)
    }
    if changed:
        project.save(update_fields=list(changed))
        audit.record("project.changed", project, actor=actor, **changed)
    return project


def _apply(project: Project, settings: dict[str, Any]) -> None:  # Any: columns of several types
    unknown = settings.keys() - set(SETTINGS)
    if unknown:
        raise InvalidInput(f"A project has no setting {', '.join(sorted(unknown))}.")
    for name, value in settings.items():
        setattr(project, name, value)
    try:
        project.clean_fields()
    except ValidationError as error:
        reasons = [f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items()]
        raise InvalidInput(" ".join(reasons)) from error


@transaction.atomic
def set_archived(*, project: Project, is_archived: bool, actor: User) -> None:
    """Put a project away, or take it back; nothing in it is deleted."""
    rows = Project.objects.filter(pk=project.pk, is_archived=not is_archived)
    if rows.update(is_archived=is_archived):
        verb = "project.archived" if is_archived else "project.restored"
        audit.record(verb, project, actor=actor)
    project.is_archived = is_archived


@transaction.atomic
def publish_guideline(*, project: Project, text: str, actor: User) -> Guideline:
    """Add the next version; judgments keep pointing at the version they followed."""
    if not text.strip():
        raise InvalidInput("The guideline is empty; write what labelers shall follow.")
    Project.objects.select_for_update().get(pk=project.pk)  # versions follow each other
    newest = project.guidelines.order_by("-version").first()
    if newest and newest.text == text:
        raise Conflict(f"This is word for word version {newest.version}; nothing was published.")
    version = newest.version + 1 if newest else 1
    guideline = Guideline.objects.create(
        project=project, version=version, text=text, created_by=actor
    )
    audit.record("guideline.published", guideline, actor=actor, version=version)
    return guideline


@transaction.atomic
def save_criterion(*, project: Project, name: str, question: str, actor: User) -> Criterion:
    """Add a criterion, or change the question of the one with this name."""
    last = project.criteria.aggregate(last=Max("position"))["last"]
    criterion, is_new = Criterion.objects.update_or_create(
        project=project,
        name=name,
        defaults={"question": question},
        create_defaults={"question": question, "position": 0 if last is None else last + 1},
    )
    verb = "criterion.added" if is_new else "criterion.changed"
    audit.record(verb, criterion, actor=actor, name=name, question=question)
    return criterion


@transaction.atomic
def remove_criterion(*, project: Project, name: str, actor: User) -> None:
    """Stop asking about a criterion; judgments that answered it keep their answer."""
    criterion = project.criteria.filter(name=name).first()
    if criterion is None:
        raise NotFound(f"The rubric has no criterion {name!r}.")
    audit.record("criterion.removed", criterion, actor=actor, name=name)
    criterion.delete()
