"""Pages of projects: the list, settings, members, invitations, guideline, rubric, audit."""

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.core.errors import Conflict, Forbidden
from annotation.core.forms import refusals_in
from annotation.projects import forms
from annotation.projects.adapter import SESSION_KEY
from annotation.projects.models import Project, Role
from annotation.projects.selectors import (
    invitation_for,
    may_create_projects,
    members_of,
    page_context,
    project_for,
    project_list,
)
from annotation.projects.services import inviting, members, projects, rubric
from annotation.projects.settings_forms import SettingsForm
from annotation.projects.trail import TrailQuery, actors_of, rows_of


@require_GET
def project_index(request: HttpRequest) -> HttpResponse:
    """Start here: the projects you belong to."""
    user = person(request)
    context = {"entries": project_list(user), "may_create": may_create_projects(user)}
    return render(request, "projects/index.html", context)


@require_http_methods(["GET", "POST"])
def project_new(request: HttpRequest) -> HttpResponse:
    """Make a project."""
    user = person(request)
    if not may_create_projects(user):
        raise Forbidden(_("Only staff and admins of a project may make projects; ask one."))
    form = forms.NewProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        project = projects.create_project(actor=user, **form.cleaned_data)
        return redirect("overview-setup", project.pk)
    status = 400 if form.is_bound else 200
    return render(request, "projects/new.html", {"form": form}, status=status)


@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest, project_id: int) -> HttpResponse:
    """The settings of one project."""
    project = project_for(request.user, project_id, Role.ADMIN)
    shown = Project.objects.get(pk=project.pk)  # the form writes on it while it validates
    form = SettingsForm(request.POST or None, instance=shown)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            projects.update_settings(project=project, actor=person(request), **form.changes())
            messages.success(request, _("The settings are saved."))
            return redirect("projects-settings", project.pk)
    context = {**page_context(person(request), project, "settings"), "tab": "settings"}
    status = 400 if form.is_bound else 200
    return render(request, "projects/settings.html", {**context, "form": form}, status=status)


@require_POST
def archive(request: HttpRequest, project_id: int) -> HttpResponse:
    """Put the project away, or take it back."""
    project = project_for(request.user, project_id, Role.ADMIN)
    is_archived = request.POST.get("is_archived") == "yes"
    projects.set_archived(project=project, is_archived=is_archived, actor=person(request))
    archived, back = (
        _("%(name)s is archived; nothing in it is deleted."),
        _("%(name)s is back among your projects."),
    )
    told = archived if is_archived else back
    messages.success(request, told % {"name": project.name})
    return redirect("projects-settings", project.pk)


@require_http_methods(["GET", "POST"])
def guideline(request: HttpRequest, project_id: int) -> HttpResponse:
    """Read the versions and publish the next; the rubric beside it."""
    project = project_for(request.user, project_id, Role.ADMIN)
    current = project.guidelines.order_by("-version").first()
    form = forms.GuidelineForm(request.POST or None, current=current)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            new = projects.publish_guideline(
                project=project,
                text=form.cleaned_data["text"],
                from_version=form.cleaned_data["from_version"],
                actor=person(request),
            )
            told = _("Version %(version)s is what labelers read from now on.")
            messages.success(request, told % {"version": new.version})
            return redirect("comparisons-requeue", project.pk, new.version)
    context = {**_guideline_context(request, project), "form": form}
    return render(request, "projects/guideline.html", context, status=400 if form.is_bound else 200)


def _guideline_context(request: HttpRequest, project: Project) -> dict[str, object]:
    versions = project.guidelines.select_related("created_by").order_by("-version")
    return {
        **page_context(person(request), project, "settings"),
        "tab": "guideline",
        "form": forms.GuidelineForm(None, current=versions.first()),
        "versions": versions,
        "criteria": project.criteria.all(),
        "criterion_form": forms.CriterionForm(),
    }


