"""Addresses of agreement, and who may use them."""

from django.urls import path

from annotation.projects.models import Role
from annotation.quality import api, people_urls, views

_AT = "projects/<int:project_id>/agreement/"
api_patterns = [
    path(_AT, api.AgreementDetail.as_view(), name="api-agreement-detail"),
    path(f"{_AT}<slug:table>.csv", api.AgreementTable.as_view(), name="api-agreement-table"),
    *people_urls.api_patterns,
]
page_patterns = [
    *people_urls.page_patterns,
    path(_AT, views.agreement, name="quality-agreement"),
    path(f"{_AT}labelers/", views.labelers, name="quality-labelers"),
    path(f"{_AT}items/", views.items, name="quality-items"),
    path(f"{_AT}guideline/", views.guideline, name="quality-guideline"),
    path(f"{_AT}live/", views.agreement_live, name="quality-live"),
    path(f"{_AT}<slug:table>.csv", views.agreement_table, name="quality-table"),
]

ADMIN = frozenset({Role.ADMIN})
READERS = frozenset({Role.ADMIN, Role.ENGINEER})
ROUTE_ROLES = {
    "api-agreement-detail": {"GET": READERS},
    "api-agreement-table": {"GET": READERS},
    "quality-agreement": {"GET": ADMIN},
    "quality-labelers": {"GET": ADMIN},
    "quality-items": {"GET": ADMIN},
    "quality-guideline": {"GET": ADMIN},
    "quality-live": {"GET": ADMIN},
    "quality-table": {"GET": ADMIN},
    **people_urls.ROUTE_ROLES,
}
