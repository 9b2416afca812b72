"""Addresses of rounds, and who may use them."""

from django.urls import path

from annotation.projects.models import Role
from annotation.rounds import api, views

ROUNDS = "projects/<int:project_id>/rounds/"
ROUND = f"{ROUNDS}<int:number>/"

api_patterns = [
    path(ROUNDS, api.RoundList.as_view(), name="api-round-list"),
    path(f"{ROUNDS}estimate/", api.RoundEstimate.as_view(), name="api-round-estimate"),
    path(ROUND, api.RoundDetail.as_view(), name="api-round-detail"),
    path(f"{ROUND}pause/", api.RoundPause.as_view(), name="api-round-pause"),
    path(f"{ROUND}resume/", api.RoundResume.as_view(), name="api-round-resume"),
    path(f"{ROUND}cancel/", api.RoundCancel.as_view(), name="api-round-cancel"),
    path(f"{ROUND}labels/", api.RoundLabels.as_view(), name="api-round-labels"),
    path(f"{ROUND}votes/", api.RoundVotes.as_view(), name="api-round-votes"),
    path(f"{ROUND}promote/", api.RoundPromote.as_view(), name="api-round-promote"),
]
page_patterns = [
    path(ROUNDS, views.round_list, name="rounds-list"),
    path(f"{ROUNDS}new/", views.round_new, name="rounds-new"),
    path(f"{ROUNDS}new/estimate/", views.round_estimate, name="rounds-estimate"),
    path(ROUND, views.round_detail, name="rounds-detail"),
    path(f"{ROUND}act/", views.round_act, name="rounds-act"),
]

ENGINEER = frozenset({Role.ENGINEER})
ROUTE_ROLES: dict[str, dict[str, frozenset[Role]]] = {
    "api-round-list": {"GET": ENGINEER, "POST": ENGINEER},
    "api-round-estimate": {"POST": ENGINEER},
    "api-round-detail": {"GET": ENGINEER},
    "api-round-pause": {"POST": ENGINEER},
    "api-round-resume": {"POST": ENGINEER},
    "api-round-cancel": {"POST": ENGINEER},
    "api-round-labels": {"POST": ENGINEER},
    "api-round-votes": {"POST": ENGINEER},
    "api-round-promote": {"POST": ENGINEER},
    "rounds-list": {"GET": ENGINEER},
    "rounds-new": {"GET": ENGINEER, "POST": ENGINEER},
    "rounds-estimate": {"POST": ENGINEER},
    "rounds-detail": {"GET": ENGINEER},
    "rounds-act": {"POST": ENGINEER},
}
