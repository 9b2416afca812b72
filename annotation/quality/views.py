"""The agreement page, a view a tab: do our labelers agree, who does not, since when."""

from itertools import compress
from operator import not_

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from annotation.comparisons.services.again import askable, asked_more
from annotation.comparisons.services.judging import ring_agreement
from annotation.projects.models import Project, Role
from annotation.projects.selectors import project_for
from annotation.quality import drawings
from annotation.quality.adjudication import adjudications_by_comparison
from annotation.quality.frame import FIT, Context, figures_context, frame_context, query_of
from annotation.quality.items import Asked, items_of
from annotation.quality.policy_models import STYLES
from annotation.quality.report import Data
from annotation.quality.scope import FILTERS, Scope
from annotation.quality.scoped import labelers_of
from annotation.quality.selectors import (
    AgreementView,
    guideline_rows,
    live_view,
    named_policies,
    requeue_of,
    version_of,
    view_of,
)
from annotation.quality.services import catch_up
from annotation.quality.skipped import named_reasons
from annotation.quality.tables import csv_answer, parts_of_table

SUMMARY_PARTS = ("periods", "policies", "coefficients", "judges")
LABELERS_SHOWN = 100


@require_GET
def agreement(request: HttpRequest, project_id: int) -> HttpResponse:
    """The first tab: the figures in time. Under filters the further models of policies are fitted when asked for."""
    project = project_for(request.user, project_id, Role.ADMIN)
    are_fitted = Scope.of(request).is_usual or request.GET.get(FIT) == "fit"
    parts = (*SUMMARY_PARTS, *(["models"] if are_fitted else []))
    context = frame_context(request, project, "summary", parts=parts)
    data = context["report"]
    context["may_fit"] = not are_fitted
    context |= _over_time(project, data)
    context["policies"] = named_policies(project, data.get("policies", {}).get("rows", []))
    models = data.get("models", {}).get("rows", [])
    is_fitted = any(one["value"] is not None for row in models for one in row["strengths"])
    context["models"] = named_policies(project, models if is_fitted else [])
    effects = data.get("models", {}).get("effects", [])
    context["has_style"] = any(one["name"] in STYLES.values() for one in effects)
    context["policies_plot"] = drawings.policies_plot(context["policies"])
    return render(request, "quality/summary.html", context)


@require_GET
def labelers(request: HttpRequest, project_id: int) -> HttpResponse:
    """Each labeler against the others, and each two of them side by side."""
    project = project_for(request.user, project_id, Role.ADMIN)
    context = frame_context(request, project, "labelers", parts=("labelers", "matrix", "position"))
    context |= _labeler_drawings(context)
    context["skips"] = named_reasons(context["report"]["skips"])
    rows = context["report"]["labelers"]
    is_all = request.GET.get("rows") == "all" or len(rows) <= LABELERS_SHOWN
    context["labelers_shown"] = rows if is_all else _first_labelers(rows)
    context["behind"] = _rules_of(context["labelers_shown"])
    query = context["filter_query"]
    context["to_items"] = (
        reverse("quality-items", args=[project.pk]) + f"?{query}" + "&" * bool(query)
    )
    context["other_filters"] = [
        (name, one)
        for name, values in request.GET.lists()
        if name in FILTERS and name != "labeler"
        for one in values
        if one
    ]
    context["all_query"] = "&".join(part for part in (context["query"], "rows=all") if part)
    return render(request, "quality/labelers.html", context)


def _first_labelers(rows: list[Data]) -> list[Data]:
    """Those outside the limits, and the busiest."""
    named = [row["standing"] == "outside" or row["is_fast_and_wrong"] for row in rows]
    first = [*compress(rows, named), *compress(rows, map(not_, named))]
    return first[:LABELERS_SHOWN]


