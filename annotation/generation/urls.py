"""Addresses of generation, and who may use them."""

from django.urls import path

from annotation.generation import api, views
from annotation.projects.models import Role

RUNS, PLAY = "projects/<int:project_id>/generation/", "projects/<int:project_id>/playground/"
CANDIDATES = "projects/<int:project_id>/prompts/<int:pk>/candidates/"

api_patterns = [
    path(RUNS, api.RunList.as_view(), name="api-generation-run-list"),
    path(f"{RUNS}<int:pk>/", api.RunDetail.as_view(), name="api-generation-run-detail"),
    path(f"{RUNS}<int:pk>/cancel/", api.RunCancel.as_view(), name="api-generation-run-cancel"),
    path(f"{RUNS}<int:pk>/resume/", api.RunResume.as_view(), name="api-generation-run-resume"),
    path(CANDIDATES, api.CandidateList.as_view(), name="api-candidate-list"),
    path(PLAY, api.PlaygroundList.as_view(), name="api-playground-run-list"),
    path(
        f"{PLAY}<int:pk>/cancel/",
        api.PlaygroundCancel.as_view(),
        name="api-playground-run-cancel",
    ),
    path(f"{PLAY}<int:pk>/", api.PlaygroundDetail.as_view(), name="api-playground-run-detail"),
]
page_patterns = [
    path(RUNS, views.runs, name="generation-runs"),
    path(f"{RUNS}new/", views.new_run, name="generation-run-new"),
    path(f"{RUNS}<int:pk>/", views.run, name="generation-run"),
    path(f"{RUNS}<int:pk>/progress/", views.run_progress, name="generation-run-progress"),
    path(f"{RUNS}<int:pk>/cancel/", views.cancel_run, name="generation-run-cancel"),
    path(f"{RUNS}<int:pk>/resume/", views.resume_run, name="generation-run-resume"),
    path(CANDIDATES, views.candidates, name="generation-candidates"),
    path(PLAY, views.playground, name="generation-playground"),
    path(f"{PLAY}<int:pk>/", views.playground_run, name="generation-playground-run"),
    path(f"{PLAY}<int:pk>/cancel/", views.cancel_playground, name="generation-playground-cancel"),
    path(
        f"{PLAY}<int:pk>/progress/",
        views.playground_progress,
        name="generation-playground-progress",
    ),
]

ASKERS = frozenset({Role.ADMIN, Role.ENGINEER})
ENGINEERS = frozenset({Role.ENGINEER})
ROUTE_ROLES: dict[str, dict[str, frozenset[Role]]] = {
    "api-generation-run-list": {"GET": ASKERS, "POST": ASKERS},
    "api-generation-run-detail": {"GET": ASKERS},
    "api-generation-run-cancel": {"POST": ASKERS},
    "api-generation-run-resume": {"POST": ASKERS},
    "api-candidate-list": {"GET": ASKERS},
    "api-playground-run-list": {"GET": ENGINEERS, "POST": ENGINEERS},
    "api-playground-run-detail": {"GET": ENGINEERS},
    "api-playground-run-cancel": {"POST": ENGINEERS},
    "generation-runs": {"GET": ASKERS},
    "generation-run-new": {"GET": ASKERS, "POST": ASKERS},
    "generation-run": {"GET": ASKERS},
    "generation-run-progress": {"GET": ASKERS},
    "generation-run-cancel": {"POST": ASKERS},
    "generation-run-resume": {"POST": ASKERS},
    "generation-candidates": {"GET": ASKERS},
    "generation-playground": {"GET": ENGINEERS, "POST": ENGINEERS},
    "generation-playground-run": {"GET": ENGINEERS},
    "generation-playground-cancel": {"POST": ENGINEERS},
    "generation-playground-progress": {"GET": ENGINEERS},
}
