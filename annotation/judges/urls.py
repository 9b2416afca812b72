"""Addresses of machine judges, and who may use them."""

from django.urls import path

from annotation.judges import api, views
from annotation.projects.models import Role

_PROJECT = "projects/<int:project_id>/"
_JUDGES, _RUNS, _REVISIONS = f"{_PROJECT}judges/", f"{_PROJECT}judge-runs/", f"{_PROJECT}revisions/"
_JUDGE, _RUN, _REVISION = f"{_JUDGES}<int:pk>/", f"{_RUNS}<int:pk>/", f"{_REVISIONS}<int:pk>/"
_CONSTITUTION = f"{_PROJECT}constitution/"

api_patterns = [
    path(_CONSTITUTION, api.ConstitutionList.as_view(), name="api-constitution-list"),
    path(_JUDGES, api.JudgeList.as_view(), name="api-judge-list"),
    path(_JUDGE, api.JudgeDetail.as_view(), name="api-judge-detail"),
    path(f"{_JUDGE}report/", api.JudgeReportDetail.as_view(), name="api-judge-report"),
    path(f"{_JUDGE}hearings/", api.HearingList.as_view(), name="api-hearing-list"),
    path(f"{_JUDGE}runs/", api.JudgeRunList.as_view(), name="api-judge-run-list"),
    path(f"{_JUDGE}revisions/", api.RevisionRunList.as_view(), name="api-revision-run-list"),
    path(_RUN, api.JudgeRunDetail.as_view(), name="api-judge-run-detail"),
    path(f"{_RUN}cancel/", api.JudgeRunCancel.as_view(), name="api-judge-run-cancel"),
    path(f"{_RUN}resume/", api.JudgeRunResume.as_view(), name="api-judge-run-resume"),
    path(_REVISION, api.RevisionRunDetail.as_view(), name="api-revision-run-detail"),
    path(f"{_REVISION}texts/", api.RevisionList.as_view(), name="api-revision-list"),
    path(f"{_REVISION}cancel/", api.RevisionRunCancel.as_view(), name="api-revision-run-cancel"),
    path(f"{_REVISION}resume/", api.RevisionRunResume.as_view(), name="api-revision-run-resume"),
]
page_patterns = [
    path(_CONSTITUTION, views.constitution, name="judges-constitution"),
    path(_JUDGES, views.judges, name="judges-list"),
    path(f"{_JUDGES}new/", views.new_judge, name="judges-new"),
    path(_JUDGE, views.judge, name="judges-judge"),
    path(f"{_JUDGE}progress/", views.judge_progress, name="judges-progress"),
    path(f"{_JUDGE}hear/", views.hear, name="judges-hear"),
    path(f"{_JUDGE}revise/", views.revise, name="judges-revise"),
    path(f"{_JUDGE}hearings/", views.hearings, name="judges-hearings"),
    path(f"{_RUN}cancel/", views.cancel_run, name="judges-run-cancel"),
    path(f"{_RUN}resume/", views.resume_run, name="judges-run-resume"),
    path(_REVISION, views.revisions, name="judges-revisions"),
    path(f"{_REVISION}cancel/", views.cancel_revision, name="judges-revision-cancel"),
    path(f"{_REVISION}resume/", views.resume_revision, name="judges-revision-resume"),
]

ASKERS = frozenset({Role.ADMIN, Role.ENGINEER})
_BOTH = {"GET": ASKERS, "POST": ASKERS}
_GET, _POST = {"GET": ASKERS}, {"POST": ASKERS}
ROUTE_ROLES: dict[str, dict[str, frozenset[Role]]] = {
    "api-constitution-list": _BOTH,
    "api-judge-list": _BOTH,
    "api-judge-detail": _GET,
    "api-judge-report": _GET,
    "api-hearing-list": _GET,
    "api-judge-run-list": _BOTH,
    "api-revision-run-list": _BOTH,
    "api-judge-run-detail": _GET,
    "api-judge-run-cancel": _POST,
    "api-judge-run-resume": _POST,
    "api-revision-run-detail": _GET,
    "api-revision-list": _GET,
    "api-revision-run-cancel": _POST,
    "api-revision-run-resume": _POST,
    "judges-constitution": _BOTH,
    "judges-list": _GET,
    "judges-new": _BOTH,
    "judges-judge": _GET,
    "judges-progress": _GET,
    "judges-hear": _POST,
    "judges-revise": _POST,
    "judges-hearings": _GET,
    "judges-run-cancel": _POST,
    "judges-run-resume": _POST,
    "judges-revisions": _GET,
    "judges-revision-cancel": _POST,
    "judges-revision-resume": _POST,
}
