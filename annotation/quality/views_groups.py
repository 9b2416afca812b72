"""The page of labeler groups: named, changed, removed and taken back."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.core.errors import DomainError
from annotation.core.text import is_key
from annotation.projects.models import Project, Role
from annotation.projects.selectors import project_for
from annotation.quality import groups
from annotation.quality.models import LabelerGroup
from annotation.quality.people_forms import keys_from
from annotation.quality.people_frame import done, people_context, refused

PAGE = "quality-groups"


@require_GET
def group_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """The groups, and the form of another; ``?labeler=3&labeler=7`` chooses for it."""
    project = project_for(request.user, project_id, Role.ADMIN)
    chosen = {int(one) for one in request.GET.getlist("labeler") if is_key(one)}
    context = {
        **people_context(request, project, "labelers"),
        "groups": groups.with_names(groups.groups_of(project)),
        "removed": groups.removed_groups(project)[:50],
        "people": _people(project),
        "chosen": chosen,
    }
    return render(request, "quality/groups.html", context)


def _people(project: Project) -> list[tuple[int, str, str]]:
    return list(groups.people_of(project).values_list("pk", "username", "kind"))


@require_POST
def group_new(request: HttpRequest, project_id: int) -> HttpResponse:
    """Name a group."""
    project = project_for(request.user, project_id, Role.ADMIN)
    name = request.POST.get("name", "")
    try:
        labeler_ids = keys_from(request.POST, "labeler")
        actor = person(request)
        row = groups.save_group(project=project, name=name, labeler_ids=labeler_ids, actor=actor)
    except DomainError as error:
        return refused(request, error, PAGE, project.pk)
    return done(request, f"{row.name} is among the filters of agreement.", PAGE, project.pk)


@require_http_methods(["GET", "POST"])
def group_page(request: HttpRequest, project_id: int, group_id: int) -> HttpResponse:
    """The form of a group; POST renames it, or changes who is in it."""
    project = project_for(request.user, project_id, Role.ADMIN)
    group = groups.group_of(project, group_id)
    if request.method == "POST":
        return _save(request, group)
    context = {
        **people_context(request, project, "labelers"),
        "group": group,
        "people": _people(project),
        "inside": set(group.labelers.values_list("pk", flat=True)),
    }
    return render(request, "quality/group.html", context)


def _save(request: HttpRequest, group: LabelerGroup) -> HttpResponse:
    try:
        groups.save_group(
            project=group.project,
            name=request.POST.get("name", ""),
            labeler_ids=keys_from(request.POST, "labeler"),
            actor=person(request),
            group=group,
        )
    except DomainError as error:
        return refused(request, error, "quality-group", group.project_id, group.pk)
    return done(request, f"{group.name} is saved.", PAGE, group.project_id)


@require_POST
def group_remove(request: HttpRequest, project_id: int, group_id: int) -> HttpResponse:
    """Take a group out of the filters."""
    project = project_for(request.user, project_id, Role.ADMIN)
    group = groups.group_of(project, group_id)
    try:
        groups.remove_group(group=group, actor=person(request))
    except DomainError as error:
        return refused(request, error, PAGE, project.pk)
    return done(request, f"{group.name} is removed. Nothing else changed.", PAGE, project.pk)


@require_POST
def group_restore(request: HttpRequest, project_id: int, group_id: int) -> HttpResponse:
    """Take a removed group back."""
    project = project_for(request.user, project_id, Role.ADMIN)
    group = groups.group_of(project, group_id)
    try:
        groups.restore_group(group=group, actor=person(request))
    except DomainError as error:
        return refused(request, error, PAGE, project.pk)
    return done(request, f"{group.name} is back.", PAGE, project.pk)
