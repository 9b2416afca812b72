"""Addresses of the model registry, and who may use them."""

from django.urls import path

from annotation.projects.models import Role
from annotation.registry import api, views

api_patterns = [
    path("projects/<int:project_id>/models/", api.ModelList.as_view(), name="api-model-list"),
    path(
        "projects/<int:project_id>/models/rollback/",
        api.ModelRollback.as_view(),
        name="api-model-rollback",
    ),
    path(
        "projects/<int:project_id>/models/<int:pk>/",
        api.ModelDetail.as_view(),
        name="api-model-detail",
    ),
    path(
        "projects/<int:project_id>/models/<int:pk>/stage/",
        api.ModelStage.as_view(),
        name="api-model-stage",
    ),
    path(
        "projects/<int:project_id>/models/<int:pk>/score/",
        api.ModelScore.as_view(),
        name="api-model-score",
    ),
    path(
        "projects/<int:project_id>/models/<int:pk>/scores/<int:request_id>/",
        api.ModelScoring.as_view(),
        name="api-model-scoring",
    ),
    path("models/<int:pk>/score/", api.AnyModelScore.as_view(), name="api-any-model-score"),
]
page_patterns = [
    path("projects/<int:project_id>/models/", views.models, name="registry-models"),
    path("projects/<int:project_id>/models/new/", views.new_model, name="registry-model-new"),
    path("projects/<int:project_id>/models/rollback/", views.rollback, name="registry-rollback"),
    path("projects/<int:project_id>/models/<int:pk>/", views.model, name="registry-model"),
    path(
        "projects/<int:project_id>/models/<int:pk>/stage/", views.stage, name="registry-model-stage"
    ),
]

ENGINEERS = frozenset({Role.ENGINEER})
READERS = frozenset({Role.ENGINEER, Role.ADMIN})
ROUTE_ROLES: dict[str, dict[str, frozenset[Role]]] = {
    "api-model-list": {"GET": READERS, "POST": READERS},
    "api-model-detail": {"GET": READERS},
    "api-model-stage": {"POST": ENGINEERS},
    "api-model-rollback": {"POST": ENGINEERS},
    "api-model-score": {"POST": READERS},
    "api-model-scoring": {"GET": READERS},
    "registry-models": {"GET": READERS},
    "registry-model-new": {"GET": READERS, "POST": READERS},
    "registry-model": {"GET": READERS},
    "registry-model-stage": {"POST": ENGINEERS},
    "registry-rollback": {"POST": ENGINEERS},
}
OWN_ROUTES = {"api-any-model-score": {"POST"}}  # finds the model through the person's projects
