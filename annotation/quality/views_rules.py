"""Pages of rules, with their dry runs, and of disputes."""

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from annotation.accounts.authentication import person
from annotation.accounts.models import User
from annotation.core.errors import Conflict, DomainError, InvalidInput
from annotation.projects.models import Project, Role
from annotation.projects.selectors import project_for
from annotation.projects.services.projects import update_settings
from annotation.projects.settings_forms import idle_early_stop
from annotation.quality import asking, disputes, people_forms, rules
from annotation.quality.appealed import appealed, compared_in
from annotation.quality.models import Dispute
from annotation.quality.people_frame import (
    Context,
    done,
    names_of,
    narrowed_context,
    people_context,
    refused,
)
from annotation.quality.rule_kinds import checked_agreeing, sentence_of

PAGE_SIZE = 50


@require_GET
def rule_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """The rules of the project with what each does, and the forms of new ones."""
    project = project_for(request.user, project_id, Role.ADMIN)
    return render(request, "quality/rules.html", _rules_context(request, project))


def _rules_context(request: HttpRequest, project: Project) -> Context:
    scope, context = narrowed_context(request, project, "rules")
    listed = rules.rules_within(project, scope)
    names = names_of({pk for one in listed for pk in one.found})
    people = User.objects.filter(
        Q(memberships__project=project, memberships__role=Role.LABELER)
        | Q(pk__in=project.judgments.order_by().values("labeler"))
    )
    return {
        **context,
        "rules": [
            (one, sentence_of(one), [names[pk] for pk in one.found if pk in names])
            for one in listed
        ],
        "labelers": people.distinct().order_by("username").values_list("pk", "username"),
        "machines": [
            (one.pk, one.username) for one in people.filter(kind=User.Kind.MACHINE).distinct()
        ],
        "asked": request.POST or {"labeler": request.GET.get("about", "")},
        "early_stop_idle": idle_early_stop(project),
        "shares": {name: f"{100 * getattr(project, name):g}" for name in asking.SHARES},
    }


@require_POST
def rule_try(request: HttpRequest, project_id: int) -> HttpResponse:
    """A dry run: what the posted rule would do to everything judged so far. Nothing is written."""
    project = project_for(request.user, project_id, Role.ADMIN)
    kind, series = request.POST.get("kind", ""), _series(request)
    params = people_forms.params_from(request.POST, kind)
    tried, error = None, ""
    try:
        tried = rules.dry_run(project=project, kind=kind, params=params, series=series)
    except DomainError as reason:
        error = str(reason)
    found = {
        "project": project,
        "kind": kind,
        "tried": tried,
        "tried_error": error,
        "tried_series": series,
        "posted": [
            (key, value)
            for key, value in request.POST.items()
            if key not in {"csrfmiddlewaretoken", "reason"}
        ],
        "tried_names": names_of(tried.concerned).values() if tried else [],
    }
    if request.headers.get("HX-Request"):
        return render(request, "quality/_dry_run.html", found)
    context = _rules_context(request, project)
    return render(request, "quality/rules.html", {**context, **found})


@require_POST
def early_stop(request: HttpRequest, project_id: int) -> HttpResponse:
    """Try early stop on history, which writes nothing; or, where the button says so, let it hold from now on."""
    project = project_for(request.user, project_id, Role.ADMIN)
    text = request.POST.get("agreeing", "")
    try:
        number = people_forms.number_from(request.POST, "agreeing")
        agreeing = checked_agreeing(number) if text else None
        if "save" not in request.POST:
            tried = rules.try_early_stop(project=project, agreeing=agreeing)
            context = _rules_context(request, project)
            return render(request, "quality/rules.html", {**context, "early_stop": tried})
        update_settings(project=project, actor=person(request), stop_when_agreeing=agreeing)
    except DomainError as error:
        return _refused_beside(request, project, early_stop_error=str(error))
    ends = f"{agreeing} equal verdicts end a comparison, also where they were given before."
    opens = "Every comparison gets all its labels, also those that were ended early."
    text = f"{ends} {idle_early_stop(project)}".rstrip() if agreeing else opens
    return done(request, text, "quality-rules", project.pk)


@require_POST
def asking_set(request: HttpRequest, project_id: int) -> HttpResponse:
    """Try overlap, gold and repeats on history, which writes nothing; or, where the button says so, save them."""
    project = project_for(request.user, project_id, Role.ADMIN)
    try:
        settings = people_forms.settings_from(request.POST, asking.SETTINGS)
        if "save" not in request.POST:
            tried = asking.try_asking(project=project, settings=settings)
            context = _rules_context(request, project)
            return render(request, "quality/rules.html", {**context, "would_ask": tried})
        update_settings(project=project, actor=person(request), **settings)
    except DomainError as error:
        return _refused_beside(request, project, asking_error=str(error))
    text = "Saved. Gold, repeats and reading time hold at once, the labels for comparisons made from now on."
    return done(request, text, "quality-rules", project.pk)


