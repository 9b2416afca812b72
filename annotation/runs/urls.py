"""Addresses of training runs, and who may use them."""

from django.urls import path

from annotation.projects.models import Role
from annotation.runs import api, views

ENGINEER = frozenset({Role.ENGINEER})
RUNS = "projects/<int:project_id>/runs/"
RUN = f"{RUNS}<int:run_id>/"

api_patterns = [
    path(RUNS, api.RunList.as_view(), name="api-run-list"),
    path(f"{RUNS}estimate/", api.RunEstimate.as_view(), name="api-run-estimate"),
    path(RUN, api.RunDetail.as_view(), name="api-run-detail"),
    path(f"{RUN}cancel/", api.RunCancel.as_view(), name="api-run-cancel"),
    path(f"{RUN}resume/", api.RunResume.as_view(), name="api-run-resume"),
    path(f"{RUN}clone/", api.RunClone.as_view(), name="api-run-clone"),
    path(f"{RUN}events/", api.RunEvents.as_view(), name="api-run-events"),
    path(f"{RUN}curves/", api.RunCurves.as_view(), name="api-run-curves"),
    path("projects/<int:project_id>/run-specs/", api.SpecList.as_view(), name="api-run-spec-list"),
]
page_patterns = [
    path(RUNS, views.run_list, name="runs-list"),
    path(f"{RUNS}new/", views.run_new, name="runs-new"),
    path(f"{RUNS}new/estimate/", views.run_estimate, name="runs-estimate"),
    path(f"{RUNS}compare/", views.run_compare, name="runs-compare"),
    path(RUN, views.run_detail, name="runs-detail"),
    path(f"{RUN}curves.csv", views.run_curves, name="runs-curves"),
    path(f"{RUN}samples/", views.run_samples, name="runs-samples"),
    path(f"{RUN}cancel/", views.run_cancel, name="runs-cancel"),
    path(f"{RUN}resume/", views.run_resume, name="runs-resume"),
    path(f"{RUN}clone/", views.run_clone, name="runs-clone"),
]

ROUTE_ROLES: dict[str, dict[str, frozenset[Role]]] = {
    "api-run-list": {"GET": ENGINEER, "POST": ENGINEER},
    "api-run-estimate": {"POST": ENGINEER},
    "api-run-detail": {"GET": ENGINEER},
    "api-run-cancel": {"POST": ENGINEER},
    "api-run-resume": {"POST": ENGINEER},
    "api-run-clone": {"POST": ENGINEER},
    "api-run-events": {"GET": ENGINEER},
    "api-run-curves": {"GET": ENGINEER},
    "api-run-spec-list": {"GET": ENGINEER},
    "runs-list": {"GET": ENGINEER},
    "runs-new": {"GET": ENGINEER, "POST": ENGINEER},
    "runs-estimate": {"POST": ENGINEER},
    "runs-compare": {"GET": ENGINEER},
    "runs-detail": {"GET": ENGINEER},
    "runs-curves": {"GET": ENGINEER},
    "runs-samples": {"GET": ENGINEER},
    "runs-cancel": {"POST": ENGINEER},
    "runs-resume": {"POST": ENGINEER},
    "runs-clone": {"POST": ENGINEER},
}
