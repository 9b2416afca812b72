"""Pages of labeling: the labeler's bench, and the admin's list of comparisons."""

import json
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
    require_safe,
)

from annotation.accounts.authentication import person
from annotation.accounts.models import User
from annotation.comparisons import exams, searching, selectors
from annotation.comparisons.batches import batch_at_hand, deadline_of
from annotation.comparisons.bench import answer_keys, bench_for
from annotation.comparisons.forms import PreferencesForm, UndoForm, answer_from
from annotation.comparisons.keys import keys_of
from annotation.comparisons.letters import said_on, verdict_text
from annotation.comparisons.marked import drawn_responses
from annotation.comparisons.models import Assignment, Comparison, Judgment, Requeue
from annotation.comparisons.offline import worker
from annotation.comparisons.progress import progress_of
from annotation.comparisons.services import comparisons, judging, pairing, queue, skips
from annotation.comparisons.services.pairing import Strategy
from annotation.comparisons.services.preferences import save_preferences
from annotation.comparisons.services.requeue import requeued_by
from annotation.comparisons.stations import station_of
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.core.forms import refusals_in
from annotation.core.text import is_key
from annotation.projects.models import Project, Role
from annotation.projects.selectors import (
    criterion_titles,
    current_guideline,
    guideline_of,
    page_context,
    project_for,
)
from annotation.ui import markdown

PAGE_SIZE = 50
AHEAD = 2  # comparisons on the labeling page beyond the one in hand
STRATEGIES = (
    (Strategy.AUTO, "Each two of up to four; more, each with the next"),
    (Strategy.ALL_PAIRS, "Each two"),
    (Strategy.RING, "Each with the next"),
    (Strategy.ONE_RANKING, "All at once, to rank"),
)


@never_cache
@require_http_methods(["GET", "POST"])
def label(request: HttpRequest, project_id: int) -> HttpResponse:
    """The bench: compare, answer, next. A post is the plain form; the script talks to the API instead.

    ``?open=`` names the lease to show first, as after an undo.
    """
    project = project_for(request.user, project_id, Role.LABELER)
    if request.method == "POST":
        return _answer(request, project)
    labeler = person(request)
    station = station_of(labeler=labeler, project_id=project.pk)
    served = queue.serve(station=station, ahead=AHEAD)
    reopened = request.GET.get("open", "")
    leases = sorted(served.leases, key=lambda one: str(one.pk) != reopened)
    benches = [bench_for(lease, station.criteria) for lease in leases]
    languages = queue.languages_of(station.member)
    batch = batch_at_hand(project=project, labeler_id=labeler.pk, languages=languages)
    preferences = selectors.preferences_of(labeler.pk)
    keys = keys_of(preferences.keys)
    last = selectors.last_judgment_of(project=project, labeler_id=labeler.pk)
    last_act = selectors.last_act_of(last, project=project, labeler_id=labeler.pk)
    sheet = _guideline_sheet(project)
    context = {
        **page_context(labeler, project, "label"),
        "bench": benches[0] if benches else None,
        "ahead": benches[1:],
        "empty": served.empty,
        "reopened": reopened,
        "progress": progress_of(
            project_id=project.pk,
            labeler=labeler,
            languages=languages,
            done=station.done,
            held=len(served.leases),
        ),
        "batch": batch,
        "deadline": deadline_of(project, batch),
        "preferences": preferences,
        "keys": keys,
        "keys_json": json.dumps({one.name: one.key for one in keys}),
        "answer_keys": answer_keys(project.answer_scale),
        "criteria": station.criteria,
        "is_training": station.is_in_training,
        "can_undo": queue.why_paused(station) is None and selectors.can_undo(last_act),
        "known_version": _version_of(last) if last else sheet["guideline_version"],
        **sheet,
    }
    return render(request, "comparisons/label.html", context)


@never_cache
@require_GET
def guideline_sheet(request: HttpRequest, project_id: int) -> HttpResponse:
    """The newest guideline as the bench shows it, for a page that has an older one."""
    project = project_for(request.user, project_id, Role.LABELER)
    context = {"project": project, **_guideline_sheet(project)}
    return render(request, "comparisons/_guideline.html", context)


@login_not_required
@never_cache
@require_safe
def offline(_request: HttpRequest) -> HttpResponse:
    """The worker that answers for the labeling page while the server is not reached; nothing in it is anybody's."""
    return HttpResponse(worker(), content_type="text/javascript; charset=utf-8")


