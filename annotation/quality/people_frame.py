"""The frame of the pages on which admins look after people, and how those pages answer a form."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from annotation.accounts.authentication import person
from annotation.accounts.models import User
from annotation.comparisons.selectors import OVERALL
from annotation.core.errors import DomainError
from annotation.projects.models import Project
from annotation.projects.selectors import page_context
from annotation.quality.frame import filters_context, tabs_context
from annotation.quality.scope import (
    DISPUTE_FILTERS,
    FILTERS,
    GOLD_FILTERS,
    RULE_FILTERS,
    Scope,
)
from annotation.quality.selectors import refuse_unknown
from annotation.quality.services import catch_up

Context = dict[str, Any]  # Any: a template's context


def people_context(request: HttpRequest, project: Project, tab: str) -> Context:
    """The frame of these pages: the tabs of agreement, without its figures and filters."""
    return {
        **page_context(person(request), project, "agreement"),
        **tabs_context(request, project, tab),
    }


class Narrowing(NamedTuple):
    """The filters that a page has, and what they do there."""

    filters: tuple[str, ...]
    meaning: str


NARROWING = {
    "gold": Narrowing(
        GOLD_FILTERS,
        "Answers are narrowed by who gave them, under which guideline and when; gold by the batch, language and tag of "
        "its comparison. Only its overall answer is known, and gold is never selected, so neither of these is a filter "
        "here. The exam looks at all.",
    ),
    "rules": Narrowing(
        RULE_FILTERS,
        "A rule holds for the whole project. The filters choose among the rules, by when they were saved and whom they "
        "concern now; they change nothing about what a rule does, nor what trying one on history looks at.",
    ),
    "disputes": Narrowing(
        DISPUTE_FILTERS,
        "Disputes are narrowed by who opened them and when. By batch, language or tag those remain that are about a "
        "comparison: a pause or a rule is about none. What is appealed has no criterion and no guideline version.",
    ),
}
NAMES = {
    "labelers": "kind of labelers",
    "guideline": "guideline version",
    "criterion": "criterion",
    "selected": "selected comparisons",
    "batch": "batch",
    "language": "language",
    "tag": "tag",
}


def narrowed_context(request: HttpRequest, project: Project, tab: str) -> tuple[Scope, Context]:
    """The filters of the address that the page of this tab has, and its frame with them.

    The others stay in the address, so that the next tab has them; the page says that it does not have them.
    """
    names, meaning = NARROWING[tab]
    scope = scope_on(request, project, tab)
    others = [(key, request.GET[key]) for key in FILTERS if key not in names and key in request.GET]
    others = [(key, value) for key, value in others if value]
    return scope, {
        **people_context(request, project, tab),
        **filters_context(project, scope),
        "filters": names,
        "meaning": meaning,
        "carried": others,
        "left_out": [NAMES[key] for key, value in others if value != OVERALL],
    }


OF_LABELER = (
    "The numbers are of what the filters let in. The notes, the share right among quick answers, the hours, the exam "
    "and what was done are of everything. Chosen labelers and groups are those whom this one is compared with."
)


def labeler_frame(request: HttpRequest, project: Project, labeler_id: int) -> Context:
    """The frame of one labeler's page with the filters of the tabs; InvalidInput names what is not there."""
    catch_up(project=project)
    scope = Scope.of(request)
    refuse_unknown(project, scope)
    context = people_context(request, project, "labelers")
    query, items = context["filter_query"], reverse("quality-items", args=[project.pk])
    return {
        **context,
        **filters_context(project, scope),
        "filters": FILTERS,
        "meaning": OF_LABELER,
        "tab_url": reverse("quality-labeler", args=[project.pk, labeler_id]),
        "to_items": f"{items}?{query}&" if query else f"{items}?",
    }


def scope_on(request: HttpRequest, project: Project, tab: str) -> Scope:
    """The filters of the address that the page of this tab has; InvalidInput names what is not there."""
    scope = Scope.of(request)
    refuse_unknown(project, scope)
    return scope.only(NARROWING[tab].filters)


def names_of(labeler_ids: Iterable[int]) -> dict[int, str]:
    """Names by id; one query."""
    return dict(User.objects.filter(pk__in=labeler_ids).values_list("pk", "username"))


def done(request: HttpRequest, text: str, route: str, *keys: int) -> HttpResponse:
    """Say what was done, and go back to where it was asked."""
    messages.success(request, text)
    return redirect(route, *keys)


def refused(request: HttpRequest, error: DomainError, route: str, *keys: int) -> HttpResponse:
    """Say why not, and go back."""
    messages.error(request, str(error))
    return redirect(route, *keys)
