"""Addresses of labeling, and who may use them."""

from django.urls import path

from annotation.comparisons import (
    api,
    batch_api,
    batch_views,
    flag_api,
    flag_views,
    requeue_api,
    requeue_views,
    views,
)
from annotation.projects.models import Role

_PROJECT = "projects/<int:project_id>/"
_ASSIGNMENT = f"{_PROJECT}assignments/<int:assignment_id>/"
_BATCH = f"{_PROJECT}batches/<int:batch_id>/"
_COMPARISON = f"{_PROJECT}comparisons/<int:comparison_id>/"
_FLAG = f"{_PROJECT}flags/<int:flag_id>/"

api_patterns = [
    path(
        f"{_ASSIGNMENT}judgment/", api.AssignmentJudgment.as_view(), name="api-assignment-judgment"
    ),
    path(f"{_PROJECT}assignments/next/", api.NextAssignment.as_view(), name="api-assignment-next"),
    path(f"{_ASSIGNMENT}skip/", api.AssignmentSkip.as_view(), name="api-assignment-skip"),
    path(f"{_ASSIGNMENT}lease/", api.AssignmentLease.as_view(), name="api-assignment-lease"),
    path(f"{_ASSIGNMENT}flag/", api.AssignmentFlag.as_view(), name="api-assignment-flag"),
    path(f"{_PROJECT}flags/", flag_api.FlagList.as_view(), name="api-flag-list"),
    path(f"{_FLAG}resolve/", flag_api.FlagResolve.as_view(), name="api-flag-resolve"),
    path(f"{_FLAG}reopen/", flag_api.FlagReopen.as_view(), name="api-flag-reopen"),
    path(f"{_ASSIGNMENT}diff/", api.AssignmentDiff.as_view(), name="api-assignment-diff"),
    path(f"{_PROJECT}judgments/undo/", api.JudgmentUndo.as_view(), name="api-judgment-undo"),
    path(f"{_PROJECT}judgments/", api.JudgmentList.as_view(), name="api-judgment-list"),
    path(f"{_PROJECT}comparisons/", api.ComparisonList.as_view(), name="api-comparison-list"),
    path(f"{_PROJECT}comparisons/pair/", api.ComparisonPair.as_view(), name="api-comparison-pair"),
    path(f"{_PROJECT}batches/", batch_api.BatchList.as_view(), name="api-batch-list"),
    path(f"{_PROJECT}batches/at-hand/", batch_api.AtHand.as_view(), name="api-batch-at-hand"),
    path(_BATCH, batch_api.BatchDetail.as_view(), name="api-batch-detail"),
    path(
        f"{_BATCH}asked-again/",
        batch_api.BatchAskedAgain.as_view(),
        name="api-batch-asked-again",
    ),
    path(f"{_PROJECT}requeues/", requeue_api.RequeueList.as_view(), name="api-requeue-list"),
    path(
        f"{_PROJECT}requeues/dry-run/",
        requeue_api.RequeueDryRun.as_view(),
        name="api-requeue-dry-run",
    ),
    path(
        f"{_PROJECT}requeues/<int:requeue_id>/",
        requeue_api.RequeueDetail.as_view(),
        name="api-requeue-detail",
    ),
    path(_COMPARISON, api.ComparisonDetail.as_view(), name="api-comparison-detail"),
]
page_patterns = [
    path(
        "label-offline.js", views.offline, name="comparisons-offline"
    ),  # at the root: it may serve every project
    path(f"{_PROJECT}label/", views.label, name="comparisons-label"),
    path(f"{_PROJECT}label/guideline/", views.guideline_sheet, name="comparisons-guideline-sheet"),
    path(f"{_PROJECT}label/skip/", views.skip, name="comparisons-skip"),
    path(f"{_PROJECT}label/undo/", views.undo, name="comparisons-undo"),
    path("account/labeling/", views.preferences, name="comparisons-preferences"),
    path(f"{_PROJECT}comparisons/", views.comparison_list, name="comparisons-list"),
    path(f"{_PROJECT}comparisons/pair/", views.pair_waiting, name="comparisons-pair"),
    path(f"{_PROJECT}batches/", batch_views.batch_list, name="comparisons-batches"),
    path(f"{_PROJECT}batches/new/", batch_views.batch_new, name="comparisons-batch-new"),
    path(_BATCH, batch_views.batch_detail, name="comparisons-batch"),
    path(f"{_BATCH}state/", batch_views.batch_state, name="comparisons-batch-state"),
    path(f"{_BATCH}undo/", batch_views.batch_undo, name="comparisons-batch-undo"),
    path(
        f"{_PROJECT}guideline/<int:version>/requeue/",
        requeue_views.requeue,
        name="comparisons-requeue",
    ),
    path(
        f"{_PROJECT}guideline/<int:version>/requeue.csv",
        requeue_views.requeue_csv,
        name="comparisons-requeue-table",
    ),
    path(
        f"{_PROJECT}guideline/<int:version>/requeue/counts/",
        requeue_views.requeue_counts,
        name="comparisons-requeue-counts",
    ),
    path(
        f"{_PROJECT}requeues/<int:requeue_id>/undo/",
        requeue_views.requeue_undo,
        name="comparisons-requeue-undo",
    ),
    path(f"{_PROJECT}flags/", flag_views.flag_list, name="comparisons-flags"),
    path(f"{_FLAG}resolve/", flag_views.flag_resolve, name="comparisons-flag-resolve"),
    path(f"{_FLAG}reopen/", flag_views.flag_reopen, name="comparisons-flag-reopen"),
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
    "api-assignment-flag": {"POST": LABELER},
    "api-flag-list": {"GET": ADMIN},
    "api-flag-resolve": {"POST": ADMIN},
    "api-flag-reopen": {"POST": ADMIN},
    "api-assignment-diff": {"GET": LABELER},
    "api-judgment-undo": {"POST": LABELER},
    "api-judgment-list": {"GET": frozenset({Role.ADMIN, Role.ENGINEER})},
    "api-comparison-list": {"GET": ADMIN, "POST": ADMIN},
    "api-comparison-pair": {"POST": ADMIN},
    "api-comparison-detail": {"GET": ADMIN, "PATCH": ADMIN},
    "comparisons-label": {"GET": LABELER, "POST": LABELER},
    "comparisons-guideline-sheet": {"GET": LABELER},
    "comparisons-skip": {"POST": LABELER},
    "comparisons-undo": {"POST": LABELER},
    "api-batch-list": {"GET": ADMIN, "POST": ADMIN},
    "api-batch-at-hand": {"GET": LABELER},
    "api-batch-detail": {"GET": ADMIN, "PATCH": ADMIN},
    "api-batch-asked-again": {"DELETE": ADMIN},
    "api-requeue-list": {"GET": ADMIN, "POST": ADMIN},
    "api-requeue-dry-run": {"POST": ADMIN},
    "api-requeue-detail": {"DELETE": ADMIN},
    "comparisons-requeue": {"GET": ADMIN, "POST": ADMIN},
    "comparisons-requeue-table": {"GET": ADMIN},
    "comparisons-requeue-counts": {"GET": ADMIN},
    "comparisons-requeue-undo": {"POST": ADMIN},
    "comparisons-batches": {"GET": ADMIN},
    "comparisons-batch-new": {"GET": ADMIN, "POST": ADMIN},
    "comparisons-batch": {"GET": ADMIN, "POST": ADMIN},
    "comparisons-batch-state": {"POST": ADMIN},
    "comparisons-batch-undo": {"POST": ADMIN},
    "comparisons-flags": {"GET": ADMIN},
    "comparisons-flag-resolve": {"POST": ADMIN},
    "comparisons-flag-reopen": {"POST": ADMIN},
    "comparisons-list": {"GET": ADMIN},
    "comparisons-pair": {"POST": ADMIN},
    "comparisons-detail": {"GET": ADMIN},
    "comparisons-state": {"POST": ADMIN},
}
# Signed in is enough here: each person sees only what is their own.
OWN_ROUTES = {"comparisons-preferences": {"GET", "POST"}}
OPEN_ROUTES = {"comparisons-offline"}