@require_POST
def save_criterion(request: HttpRequest, project_id: int) -> HttpResponse:
    """Add a criterion, or change its question."""
    project = project_for(request.user, project_id, Role.ADMIN)
    form = forms.CriterionForm(request.POST)
    if not form.is_valid():
        form.fields[next(iter(form.errors))].widget.attrs["autofocus"] = True
        context = {**_guideline_context(request, project), "criterion_form": form}
        return render(request, "projects/guideline.html", context, status=400)
    rubric.save_criterion(project=project, actor=person(request), **form.cleaned_data)
    return redirect("projects-guideline", project.pk)


@require_POST
def remove_criterion(request: HttpRequest, project_id: int, name: str) -> HttpResponse:
    """Stop asking about a criterion."""
    project = project_for(request.user, project_id, Role.ADMIN)
    rubric.remove_criterion(project=project, name=name, actor=person(request))
    return redirect("projects-guideline", project.pk)


@require_POST
def undo_criterion(request: HttpRequest, project_id: int, event_id: int) -> HttpResponse:
    """Put a criterion back as it was before an act of the trail."""
    project = project_for(request.user, project_id, Role.ADMIN)
    try:
        row = rubric.undo_criterion(project=project, event_id=event_id, actor=person(request))
        messages.success(request, _("%(name)s is as it was before.") % {"name": row.label})
    except Conflict as error:
        messages.error(request, str(error))
    return redirect("projects-guideline", project.pk)


@never_cache
@require_http_methods(["GET", "POST"])
def member_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """The members; POST adds a person who has an account."""
    project = project_for(request.user, project_id, Role.ADMIN)
    form = forms.MemberForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        name, role = form.cleaned_data["username"], Role(form.cleaned_data["role"])
        with refusals_in(form):
            members.add_member(
                project=project,
                username=name,
                role=role,
                languages=form.cleaned_data["languages"],
                actor=person(request),
            )
            told = _("%(name)s has the role %(role)s now.")
            messages.success(request, told % {"name": name, "role": role.label})
            return redirect("projects-members", project.pk)
    context = {**_members_context(request, project), "member_form": form}
    return render(request, "projects/members.html", context, status=400 if form.is_bound else 200)


def _members_context(request: HttpRequest, project: Project) -> dict[str, object]:
    return {
        **page_context(person(request), project, "settings"),
        "tab": "members",
        "members": members_of(project),
        "all_roles": Role.choices,
        "invitations": project.invitations.select_related("accepted_by").order_by("-pk")[:100],
        "member_form": forms.MemberForm(),
        "invitation_form": forms.InvitationForm(auto_id="link_%s"),
        "people_form": forms.InvitePeopleForm(auto_id="mail_%s"),
        "has_mail": inviting.has_mail(),
        "now": timezone.now(),
    }


@require_POST
def set_roles(request: HttpRequest, project_id: int, user_id: int) -> HttpResponse:
    """Let a member hold exactly the roles that are ticked, and label in the languages named; no role removes them."""
    project = project_for(request.user, project_id, Role.ADMIN)
    form = forms.RolesForm(request.POST)
    if not form.is_valid():
        return _refused_member(request, project, user_id, forms.first_error(form))
    try:
        members.set_roles(
            project=project,
            user_id=user_id,
            roles=form.chosen(),
            languages=form.languages_sent(),
            actor=person(request),
        )
    except Conflict as error:
        return _refused_member(request, project, user_id, str(error))
    messages.success(request, _("Roles and languages are saved."))
    if not project.memberships.filter(user=person(request)).exists():
        return redirect("projects-index")
    return redirect("projects-members", project.pk)


def _refused_member(
    request: HttpRequest, project: Project, user_id: int, error: str
) -> HttpResponse:
    """The members again, and in the row of one of them what was typed and why it was not taken."""
    context = _members_context(request, project)
    rows, languages = members_of(project), request.POST.get("languages")
    if languages is not None:
        held = [role for role in Role if role in request.POST.getlist("roles")]
        rows = [
            one._replace(roles=held, languages=[languages]) if one.user.pk == user_id else one
            for one in rows
        ]
    context |= {"members": rows, "refused_id": user_id, "error": error}
    return render(request, "projects/members.html", context, status=400)


