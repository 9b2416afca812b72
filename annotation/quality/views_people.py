"""Pages on which admins look after labelers, comparisons and gold."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.accounts.zones import zone_of
from annotation.comparisons.exams import exam_of, sequential_test
from annotation.comparisons.gold import known_tiers
from annotation.comparisons.letters import letters_of, ranking_text, said_on, verdict_text
from annotation.comparisons.marked import drawn_responses
from annotation.comparisons.models import Comparison
from annotation.comparisons.selectors import (
    comparison_of,
    flags_with_texts,
    judgments_on,
)
from annotation.comparisons.steps import steps_of
from annotation.comparisons.verdicts import has_tie
from annotation.core.errors import DomainError, InvalidInput
from annotation.projects.models import Membership, Project, Role
from annotation.projects.selectors import criterion_titles, project_for
from annotation.quality import (
    acts,
    adjudication,
    disputes,
    exams,
    gold,
    numbers,
    people_forms,
    previews,
    rule_kinds,
)
from annotation.quality.labeler_measures import measures_of, measures_table
from annotation.quality.models import Adjudication, LabelerAct
from annotation.quality.people_frame import (
    Context,
    done,
    labeler_frame,
    narrowed_context,
    people_context,
    refused,
)
from annotation.quality.scope import Scope
from annotation.quality.selectors import refuse_unknown
from annotation.quality.services import catch_up
from annotation.quality.skipped import skips_on
from annotation.quality.tables import csv_download
from annotation.ui import charts, markdown

PAGE_SIZE = 50
Kind = LabelerAct.Kind


@require_GET
def labeler(request: HttpRequest, project_id: int, labeler_id: int) -> HttpResponse:
    """One labeler: numbers, exam, what was done, what can be done."""
    project = project_for(request.user, project_id, Role.ADMIN)
    member = acts.judge_of(project, labeler_id)
    return render(request, "quality/labeler.html", _labeler_context(request, project, member))


@require_GET
def labeler_csv(request: HttpRequest, project_id: int, labeler_id: int) -> StreamingHttpResponse:
    """The numbers of one labeler under the filters of the address."""
    project = project_for(request.user, project_id, Role.ADMIN)
    acts.judge_of(project, labeler_id)
    scope = Scope.of(request)
    refuse_unknown(project, scope)
    catch_up(project=project)
    found = measures_of(project, numbers.numbers_of(project, labeler_id), labeler_id, scope)
    return csv_download(*measures_table(found), name=f"labeler-{labeler_id}")


def _labeler_context(request: HttpRequest, project: Project, member: Membership) -> Context:
    labeler_id = member.user_id
    frame = labeler_frame(request, project, labeler_id)
    found = numbers.numbers_of(project, labeler_id)
    return {
        **frame,
        "member": member,
        "numbers": found,
        "measures": measures_of(project, found, labeler_id, frame["scope"]),
        "paths": [(one, exam_drawing(one)) for one in exams.paths_of(project, labeler_id)],
        "acts": acts.acts_on(project, labeler_id)[:PAGE_SIZE],
        "possible": _possible(member) if member.pk else [],
        "ruled": [
            (one, rule_kinds.sentence_of(one)) for one in disputes.rules_about(project, labeler_id)
        ],
        "zone": zone_of(member.user),
        "days": numbers.days_of(project, labeler_id, zone=zone_of(member.user))[:14],
    }


def exam_drawing(path: exams.Path) -> SafeString | None:
    """The path of an attempt between its limits; None before the first answer."""
    if not path.scores:
        return None
    told = f"Attempt {path.attempt.number}, {path.attempt.state}: {path.right} of {len(path.answers)} right."
    return charts.walk(
        path.scores, label=told, top=(path.pass_at, "passes"), bottom=(path.fail_at, "fails")
    )


class Possible(NamedTuple):
    """An act that would change something now: its kind, its button, what it means, whether history tells more."""

    kind: str
    label: str
    meaning: str
    is_tried: bool = False


def _possible(member: Membership) -> list[Possible]:
    """The acts that would change something now."""
    meaning = "They read it on their page. Nothing else changes."
    found = [Possible(Kind.MESSAGE, "Send the message", meaning)]
    if member.paused_at:
        found.append(Possible(Kind.RESUME, "Let them work again", "The queue serves them again."))
    else:
        meaning = "They get no more work until you resume them."
        found.append(Possible(Kind.PAUSE, "Pause", meaning, is_tried=True))
    return found + _possible_exam(member) if member.project.must_qualify else found


def _possible_exam(member: Membership) -> list[Possible]:
    if member.qualified_at:
        again = "They take the entry exam again."
        return [Possible(Kind.RETRAIN, "Retrain", again, is_tried=True)]
    found = [Possible(Kind.QUALIFY, "Let in without exam", "Real work from now on.")]
    if exams.is_between_attempts(member):
        meaning = (
            "They take the entry exam once more, at once and beyond the attempts that it allows."
        )
        found.append(Possible(Kind.RETRAIN, "Another attempt", meaning))
    return found


@require_POST
def labeler_act(request: HttpRequest, project_id: int, labeler_id: int) -> HttpResponse:
    """Do one thing about a labeler."""
    project = project_for(request.user, project_id, Role.ADMIN)
    member = acts.labeler_of(project, labeler_id)
    back = ("quality-labeler", project.pk, labeler_id)
    kind, text = request.POST.get("kind", ""), request.POST.get("text", "")
    try:
        acts.act(member=member, kind=kind, text=text, actor=person(request))
    except DomainError as error:
        return refused(request, error, *back)
    return done(request, f"Done: {kind}. {member.user.username} reads why on their page.", *back)


@require_POST
def labeler_act_try(request: HttpRequest, project_id: int, labeler_id: int) -> HttpResponse:
    """What a pause or retraining would mean, by what was judged so far. Nothing is written."""
    project = project_for(request.user, project_id, Role.ADMIN)
    member = acts.labeler_of(project, labeler_id)
    found: Context = {"preview_text": request.POST.get("text", "")}
    try:
        found["preview"] = previews.preview_of(member=member, kind=request.POST.get("kind", ""))
    except DomainError as reason:
        found["preview_error"] = str(reason)
    if request.headers.get("HX-Request"):
        found |= {"project": project, "member": member}
        return render(request, "quality/_act_preview.html", found)
    context = _labeler_context(request, project, member)
    return render(request, "quality/labeler.html", {**context, **found})


@require_POST
def act_undo(request: HttpRequest, project_id: int, act_id: int) -> HttpResponse:
    """Undo what was done about a labeler."""
    project = project_for(request.user, project_id, Role.ADMIN)
    past = acts.act_of(project, act_id)
    back = ("quality-labeler", project.pk, past.labeler_id)
    try:
        acts.undo_act(done=past, actor=person(request))
    except DomainError as error:
        return refused(request, error, *back)
    return done(request, f"Undone: {past.kind}.", *back)


class Step(NamedTuple):
    """One choice of a verdict."""

    value: str
    label: str


def verdict_steps(candidate_ids: Sequence[int], scale: str) -> list[Step]:
    """The choices for a pair on an answer scale, from the first better by most to the second."""
    first, second = candidate_ids
    steps = steps_of(scale)
    before = [Step(f"{first}:{one.strength}", f"A {one.words}") for one in steps]
    after = [Step(f"{second}:{one.strength}", f"B {one.words}") for one in reversed(steps)]
    tie = [Step("tie", "about the same")] if has_tie(scale) else []
    return [*before, *tie, *after]


@require_http_methods(["GET", "POST"])
def comparison(request: HttpRequest, project_id: int, comparison_id: int) -> HttpResponse:
    """One comparison with what labelers said, to adjudicate it or to make it gold. A post adjudicates."""
    project = project_for(request.user, project_id, Role.ADMIN)
    row = comparison_of(project=project, pk=comparison_id)
    if request.method == "POST":
        return _adjudicate(request, project, row)
    return render(request, "quality/comparison.html", _comparison_context(request, project, row))


def _refused_in(
    request: HttpRequest, project: Project, row: Comparison, form: str, error: InvalidInput
) -> HttpResponse:
    """The comparison again, with what was typed in one of its forms and why it was not taken."""
    typed = {**_typed(row, request.POST), "error": str(error)}
    context = {**_comparison_context(request, project, row), form: typed}
    return render(request, "quality/comparison.html", context, status=400)


def _typed(row: Comparison, fields: Mapping[str, str]) -> Context:
    """What a form about a verdict shows: its fields, and the rank of each candidate."""
    letters = letters_of(row.candidate_ids).items()
    ranks = [(letter, pk, fields.get(f"rank-{pk}", "")) for pk, letter in letters]
    return {name: fields[name] for name in fields} | {"ranks": ranks}


def _comparison_context(request: HttpRequest, project: Project, row: Comparison) -> Context:
    letters, given = letters_of(row.candidate_ids), list(judgments_on(row))
    scale = project.answer_scale
    found = adjudication.adjudications_by_comparison(project, [row.pk]).get(row.pk)
    item = disputes.gold_by_comparison(project, [row.pk]).get(row.pk)
    return {
        **people_context(request, project, "items"),
        "comparison": row,
        "turns": [(one["role"], markdown.render(one["content"])) for one in row.prompt.turns],
        "candidates": drawn_responses(row, given),
        "said": said_on(row, given, titles=criterion_titles(project.pk)),
        "steps": verdict_steps(row.candidate_ids, scale) if len(row.candidate_ids) == 2 else [],
        "has_tie": has_tie(scale),
        "causes": Adjudication.Cause.choices,
        "disputes": disputes.disputes_about(row),
        "flags": flags_with_texts(row.flags.all()),
        "skips": skips_on(row),
        "adjudication": found,
        "adjudicated": verdict_text(found, row) if found and found.has_verdict else "",
        "deciding": _typed(row, {}),
        "gold": item,
        "marking": _typed(row, {"from": "adjudication", "note": item.note if item else ""}),
        "known": ranking_text(known_tiers(row), letters),
        "votes_standing": row.judgments.filter(withdrawn_at=None, is_counted=True).count(),
    }


def _adjudicate(request: HttpRequest, project: Project, row: Comparison) -> HttpResponse:
    try:
        adjudication.adjudicate(
            comparison=row,
            cause=request.POST.get("cause", ""),
            verdict=people_forms.verdict_from(request.POST, row.candidate_ids),
            note=request.POST.get("note", ""),
            actor=person(request),
        )
    except InvalidInput as error:
        return _refused_in(request, project, row, "deciding", error)
    text = f"Comparison {row.pk} is adjudicated. The votes stay beside it."
    return done(request, text, "quality-comparison", project.pk, row.pk)


@require_POST
def adjudication_undo(request: HttpRequest, project_id: int, adjudication_id: int) -> HttpResponse:
    """Take a verdict back."""
    project = project_for(request.user, project_id, Role.ADMIN)
    made = adjudication.adjudication_of(project, adjudication_id)
    back = ("quality-comparison", project.pk, made.comparison_id)
    try:
        before = adjudication.undo_adjudication(made=made, actor=person(request))
    except DomainError as error:
        return refused(request, error, *back)
    then = "the one before it stands again" if before else "the votes decide again"
    return done(request, f"The verdict is taken back; {then}.", *back)


@require_POST
def gold_mark(request: HttpRequest, project_id: int, comparison_id: int) -> HttpResponse:
    """Make a comparison gold, or correct its known answer."""
    project = project_for(request.user, project_id, Role.ADMIN)
    row = comparison_of(project=project, pk=comparison_id)
    found = adjudication.adjudications_by_comparison(project, [row.pk]).get(row.pk)
    is_adjudicated = request.POST.get("from") == "adjudication" and found and found.has_verdict
    try:
        known = (
            found.ranking
            if found and is_adjudicated
            else people_forms.known_from(request.POST, row.candidate_ids)
        )
        origin = "adjudicated" if is_adjudicated else "hand"
        gold.mark_gold(
            comparison=row,
            known_ranking=known,
            note=request.POST.get("note", ""),
            origin=origin,
            actor=person(request),
        )
    except InvalidInput as error:
        return _refused_in(request, project, row, "marking", error)
    text = f"Comparison {row.pk} is gold now."
    return done(request, text, "quality-comparison", project.pk, row.pk)


@require_POST
def gold_state(request: HttpRequest, project_id: int, comparison_id: int) -> HttpResponse:
    """Retire gold, restore it, or make it an ordinary comparison again."""
    project = project_for(request.user, project_id, Role.ADMIN)
    item, actor = gold.gold_item(project, comparison_id), person(request)
    wanted = request.POST.get("state", "")
    try:
        if wanted == "retired":
            gold.retire_gold(item=item, reason=request.POST.get("reason", ""), actor=actor)
        elif wanted == "used":
            gold.restore_gold(item=item, actor=actor)
        elif wanted == "ordinary":
            gold.unmark_gold(item=item, actor=actor)
        else:
            raise InvalidInput.at("state", f"state={wanted[:40]!r} is not retired, used, ordinary.")
    except DomainError as error:
        return refused(request, error, "quality-gold", project.pk)
    return done(request, f"Comparison {comparison_id}: {wanted}.", "quality-gold", project.pk)


@require_http_methods(["GET", "POST"])
def gold_page(request: HttpRequest, project_id: int) -> HttpResponse:
    """All gold with how it was answered, and the entry exam made of it. A post imports known answers."""
    project = project_for(request.user, project_id, Role.ADMIN)
    if request.method == "GET":
        return render(request, "quality/gold.html", _gold_context(request, project))
    text = request.POST.get("text", "")
    try:
        imported = gold.import_gold(project=project, text=text, actor=person(request))
    except InvalidInput as error:
        return _refused_beside(request, project, text=text, text_error=str(error))
    context = _gold_context(request, project) | {"imported": imported}
    context["text"] = text if imported.rejected else ""
    return render(request, "quality/gold.html", context)


def _gold_context(request: HttpRequest, project: Project) -> Context:
    scope, frame = narrowed_context(request, project, "gold")
    page = Paginator(gold.gold_items(project, scope), PAGE_SIZE).get_page(request.GET.get("page"))
    exam = exam_of(project)
    return {
        **frame,
        "page": page,
        "gold": gold.gold_report(project, page.object_list, scope),
        "exam": exam,
        "asked": {
            **{name: f"{100 * getattr(exam, name):g}" for name in exams.SHARES},
            "attempts_max": exam.attempts_max,
            "retake_after_hours": exam.retake_after_hours,
        },
        "usual_length": exams.usual_length(sequential_test(exam)),
        "entrants": exams.entrants_of(project) if project.must_qualify else [],
        "in_use": project.gold_items.filter(retired_at=None).count(),
    }


def _refused_beside(request: HttpRequest, project: Project, **told: object) -> HttpResponse:
    """The page of gold again with what was typed, and beside its form why it was not taken."""
    context = _gold_context(request, project) | told
    return render(request, "quality/gold.html", context, status=400)


@require_POST
def exam_set(request: HttpRequest, project_id: int) -> HttpResponse:
    """Change the entry exam."""
    project = project_for(request.user, project_id, Role.ADMIN)
    names = (*exams.SHARES, "attempts_max", "retake_after_hours")
    posted = {
        name: people_forms.number_from(request.POST, name) for name in names if name in request.POST
    }
    try:
        exams.set_exam(project=project, actor=person(request), **posted)
    except InvalidInput as error:
        return _refused_beside(request, project, asked=request.POST, exam_error=str(error))
    return done(request, "The entry exam is saved.", "quality-gold", project.pk)
