"""Addresses of the overview and the set-up, and who may use them."""

from django.urls import path

from annotation.overview import api, views
from annotation.projects.models import Role

_PROJECT = "projects/<int:project_id>/"
api_patterns = [
    path(f"{_PROJECT}overview/", api.Overview.as_view(), name="api-overview"),
    path(f"{_PROJECT}estimate/", api.EstimateView.as_view(), name="api-estimate"),
]
page_patterns = [
    path(_PROJECT, views.overview, name="overview-project"),
    path(f"{_PROJECT}estimate/", views.estimate_page, name="overview-estimate"),
    path(f"{_PROJECT}setup/", views.setup, name="overview-setup"),
    path(f"{_PROJECT}setup/begin/", views.setup_start, name="overview-setup-start"),
    path(f"{_PROJECT}setup/side/", views.setup_side, name="overview-setup-side"),
    path(f"{_PROJECT}setup/imports/", views.setup_imports, name="overview-setup-imports"),
    path(f"{_PROJECT}setup/<slug:step>/", views.setup_step, name="overview-setup-step"),
    path(
        f"{_PROJECT}setup/<slug:step>/preview/", views.setup_preview, name="overview-setup-preview"
    ),
]

ADMIN = frozenset({Role.ADMIN})
ROUTE_ROLES = {
    "api-overview": {"GET": frozenset(Role)},
    "api-estimate": {"GET": ADMIN},
    "overview-project": {"GET": frozenset(Role)},
    "overview-estimate": {"GET": ADMIN},
    "overview-setup": {"GET": ADMIN},
    "overview-setup-start": {"POST": ADMIN},
    "overview-setup-side": {"GET": ADMIN},
    "overview-setup-imports": {"GET": ADMIN},
    "overview-setup-preview": {"GET": ADMIN, "POST": ADMIN},
    "overview-setup-step": {"GET": ADMIN, "POST": ADMIN},
}
