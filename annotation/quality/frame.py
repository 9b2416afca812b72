"""The frame of the agreement page: its tabs, the filters they share, and the figures below them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils import timezone

from annotation.accounts.authentication import person
from annotation.comparisons.services.judging import ring_agreement
from annotation.projects.models import Project
from annotation.projects.selectors import page_context
from annotation.quality.cards import MAIN, cards_of
from annotation.quality.groups import groups_of
from annotation.quality.models import ColumnStore
from annotation.quality.scope import (
    EVERYBODY,
    FILTERS,
    SIGNAL_FILTERS,
    LabelerKind,
    Scope,
    Selected,
)
from annotation.quality.scoped import labelers_of
from annotation.quality.selectors import AgreementView, open_disputes, tags_of, view_of
from annotation.quality.services import catch_up

Context = dict[str, Any]  # Any: a template's context
KINDS = (
    ("", "all but machine judges"),
    (LabelerKind.PEOPLE, "people"),
    (LabelerKind.MACHINE, "machine judges"),
    (LabelerKind.SIMULATED, "simulated"),
    (LabelerKind.IMPORTED, "imported"),
    (EVERYBODY, "all"),
)
SELECTED = (("", "apart"), (Selected.WITH, "counted too"), (Selected.ONLY, "alone"))
FIT = "models"  # in the address of the first tab: fit the further models too
PERIODS = ((0, "all time"), (7, "last 7 days"), (30, "last 30 days"), (90, "last 90 days"))


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab of the page: its key, its name for people, the name of its route, the filters it has."""

    key: str
    label: str
    route: str
    filters: tuple[str, ...] = FILTERS  # of the address, that go with it


TABS = (
    Tab("summary", "Summary", "quality-agreement"),
    Tab("labelers", "Labelers", "quality-labelers"),
    Tab("items", "Items", "quality-items"),
    Tab("guideline", "Guideline", "quality-guideline"),
    Tab("signals", "Signals", "quality-signals", SIGNAL_FILTERS),
    Tab("gold", "Gold", "quality-gold"),
    Tab("rules", "Rules", "quality-rules"),
    Tab("disputes", "Disputes", "quality-disputes"),
)


@dataclass(frozen=True, slots=True)
class Link:
    """A tab as it is drawn: the filters go with it."""

    label: str
    url: str
    is_on: bool


def frame_context(
    request: HttpRequest, project: Project, tab: str, *, parts: Sequence[str] = ()
) -> Context:
    """All that `quality/frame.html` needs around the body of one tab; rings where figures are old.

    ``parts`` of the report are computed for it, where a filter asks for a fresh one.
    """
    catch_up(project=project)
    view = view_of(project, Scope.of(request), parts=parts)
    if not (view.is_current and view.are_tables_current):
        ring_agreement(project.pk)
    asked = request.GET.copy()
    asked.pop(FIT, None)
    return {
        **page_context(person(request), project, "agreement"),
        **figures_context(project, view, is_brief=tab != "summary"),
        **filters_context(project, view.scope),
        "filters": FILTERS,
        **tabs_context(request, project, tab),
        "query": asked.urlencode(),
    }


def tabs_context(request: HttpRequest, project: Project, tab: str) -> Context:
    """What `quality/_tabs.html` needs, and the filters of the address for other links."""
    return {
        "tab": tab,
        "tab_url": next(reverse(one.route, args=[project.pk]) for one in TABS if one.key == tab),
        "tabs": [_link(project, one, request.GET, is_on=one.key == tab) for one in TABS],
        "disputes_open": open_disputes(project).count(),
        "filter_query": query_of(request.GET, FILTERS),
    }


def figures_context(project: Project, view: AgreementView, *, is_brief: bool) -> Context:
    """The strip of figures at the top of the page; brief: the main ones in a line, the others folded."""
    data = view.report
    is_filtered = not view.scope.is_usual
    cards = (
        cards_of(data, target=project.agreement_target, is_filtered=is_filtered)
        if data["judgments"]
        else []
    )
    return {
        "view": view,
        "report": data,
        "age": _age(view.computed_at),
        "tables_age": _age(view.tables_at),
        "cards": cards,
        "is_brief": is_brief,
        "main_cards": [card for card in cards if is_brief and card.key in MAIN],
    }


def _age(at: datetime | None) -> timedelta:
    return timezone.now() - at if at else timedelta(0)


def _link(project: Project, tab: Tab, asked: QueryDict, *, is_on: bool) -> Link:
    url, query = reverse(tab.route, args=[project.pk]), query_of(asked, tab.filters)
    return Link(tab.label, f"{url}?{query}" if query else url, is_on)


def query_of(asked: QueryDict, names: Sequence[str]) -> str:
    """What of an address has these names and says something."""
    kept = QueryDict(mutable=True)
    for name, values in asked.lists():
        if name in names:
            kept.setlist(name, [one for one in values if one])
    return kept.urlencode()


def filters_context(project: Project, scope: Scope) -> Context:
    """What `quality/_filters.html` needs."""
    store = ColumnStore.objects.filter(project=project).first()
    known = store.languages if store else []
    criteria = {"overall": "overall"} | {one.name: one.label for one in project.criteria.all()}
    return {
        "scope": scope,
        "chosen": sorted(one.name for one in labelers_of(list(scope.chosen)).values()),
        "kinds": KINDS,
        "versions": list(project.guidelines.order_by("version").values_list("version", flat=True)),
        "criteria": criteria,
        "criterion": criteria.get(scope.criterion, scope.criterion),
        "selected": SELECTED,
        "periods": PERIODS,
        "groups": list(groups_of(project).values_list("pk", "name")),
        "batches": list(project.batches.order_by("name").values_list("pk", "name")),
        "languages": sorted(language for language in known if language),
        "tags": sorted({*tags_of(project), scope.tag} - {""}),
    }
