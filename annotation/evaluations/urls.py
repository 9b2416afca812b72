"""Addresses of what models are worth, and who may use them."""

from django.urls import path

from annotation.evaluations import api, views
from annotation.projects.models import Role

CARD = "projects/<int:project_id>/models/<int:pk>/card"

EVALUATIONS = "projects/<int:project_id>/evaluations/"
EVALUATION = f"{EVALUATIONS}<int:pk>/"

api_patterns = [
    path(f"{CARD}/", api.ModelCardDetail.as_view(), name="api-model-card"),
    path(f"{CARD}/disagreements/", api.ModelCardAsking.as_view(), name="api-model-card-asking"),
    path(EVALUATIONS, api.EvaluationList.as_view(), name="api-evaluation-list"),
    path(EVALUATION, api.EvaluationDetail.as_view(), name="api-evaluation-detail"),
    path(f"{EVALUATION}stop/", api.EvaluationStop.as_view(), name="api-evaluation-stop"),
]
page_patterns = [
    path(f"{CARD}/", views.model_card, name="evaluations-card"),
    path(f"{CARD}.md", views.model_card_markdown, name="evaluations-card-markdown"),
    path(f"{CARD}/disagreements/", views.model_card_ask, name="evaluations-card-ask"),
    path(EVALUATIONS, views.evaluation_list, name="evaluations-list"),
    path(f"{EVALUATIONS}new/", views.evaluation_new, name="evaluations-new"),
    path(EVALUATION, views.evaluation_detail, name="evaluations-detail"),
    path(f"{EVALUATION}stop/", views.evaluation_stop, name="evaluations-stop"),
]

ENGINEER = frozenset({Role.ENGINEER})
READERS = frozenset({Role.ENGINEER, Role.ADMIN})
ROUTE_ROLES: dict[str, dict[str, frozenset[Role]]] = {
    "api-model-card": {"GET": READERS},
    "api-model-card-asking": {"POST": READERS},
    "evaluations-card": {"GET": READERS},
    "evaluations-card-ask": {"POST": READERS},
    "evaluations-card-markdown": {"GET": READERS},
    "api-evaluation-list": {"GET": ENGINEER, "POST": ENGINEER},
    "api-evaluation-detail": {"GET": ENGINEER},
    "api-evaluation-stop": {"POST": ENGINEER},
    "evaluations-list": {"GET": ENGINEER},
    "evaluations-new": {"GET": ENGINEER, "POST": ENGINEER},
    "evaluations-detail": {"GET": ENGINEER},
    "evaluations-stop": {"POST": ENGINEER},
}
