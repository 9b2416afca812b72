"""Addresses of prompts, and who may use them."""

from django.urls import path

from annotation.projects.models import Role
from annotation.prompts import api, views

_IMPORT = "projects/<int:project_id>/imports/<int:import_id>/"
api_patterns = [
    path("projects/<int:project_id>/prompts/", api.PromptList.as_view(), name="api-prompt-list"),
    path(
        "projects/<int:project_id>/prompts/<int:prompt_id>/",
        api.PromptDetail.as_view(),
        name="api-prompt-detail",
    ),
    path("projects/<int:project_id>/imports/", api.ImportList.as_view(), name="api-import-list"),
    path(
        "projects/<int:project_id>/imports/preview/",
        api.ImportPreview.as_view(),
        name="api-import-preview",
    ),
    path(_IMPORT, api.ImportDetail.as_view(), name="api-import-detail"),
    path(f"{_IMPORT}cancel/", api.ImportCancel.as_view(), name="api-import-cancel"),
    path(f"{_IMPORT}rejected/", api.RejectedList.as_view(), name="api-import-rejected"),
]
_PAGES = "projects/<int:project_id>/prompts/"
_IMPORT_PAGE = f"{_PAGES}imports/<int:import_id>/"
page_patterns = [
    path(_PAGES, views.prompt_list, name="prompts-list"),
    path(f"{_PAGES}<int:prompt_id>/", views.prompt_detail, name="prompts-detail"),
    path(f"{_PAGES}import/", views.import_new, name="prompts-import-new"),
    path(f"{_PAGES}import/preview/", views.import_preview, name="prompts-import-preview"),
    path(_IMPORT_PAGE, views.import_detail, name="prompts-import"),
    path(f"{_IMPORT_PAGE}progress/", views.import_progress, name="prompts-import-progress"),
    path(f"{_IMPORT_PAGE}rejected.csv", views.import_rejected, name="prompts-import-rejected"),
    path(f"{_IMPORT_PAGE}cancel/", views.import_cancel, name="prompts-import-cancel"),
]

ADMIN = frozenset({Role.ADMIN})
READERS = frozenset({Role.ADMIN, Role.ENGINEER})
ROUTE_ROLES = {
    "api-prompt-list": {"GET": READERS},
    "api-prompt-detail": {"GET": READERS},
    "api-import-list": {"GET": READERS, "POST": ADMIN},
    "api-import-preview": {"POST": ADMIN},
    "api-import-detail": {"GET": READERS},
    "api-import-cancel": {"POST": ADMIN},
    "api-import-rejected": {"GET": READERS},
    "prompts-list": {"GET": READERS},
    "prompts-detail": {"GET": READERS},
    "prompts-import-new": {"GET": ADMIN, "POST": ADMIN},
    "prompts-import-preview": {"POST": ADMIN},
    "prompts-import": {"GET": READERS},
    "prompts-import-progress": {"GET": READERS},
    "prompts-import-rejected": {"GET": READERS},
    "prompts-import-cancel": {"POST": ADMIN},
}