def _rules_of(rows: list[Data]) -> dict[str, list[str]]:
    """What stands behind those who are no people, with their names."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["rule"]:
            found.setdefault(row["rule"], []).append(row["name"])
    return found


@require_GET
def items(request: HttpRequest, project_id: int) -> HttpResponse:
    """Where one more judgment changes most, or the items behind one number of a labeler."""
    project = project_for(request.user, project_id, Role.ADMIN)
    asked = Asked.from_query(request.GET)
    context = frame_context(request, project, "items", parts=("policies", "items"))
    context["asked"] = asked
    found = items_of(project, context["scope"], asked, context["report"]["items"])
    context["found"] = found
    shown = [item.comparison.pk for item in found.items]
    context["askable"] = askable(project, shown)
    context["asked_more"] = asked_more(project, shown)
    context["adjudicated"] = adjudications_by_comparison(project, shown)
    data = context["report"]
    context["next_policies"] = named_policies(project, data.get("policies", {}).get("next", []))
    context["about"] = labelers_of([asked.labeler]).get(asked.labeler)
    return render(request, "quality/items.html", context)


@require_GET
def guideline(request: HttpRequest, project_id: int) -> HttpResponse:
    """Agreement before and after each version of the guideline."""
    project = project_for(request.user, project_id, Role.ADMIN)
    context = frame_context(request, project, "guideline", parts=("periods", "versions", "requeue"))
    data = context["report"]
    context |= _over_time(project, data)
    context["versions_shown"] = guideline_rows(project, data.get("versions", []))
    context["requeue"] = requeue_of(project, data)
    context["versions_plot"] = drawings.versions_plot(context["versions_shown"])
    return render(request, "quality/guideline.html", context)


@require_GET
def agreement_live(request: HttpRequest, project_id: int) -> HttpResponse:
    """Asked every two seconds, under filters less often: newer figures where judgments came since, else their age.

    Under filters nothing is computed, and 204 answered, where nothing came.
    """
    project = project_for(request.user, project_id, Role.ADMIN)
    catch_up(project=project)
    scope = Scope.of(request)
    if not scope.is_usual and request.GET.get("shown", "") == str(version_of(project)):
        return HttpResponse(status=204)
    view = _live_view(project, scope)
    if not view.is_current:
        ring_agreement(project.pk)
    query = query_of(request.GET, FILTERS)
    context = {"project": project, "query": query, "filter_query": query}
    context |= figures_context(project, view, is_brief=request.GET.get("strip") == "brief")
    drawn = "rough" if view.report["is_rough"] else "full"
    if request.GET.get("shown", "") == str(view.version):
        return render(request, "quality/_updated.html", context)
    if drawn == "full" == request.GET.get("state", ""):
        return render(request, "quality/_live.html", context)
    answer = render(request, "quality/_figures.html", context)
    answer["HX-Retarget"], answer["HX-Reswap"] = "#figures", "outerHTML"
    return answer


def _live_view(project: Project, scope: Scope) -> AgreementView:
    view = live_view(project) if scope.is_usual else view_of(project, scope, parts=())
    return view if view.computed_at else view_of(project, Scope())


@require_GET
def agreement_table(request: HttpRequest, project_id: int, table: str) -> StreamingHttpResponse:
    """One table as CSV."""
    project = project_for(request.user, project_id, Role.ADMIN)
    view = view_of(project, Scope.of(request), parts=parts_of_table(table))
    return csv_answer(view.report, table)


def _labeler_drawings(context: Context) -> Context:
    data = context["report"]
    return {"funnel": drawings.funnel_plot(data), "matrix": drawings.matrix_of(data)}


def _over_time(project: Project, data: Data) -> Context:
    return {
        "alpha_over_time": drawings.alpha_plot(data, _guideline_marks(project)),
        "fullest_period": drawings.fullest_period(data),
    }


def _guideline_marks(project: Project) -> list[tuple[str, str]]:
    rows = project.guidelines.order_by("version").values_list("version", "created_at")
    return [(at.date().isoformat(), f"v{version}") for version, at in rows]
