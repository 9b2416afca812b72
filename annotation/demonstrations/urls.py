"""Addresses of demonstrations, and who may use them."""

from django.urls import path

from annotation.demonstrations import api, views
from annotation.projects.models import Role

_API = "projects/<int:project_id>/demonstrations/"
_ONE = f"{_API}<int:pk>/"
_OWN = f"{_API}mine/<int:pk>/"
api_patterns = [
    path(_API, api.DemonstrationList.as_view(), name="api-demonstration-list"),
    path(f"{_API}next/", api.NextDemonstration.as_view(), name="api-demonstration-next"),
    path(f"{_API}preview/", api.TextPreview.as_view(), name="api-demonstration-preview"),
    path(f"{_API}progress/", api.WritingProgress.as_view(), name="api-demonstration-progress"),
    path(f"{_API}openings/", api.OpeningList.as_view(), name="api-opening-list"),
    path(f"{_API}openings/<int:pk>/", api.OpeningDetail.as_view(), name="api-opening-detail"),
    path(f"{_API}mine/", api.OwnDemonstrations.as_view(), name="api-demonstration-mine"),
    path(_OWN, api.OwnDemonstration.as_view(), name="api-demonstration-own"),
    path(f"{_OWN}draft/", api.DemonstrationDraft.as_view(), name="api-demonstration-draft"),
    path(
        f"{_OWN}submission/",
        api.DemonstrationSubmission.as_view(),
        name="api-demonstration-submission",
    ),
    path(f"{_OWN}skip/", api.DemonstrationSkip.as_view(), name="api-demonstration-skip"),
    path(f"{_OWN}diff/", api.DemonstrationDiff.as_view(), name="api-demonstration-diff"),
    path(_ONE, api.DemonstrationDetail.as_view(), name="api-demonstration-detail"),
    path(f"{_ONE}review/", api.DemonstrationReview.as_view(), name="api-demonstration-review"),
    path(f"{_ONE}release/", api.DemonstrationRelease.as_view(), name="api-demonstration-release"),
]
_PAGE = "projects/<int:project_id>/demonstrations/"
_WRITE = "projects/<int:project_id>/write/"
page_patterns = [
    path(_WRITE, views.write, name="demonstrations-write"),
    path(f"{_WRITE}mine/", views.mine, name="demonstrations-mine"),
    path(f"{_WRITE}<int:pk>/", views.work, name="demonstrations-work"),
    path(f"{_WRITE}<int:pk>/withdraw/", views.withdraw, name="demonstrations-withdraw"),
    path(_PAGE, views.opening_list, name="demonstrations-list"),
    path(f"{_PAGE}ask/", views.ask, name="demonstrations-ask"),
    path(f"{_PAGE}openings/<int:pk>/", views.opening_state, name="demonstrations-opening"),
    path(f"{_PAGE}<int:pk>/", views.review, name="demonstrations-review"),
]

LABELER = frozenset({Role.LABELER})
ADMIN = frozenset({Role.ADMIN})
ROUTE_ROLES = {
    "api-demonstration-list": {"GET": ADMIN},
    "api-demonstration-next": {"POST": LABELER},
    "api-demonstration-preview": {"POST": LABELER | ADMIN},
    "api-demonstration-progress": {"GET": ADMIN},
    "api-opening-list": {"GET": ADMIN, "POST": ADMIN},
    "api-opening-detail": {"PATCH": ADMIN},
    "api-demonstration-mine": {"GET": LABELER},
    "api-demonstration-own": {"GET": LABELER},
    "api-demonstration-draft": {"PUT": LABELER},
    "api-demonstration-submission": {"POST": LABELER, "DELETE": LABELER},
    "api-demonstration-skip": {"POST": LABELER},
    "api-demonstration-diff": {"POST": LABELER},
    "api-demonstration-detail": {"GET": ADMIN},
    "api-demonstration-review": {"POST": ADMIN, "DELETE": ADMIN},
    "api-demonstration-release": {"POST": ADMIN},
    "demonstrations-write": {"GET": LABELER},
    "demonstrations-mine": {"GET": LABELER},
    "demonstrations-work": {"GET": LABELER, "POST": LABELER},
    "demonstrations-withdraw": {"POST": LABELER},
    "demonstrations-list": {"GET": ADMIN},
    "demonstrations-ask": {"GET": ADMIN, "POST": ADMIN},
    "demonstrations-opening": {"POST": ADMIN},
    "demonstrations-review": {"GET": ADMIN, "POST": ADMIN},
}
