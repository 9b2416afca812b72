"""A project's life: made, set up, archived; its guideline and its criteria."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.jobs import Job, ring
from annotation.projects.models import Criterion, Guideline, Membership, Project, Role
from annotation.projects.rubric import STARTING_CRITERIA, STARTING_GUIDELINE

SETTINGS = (
    "name",
    "description",
    "overlap",
    "overlap_share",
    "stop_when_agreeing",
    "pairing",
    "answer_scale",
    "serving_order",
    "gold_share",
    "repeat_share",
    "must_qualify",
    "deadline",
    "lease_seconds",
    "min_reading_seconds",
    "rationale_rule",
    "agreement_target",
    "is_paused",
)
STARTING_OVERLAP = {"overlap": 3, "overlap_share": 0.12}
LARGEST_TEST_SHARE = 0.5  # gold and repeats together, of what a labeler gets


@transaction.atomic
def create_project(*, name: str, actor: User, description: str = "", **settings: object) -> Project:
    """Make a project with the starting guideline and rubric; its maker is its first admin.

    Unless the overlap is named, a random 12 % of the comparisons get three labels and the rest one.
    """
    project = Project(name=name.strip(), description=description, created_by=actor)
    if not settings.keys() & STARTING_OVERLAP.keys():
        settings = {**STARTING_OVERLAP, **settings}
    apply_settings(project, settings)
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
    apply_settings(project, settings)
    changed = {
        name: [was, getattr(project, name)]
        for name, was in before.items()
        if was != getattr(project, name)
    }
    if changed:
        project.save(update_fields=list(changed))
        audit.record("project.changed", project, actor=actor, **changed)
    if "stop_when_agreeing" in changed:
        project.is_early_stop_settled, project.early_stop_held_until = False, None
        project.save(update_fields=["is_early_stop_settled", "early_stop_held_until"])
        ring(Job.SETTLE_EARLY_STOP, project.pk)
    return project


def apply_settings(project: Project, settings: Mapping[str, Any]) -> None:
    """Set them on the row in hand, checked but not saved. Any: columns of several types."""
    unknown = settings.keys() - set(SETTINGS)
    if unknown:
        raise InvalidInput(f"A project has no setting {', '.join(sorted(unknown))}.")
    for name, value in settings.items():
        setattr(project, name, value)
    try:
        project.clean_fields(exclude={"created_by"})  # null where that account is gone
    except ValidationError as error:
        reasons = [f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items()]
        raise InvalidInput(" ".join(reasons)) from error
    if (share := project.gold_share + project.repeat_share) > LARGEST_TEST_SHARE:
        raise InvalidInput.at(
            "repeat_share",
            f"Gold and repeats together are {share:.0%} of what a labeler gets; at most "
            f"{LARGEST_TEST_SHARE:.0%}, so that most of their work counts.",
        )


@transaction.atomic
def set_archived(*, project: Project, is_archived: bool, actor: User) -> None:
    """Put a project away, or take it back; nothing in it is deleted."""
    rows = Project.objects.filter(pk=project.pk, is_archived=not is_archived)
    if rows.update(is_archived=is_archived):
        verb = "project.archived" if is_archived else "project.restored"
        audit.record(verb, project, actor=actor)
    project.is_archived = is_archived


@transaction.atomic
def publish_guideline(
    *, project: Project, text: str, actor: User, from_version: int | None = None
) -> Guideline:
    """Add the next version; judgments keep pointing at the version they followed.

    ``from_version`` names the one that the text was written from, 0 for none: a Conflict if another is the newest.
    """
    if not text.strip():
        raise InvalidInput("The guideline is empty; write what labelers shall follow.")
    Project.objects.select_for_update().get(pk=project.pk)  # versions follow each other
    newest = project.guidelines.order_by("-version").first()
    if newest and newest.text == text:
        raise Conflict(f"This is word for word version {newest.version}; nothing was published.")
    last = newest.version if newest else 0
    if from_version not in {None, last}:
        raise Conflict(
            f"The newest version is {last}; this text was written from version {from_version}. "
            "Read the newest, then publish from it."
        )
    version = last + 1
    guideline = Guideline.objects.create(
        project=project, version=version, text=text, created_by=actor
    )
    audit.record("guideline.published", guideline, actor=actor, version=version)
    return guideline


@transaction.atomic
def amend_guideline(*, project: Project, text: str, from_text: str, actor: User) -> Guideline:
    """Change the newest version in place: only for a set-up that nobody has labeled under, which the caller knows.

    ``from_text`` is what the text was written from, empty for nothing: a Conflict if another is there.
    """
    Project.objects.select_for_update().get(pk=project.pk)
    newest = project.guidelines.order_by("-version").first()
    if newest is None:
        return publish_guideline(project=project, text=text, actor=actor)
    if not text.strip():
        raise InvalidInput("The guideline is empty; write what labelers shall follow.")
    if newest.text not in {text, from_text}:
        raise Conflict(
            "Somebody changed the guideline at this moment. Load the page to read theirs."
        )
    if newest.text != text:
        facts = {"version": newest.version, "before": newest.text, "after": text}
        newest.text = text
        newest.save(update_fields=["text"])
        audit.record("guideline.amended", newest, actor=actor, **facts)
    return newest