def _refused_beside(request: HttpRequest, project: Project, **errors: str) -> HttpResponse:
    """The page again with what was typed, and beside its form why it was not taken."""
    project.refresh_from_db()  # the service sets what it then refuses
    context = {**_rules_context(request, project), **errors}
    return render(request, "quality/rules.html", context, status=400)


def _series(request: HttpRequest) -> int | None:
    return people_forms.key_from(request.POST, "series") if request.POST.get("series") else None


@require_POST
def rule_save(request: HttpRequest, project_id: int) -> HttpResponse:
    """Save the rule that was tried."""
    project = project_for(request.user, project_id, Role.ADMIN)
    kind = request.POST.get("kind", "")
    reason = request.POST.get("reason", "").strip()
    try:
        if not reason:
            raise InvalidInput.at("reason", "Say why this rule: the reason stands beside it.")
        rule = rules.save_rule(
            project=project,
            kind=kind,
            params=people_forms.params_from(request.POST, kind),
            reason=reason,
            series=_series(request),
            actor=person(request),
        )
    except DomainError as error:
        return refused(request, error, "quality-rules", project.pk)
    text = f"Rule {rule.series} is on, version {rule.version}. Nothing was deleted."
    return done(request, text, "quality-rules", project.pk)


@require_POST
def rule_switch(request: HttpRequest, project_id: int, series: int) -> HttpResponse:
    """Switch a rule on or off."""
    project = project_for(request.user, project_id, Role.ADMIN)
    is_on = request.POST.get("state") == "on"
    try:
        rules.switch_rule(project=project, series=series, is_on=is_on, actor=person(request))
    except Conflict as error:
        return refused(request, error, "quality-rules", project.pk)
    text = f"Rule {series} is {'on' if is_on else 'off'}."
    return done(request, text, "quality-rules", project.pk)


@require_GET
def rule_versions(request: HttpRequest, project_id: int, series: int) -> HttpResponse:
    """Every version of one rule with what it would have done when it was saved."""
    project = project_for(request.user, project_id, Role.ADMIN)
    rules.rule_of(project, series)
    listed = rules.versions_of(project, series)
    context = {
        **people_context(request, project, "rules"),
        "series": series,
        "versions": [(one, sentence_of(one)) for one in listed],
    }
    return render(request, "quality/rule.html", context)


@require_GET
def dispute_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """What labelers appeal."""
    project = project_for(request.user, project_id, Role.ADMIN)
    state = request.GET.get("state", Dispute.State.OPEN)
    scope, frame = narrowed_context(request, project, "disputes")
    rows = disputes.disputes_of(project, state=state, scope=scope)
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    about = appealed(project, page.object_list)
    compared = compared_in(about)
    context = {
        **frame,
        "carried": [*frame["carried"], ("state", state)],
        "page": page,
        "rows": [(one, about[one.pk], compared.get(one.pk)) for one in page.object_list],
        "counts": disputes.counts_of(project, scope),
        "state": state,
    }
    return render(request, "quality/disputes.html", context)


@require_POST
def dispute_answer(request: HttpRequest, project_id: int, dispute_id: int) -> HttpResponse:
    """Uphold or decline, with a reason."""
    project = project_for(request.user, project_id, Role.ADMIN)
    dispute = disputes.dispute_of(project, dispute_id)
    verdict = request.POST.get("verdict", "")
    try:
        if verdict not in {Dispute.State.UPHELD, Dispute.State.DECLINED}:
            raise InvalidInput.at("verdict", "Choose: uphold or decline.")
        disputes.answer_dispute(
            dispute=dispute,
            is_upheld=verdict == Dispute.State.UPHELD,
            answer=request.POST.get("answer", ""),
            is_remedied=bool(request.POST.get("remedy")),
            actor=person(request),
        )
    except DomainError as error:
        return refused(request, error, "quality-disputes", project.pk)
    text = f"Answered: {verdict}. {dispute.labeler.username} reads it on their page."
    return done(request, text, "quality-disputes", project.pk)


@require_POST
def dispute_reopen(request: HttpRequest, project_id: int, dispute_id: int) -> HttpResponse:
    """Take an answer back."""
    project = project_for(request.user, project_id, Role.ADMIN)
    dispute = disputes.dispute_of(project, dispute_id)
    try:
        disputes.reopen_dispute(dispute=dispute, actor=person(request))
    except DomainError as error:
        return refused(request, error, "quality-disputes", project.pk)
    return done(request, "The dispute is open again.", "quality-disputes", project.pk)