@never_cache
@require_POST
def invite(request: HttpRequest, project_id: int) -> HttpResponse:
    """Make an invitation link and show it this once."""
    project = project_for(request.user, project_id, Role.ADMIN)
    form = forms.InvitationForm(request.POST, auto_id="link_%s")
    context = _members_context(request, project)
    if not form.is_valid():
        context["invitation_form"] = form
        return render(request, "projects/members.html", context, status=400)
    new = members.invite(
        project=project,
        role=Role(form.cleaned_data["role"]),
        languages=form.cleaned_data["languages"],
        note=form.cleaned_data["note"],
        days=form.cleaned_data["days"],
        actor=person(request),
    )
    context["link"] = request.build_absolute_uri(reverse("projects-invitation", args=[new.token]))
    context["invitation"] = new.invitation
    return render(request, "projects/members.html", context)


@never_cache
@require_POST
def invite_by_mail(request: HttpRequest, project_id: int) -> HttpResponse:
    """Invite several people at once; links are shown where no mail could be sent."""
    project = project_for(request.user, project_id, Role.ADMIN)
    form = forms.InvitePeopleForm(request.POST, auto_id="mail_%s")
    context = _members_context(request, project)
    if not form.is_valid():
        context["people_form"] = form
        return render(request, "projects/members.html", context, status=400)
    context["sent"] = inviting.invite_people(
        project=project,
        addresses=form.cleaned_data["addresses"],
        role=Role(form.cleaned_data["role"]),
        languages=form.cleaned_data["languages"],
        actor=person(request),
        link_of=lambda token: _link(request, token),
    )
    return render(request, "projects/members.html", context)


@never_cache
@require_POST
def resend_invitation(request: HttpRequest, project_id: int, invitation_id: int) -> HttpResponse:
    """Send an invitation again, with a fresh link."""
    project = project_for(request.user, project_id, Role.ADMIN)
    sent = inviting.resend(
        project=project,
        invitation_id=invitation_id,
        actor=person(request),
        link_of=lambda token: _link(request, token),
    )
    context = {**_members_context(request, project), "sent": [sent]}
    return render(request, "projects/members.html", context)


def _link(request: HttpRequest, token: str) -> str:
    return request.build_absolute_uri(reverse("projects-invitation", args=[token]))


@require_POST
def revoke_invitation(request: HttpRequest, project_id: int, invitation_id: int) -> HttpResponse:
    """Withdraw a link."""
    project = project_for(request.user, project_id, Role.ADMIN)
    members.revoke_invitation(project=project, invitation_id=invitation_id, actor=person(request))
    messages.success(request, _("The link is withdrawn."))
    return redirect("projects-members", project.pk)


@never_cache
@login_not_required
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show whoever holds the link where it leads; POST accepts it."""
    row = invitation_for(token)
    if request.method == "POST" and request.user.is_authenticated:
        members.accept_invitation(invitation=row, user=person(request))
        request.session.pop(SESSION_KEY, None)
        told = _("Welcome to %(name)s: your role here is %(role)s.")
        messages.success(request, told % {"name": row.project.name, "role": Role(row.role).label})
        return redirect("overview-project", row.project_id)
    request.session[SESSION_KEY] = token
    return render(request, "projects/invitation.html", {"invitation": row, "token": token})


@require_GET
def audit(request: HttpRequest, project_id: int) -> HttpResponse:
    """Who did what, newest first."""
    project = project_for(request.user, project_id, Role.ADMIN)
    trail = TrailQuery.from_query(request.GET)
    page = Paginator(trail.events_in(project), 50).get_page(request.GET.get("page"))
    context = page_context(person(request), project, "settings")
    context.update(
        tab="audit",
        page=page,
        rows=rows_of(list(page.object_list)),
        trail=trail,
        query=trail.as_query(),
        actors=actors_of(project),
    )
    return render(request, "projects/audit.html", context)