@require_POST
def skip(request: HttpRequest, project_id: int) -> HttpResponse:
    """Skip by the plain form."""
    project = project_for(request.user, project_id, Role.LABELER)
    assignment = _posted_assignment(request, project)
    queue.skip_assignment(assignment=assignment, reason=request.POST.get("reason", ""))
    return redirect("comparisons-label", project.pk)


@require_POST
def undo(request: HttpRequest, project_id: int) -> HttpResponse:
    """Undo by the plain form: the newest act, or the judgment or skip that it names, as *My work* does.

    Who names one has left the skips that they opened before.
    """
    project = project_for(request.user, project_id, Role.LABELER)
    form = UndoForm(request.POST)
    if not form.is_valid():
        raise NotFound(_("The form has lost what to undo; load the page again."))
    labeler = person(request)
    is_named = any(form.cleaned_data.values())
    try:
        with transaction.atomic():  # what cannot be opened leaves nothing
            if is_named:
                besides = form.cleaned_data["assignment"] or 0
                skips.leave_opened(project=project, labeler=labeler, besides=besides)
            undone = judging.undo(project=project, labeler=labeler, **form.cleaned_data)
    except Conflict as error:
        messages.error(request, str(error))
        return redirect("quality-my-work" if is_named else "comparisons-label", project.pk)
    address = reverse("comparisons-label", args=[project.pk])
    return redirect(f"{address}?open={undone.assignment.pk}" if undone.assignment else address)


