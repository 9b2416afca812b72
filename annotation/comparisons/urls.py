"""Addresses of labeling, and who may use them."""

from django.urls import path

from annotation.comparisons import api, views
from annotation.projects.models import Role

_PROJECT = "projects/<int:project_id>/"
_ASSIGNMENT = f"{_PROJECT}assignments/<int:assignment_id>/"
_COMPARISON = f"{_PROJECT}comparisons/<int:comparison_id>/"

api_patterns = [
    path(f"{_PROJECT}assignments/next/", api.NextAssignment.as_view(), name="api-assignment-next"),
    path(
        f"{_ASSIGNMENT}judgment/", api.AssignmentJudgment.as_view(), name="api-assignment-judgment"
    ),
    path(f"{_ASSIGNMENT}skip/", api.AssignmentSkip.as_view(), name="api-assignment-skip"),
    path(f"{_ASSIGNMENT}lease/", api.AssignmentLease.as_view(), name="api-assignment-lease"),
    path(f"{_ASSIGNMENT}diff/", api.AssignmentDiff.as_view(), name="api-assignment-diff"),
    path(f"{_PROJECT}judgments/undo/", api.JudgmentUndo.as_view(), name="api-judgment-undo"),
    path(f"{_PROJECT}judgments/", api.JudgmentList.as_view(), name="api-judgment-list"),
    path(f"{_PROJECT}comparisons/", api.ComparisonList.as_view(), name="api-comparison-list"),
    path(_COMPARISON, api.ComparisonDetail.as_view(), name="api-comparison-detail"),
]
page_patterns = [
    path(f"{_PROJECT}label/", views.label, name="comparisons-label"),
    path(f"{_PROJECT}label/skip/", views.skip, name="comparisons-skip"),
    path(f"{_PROJECT}label/undo/", views.undo, name="comparisons-undo"),
    path(f"{_PROJECT}comparisons/", views.comparison_list, name="comparisons-list"),
    path(f"{_PROJECT}comparisons/pair/", views.pair_waiting, name="comparisons-pair"),
    path(_COMPARISON, views.comparison_detail, name="comparisons-detail"),
    path(f"{_COMPARISON}state/", views.comparison_state, name="comparisons-state"),
]

LABELER = frozenset({Role.LABELER})
ADMIN = frozenset({Role.ADMIN})
ROUTE_ROLES = {
    "api-assignment-next": {"POST": LABELER},
    "api-assignment-judgment": {"POST": LABELER},
    "api-assignment-skip": {"POST": LABELER},
    "api-assignment-lease": {"POST": LABELER},
    "api-assignment-diff": {"GET": LABELER},
    "api-judgment-undo": {"POST": LABELER},
    "api-judgment-list": {"GET": frozenset({Role.ADMIN, Role.ENGINEER})},
    "api-comparison-list": {"GET": ADMIN, "POST": ADMIN},
    "api-comparison-detail": {"GET": ADMIN, "PATCH": ADMIN},
    "comparisons-label": {"GET": LABELER, "POST": LABELER},
    "comparisons-skip": {"POST": LABELER},
    "comparisons-undo": {"POST": LABELER},
    "comparisons-list": {"GET": ADMIN},
    "comparisons-pair": {"POST": ADMIN},
    "comparisons-detail": {"GET": ADMIN},
    "comparisons-state": {"POST": ADMIN},
}
