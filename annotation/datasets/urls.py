"""Addresses of snapshots, and who may use them."""

from django.urls import path

from annotation.datasets import api, views
from annotation.projects.models import Role

_API = "projects/<int:project_id>/snapshots/"
api_patterns = [
    path(_API, api.SnapshotList.as_view(), name="api-snapshot-list"),
    path(f"{_API}preview/", api.SnapshotPreview.as_view(), name="api-snapshot-preview"),
    path(f"{_API}<int:pk>/", api.SnapshotDetail.as_view(), name="api-snapshot-detail"),
    path(f"{_API}<int:pk>/cancel/", api.SnapshotCancel.as_view(), name="api-snapshot-cancel"),
    path(
        f"{_API}<int:pk>/difference/",
        api.SnapshotDifference.as_view(),
        name="api-snapshot-difference",
    ),
    path(
        f"{_API}<int:pk>/difference/pairs/",
        api.SnapshotChanges.as_view(),
        name="api-snapshot-changes",
    ),
    path(
        f"{_API}<int:pk>/difference/pairs/csv/",
        api.SnapshotChangesTable.as_view(),
        name="api-snapshot-changes-table",
    ),
    path(f"{_API}<int:pk>/export/", api.SnapshotExport.as_view(), name="api-snapshot-export"),
    path(
        "projects/<int:project_id>/judgments/export/",
        api.JudgmentExport.as_view(),
        name="api-judgment-export",
    ),
]
_PAGE = "projects/<int:project_id>/datasets/"
page_patterns = [
    path(_PAGE, views.snapshot_list, name="datasets-list"),
    path(f"{_PAGE}new/", views.snapshot_new, name="datasets-new"),
    path(f"{_PAGE}judgments/", views.judgments_download, name="datasets-judgments"),
    path(f"{_PAGE}preview/", views.snapshot_preview, name="datasets-preview"),
    path(f"{_PAGE}<int:pk>/", views.snapshot_detail, name="datasets-snapshot"),
    path(f"{_PAGE}<int:pk>/status/", views.snapshot_status, name="datasets-status"),
    path(f"{_PAGE}<int:pk>/cancel/", views.snapshot_cancel, name="datasets-cancel"),
    path(f"{_PAGE}<int:pk>/download/", views.snapshot_download, name="datasets-download"),
    path(f"{_PAGE}<int:pk>/difference/", views.snapshot_difference, name="datasets-difference"),
    path(
        f"{_PAGE}<int:pk>/difference.csv",
        views.snapshot_difference_csv,
        name="datasets-difference-table",
    ),
]

READERS = frozenset({Role.ENGINEER, Role.ADMIN})
MAKERS = frozenset({Role.ENGINEER})
ROUTE_ROLES = {
    "api-snapshot-list": {"GET": READERS, "POST": MAKERS},
    "api-snapshot-preview": {"POST": READERS},
    "api-snapshot-detail": {"GET": READERS},
    "api-snapshot-cancel": {"POST": MAKERS},
    "api-snapshot-difference": {"GET": READERS},
    "api-snapshot-changes": {"GET": READERS},
    "api-snapshot-changes-table": {"GET": READERS},
    "api-snapshot-export": {"GET": READERS},
    "api-judgment-export": {"GET": READERS},
    "datasets-list": {"GET": READERS},
    "datasets-new": {"GET": MAKERS, "POST": MAKERS},
    "datasets-judgments": {"GET": READERS},
    "datasets-preview": {"POST": MAKERS},
    "datasets-snapshot": {"GET": READERS},
    "datasets-status": {"GET": READERS},
    "datasets-cancel": {"POST": MAKERS},
    "datasets-download": {"GET": READERS},
    "datasets-difference": {"GET": READERS},
    "datasets-difference-table": {"GET": READERS},
}
