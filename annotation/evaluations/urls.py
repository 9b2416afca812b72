"""Addresses of what models are worth, and who may use them."""

from django.urls import path

from annotation.evaluations import api, views
from annotation.projects.models import Role

CARD = "projects/<int:project_id>/models/<int:pk>/card"

api_patterns = [path(f"{CARD}/", api.ModelCardDetail.as_view(), name="api-model-card")]
page_patterns = [
    path(f"{CARD}/", views.model_card, name="evaluations-card"),
    path(f"{CARD}.md", views.model_card_markdown, name="evaluations-card-markdown"),
]

READERS = frozenset({Role.ENGINEER, Role.ADMIN})
ROUTE_ROLES: dict[str, dict[str, frozenset[Role]]] = {
    "api-model-card": {"GET": READERS},
    "evaluations-card": {"GET": READERS},
    "evaluations-card-markdown": {"GET": READERS},
}