@never_cache
@require_http_methods(["GET", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """How the labeler likes to work, in every project: keys, breaks, upsetting content.

    ``?project=`` names the one they came from, for the way back.
    """
    labeler = person(request)
    came_from = request.GET.get("project", "")
    project = project_for(labeler, int(came_from)) if is_key(came_from) else None
    form = PreferencesForm(request.POST or None, preferences=selectors.preferences_of(labeler.pk))
    if request.method == "POST" and form.is_valid() and _save(form, labeler):
        messages.success(request, _("Saved. The labeling page works this way from now on."))
        return redirect(request.get_full_path())
    status = 400 if form.is_bound else 200
    context = {"form": form, "project": project}
    return render(request, "comparisons/preferences.html", context, status=status)


@require_GET
def comparison_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """Every comparison with its state; filters in the address."""
    project = project_for(request.user, project_id, Role.ADMIN)
    state, kind = request.GET.get("state", ""), request.GET.get("kind", "")
    search = request.GET.get("search", "")[:200].replace("\0", "").strip()
    rows = selectors.comparisons_in(project, state=state, kind=kind)
    asked = {name: request.GET.get(name, "") for name in ("batch", "prompt", "before")}
    narrowed = {name: int(key) for name, key in asked.items() if is_key(key)}
    rows = _narrowed(rows, project, narrowed).order_by("-pk")
    context = {
        **page_context(person(request), project, "comparisons"),
        **_listed(request, project, rows, search),
        "state": state,
        "kind": kind,
        "search": search,
        "kept": [*narrowed.items(), ("state", state), ("kind", kind)],
        "states": Comparison.State.choices,
        "kinds": Comparison.Kind.choices,
        "leased": selectors.leases_of(project).count(),
        "flags_open": selectors.flags_in(project, state="open").count(),
        **narrowed,
        "waiting": 0 if state or kind or search else selectors.prompts_to_pair(project).count(),
        "strategies": STRATEGIES,
    }
    return render(request, "comparisons/list.html", context)


def _listed(
    request: HttpRequest, project: Project, rows: QuerySet[Comparison], search: str
) -> dict[str, Any]:  # Any: a template's context
    """A page of all, or what was found of them down to some comparison."""
    if not search:
        page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
        return {"page": page, "listed": page.object_list}
    below = request.GET.get("below", "")
    start = int(below) if is_key(below) else None
    found = searching.search(project, rows, search, below=start, at_most=PAGE_SIZE)
    return {"found": found, "listed": found.rows, "is_further_back": start is not None}


def _narrowed(
    rows: QuerySet[Comparison], project: Project, wanted: Mapping[str, int]
) -> QuerySet[Comparison]:
    """Of a batch, of a prompt, or what a version of the guideline would ask again."""
    for name in ("batch", "prompt"):
        if name in wanted:
            rows = rows.filter(**{f"{name}_id": wanted[name]})
    if "before" not in wanted:
        return rows
    guideline = guideline_of(project=project, version=wanted["before"])
    return rows.filter(pk__in=requeued_by(guideline, scope=Requeue.Scope.BEFORE))


@require_POST
def pair_waiting(request: HttpRequest, project_id: int) -> HttpResponse:
    """Make the comparisons of candidates that wait."""
    project = project_for(request.user, project_id, Role.ADMIN)
    strategy = request.POST.get("strategy", "")
    made = pairing.pair_waiting(project=project, strategy=strategy, actor=person(request))
    messages.success(request, f"Comparisons made: {made}.")
    return redirect("comparisons-list", project.pk)


@require_GET
def comparison_detail(request: HttpRequest, project_id: int, comparison_id: int) -> HttpResponse:
    """One comparison: its texts side by side, and what each labeler said."""
    project = project_for(request.user, project_id, Role.ADMIN)
    row = selectors.comparison_of(project=project, pk=comparison_id)
    given = list(selectors.judgments_on(row))
    adjudication = row.adjudications.filter(undone_at=None).select_related("created_by").first()
    context = {
        **page_context(person(request), project, "comparisons"),
        "comparison": row,
        "turns": [(one["role"], markdown.render(one["content"])) for one in row.prompt.turns],
        "candidates": drawn_responses(row, given),
        "said": said_on(row, given, titles=criterion_titles(project.pk)),
        "adjudication": adjudication,
        "adjudicated": verdict_text(adjudication, row)
        if adjudication and adjudication.has_verdict
        else "",
        "flags": selectors.flags_with_texts(row.flags.all()),
    }
    return render(request, "comparisons/detail.html", context)


@require_POST
def comparison_state(request: HttpRequest, project_id: int, comparison_id: int) -> HttpResponse:
    """Close a comparison, or open it again."""
    project = project_for(request.user, project_id, Role.ADMIN)
    row = selectors.comparison_of(project=project, pk=comparison_id)
    is_closed = comparisons.state_named(request.POST.get("state", ""))
    comparisons.set_closed(comparison=row, is_closed=is_closed, actor=person(request))
    messages.success(request, f"Comparison {row.pk} is {'closed' if is_closed else 'open again'}.")
    return redirect("comparisons-detail", project.pk, row.pk)


def _save(form: PreferencesForm, labeler: User) -> bool:
    """Store what the form holds; False, with the reason in the form, if the service refuses it."""
    fields = form.cleaned_data
    with refusals_in(form):
        save_preferences(
            labeler=labeler,
            keys=form.chosen_keys(),
            break_after_minutes=fields["break_after_minutes"],
            is_upsetting_blurred=fields["is_upsetting_blurred"],
        )
        return True
    return False


def _answer(request: HttpRequest, project: Project) -> HttpResponse:
    assignment = _posted_assignment(request, project)
    try:
        answer = answer_from(
            request.POST, assignment.comparison.candidate_ids, scale=project.answer_scale
        )
        judgment = judging.submit_judgment(
            assignment=assignment,
            client_uuid=answer.client_uuid,
            ranking=answer.ranking,
            strengths=answer.strengths,
            is_all_bad=answer.is_all_bad,
            criteria=answer.criteria,
            rationale=answer.rationale,
            active_ms=answer.active_ms,
            guideline_version=answer.guideline_version,
        )
    except InvalidInput as error:
        messages.error(request, str(error))
        return redirect("comparisons-label", project.pk)
    if assignment.is_training:
        messages.info(request, exams.feedback_on(judgment).message)
    elif assignment.takes_place and not judgment.is_counted:
        messages.warning(request, _("Your time had ended, so this answer is kept but not counted."))
    return redirect("comparisons-label", project.pk)


def _guideline_sheet(project: Project) -> dict[str, Any]:  # Any: a template's context
    guideline = current_guideline(project)
    return {
        "guideline": guideline,
        "guideline_version": guideline.version if guideline else 0,
        "guideline_html": markdown.render(guideline.text) if guideline else "",
    }


def _version_of(judgment: Judgment) -> int:
    """The version of the guideline that it was given under; 0 for none."""
    return judgment.guideline.version if judgment.guideline else 0


def _posted_assignment(request: HttpRequest, project: Project) -> Assignment:
    key = request.POST.get("assignment", "")
    if not key.isdecimal() or len(key) > 18:
        raise NotFound(_("The form has lost its assignment; load the labeling page again."))
    labeler_id = person(request).pk
    return selectors.assignment_of(project=project, labeler_id=labeler_id, pk=int(key))
