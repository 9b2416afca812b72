"""Addresses of the overview, and who may use them."""

from django.urls import path

from annotation.overview import api, views
from annotation.projects.models import Role

api_patterns = [
    path("projects/<int:project_id>/overview/", api.Overview.as_view(), name="api-overview"),
]
page_patterns = [
    path("projects/<int:project_id>/", views.overview, name="overview-project"),
]

ROUTE_ROLES = {
    "api-overview": {"GET": frozenset(Role)},
    "overview-project": {"GET": frozenset(Role)},
}
