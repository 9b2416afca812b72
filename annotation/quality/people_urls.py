"""Addresses of gold, exam, rules, adjudication, disputes and a labeler's own page, and who may use them."""

from django.urls import path

from annotation.projects.models import Role
from annotation.quality import api as api_agreement
from annotation.quality import (
    api_groups,
    views_groups,
    views_mine,
    views_people,
    views_rules,
    views_signals,
)
from annotation.quality import api_people as api

_PROJECT = "projects/<int:project_id>/"
_AT = f"{_PROJECT}agreement/"
_COMPARISON = f"{_AT}comparisons/<int:comparison_id>/"
_LABELER = f"{_AT}labelers/<int:labeler_id>/"
_GROUP = f"{_AT}groups/<int:group_id>/"

page_patterns = [
    path(_LABELER, views_people.labeler, name="quality-labeler"),
    path(f"{_LABELER}act/", views_people.labeler_act, name="quality-act"),
    path(f"{_LABELER}act/try/", views_people.labeler_act_try, name="quality-act-try"),
    path(f"{_AT}acts/<int:act_id>/undo/", views_people.act_undo, name="quality-act-undo"),
    path(_COMPARISON, views_people.comparison, name="quality-comparison"),
    path(f"{_COMPARISON}gold/", views_people.gold_mark, name="quality-gold-mark"),
    path(f"{_COMPARISON}gold/state/", views_people.gold_state, name="quality-gold-state"),
    path(
        f"{_AT}adjudications/<int:adjudication_id>/undo/",
        views_people.adjudication_undo,
        name="quality-adjudication-undo",
    ),
    path(f"{_AT}groups/", views_groups.group_list, name="quality-groups"),
    path(f"{_AT}groups/new/", views_groups.group_new, name="quality-group-new"),
    path(_GROUP, views_groups.group_page, name="quality-group"),
    path(f"{_GROUP}remove/", views_groups.group_remove, name="quality-group-remove"),
    path(f"{_GROUP}restore/", views_groups.group_restore, name="quality-group-restore"),
    path(f"{_AT}signals/", views_signals.signals, name="quality-signals"),
    path(f"{_AT}signals.csv", views_signals.signals_csv, name="quality-signals-table"),
    path(f"{_AT}gold/", views_people.gold_page, name="quality-gold"),
    path(f"{_AT}exam/", views_people.exam_set, name="quality-exam"),
    path(f"{_AT}rules/", views_rules.rule_list, name="quality-rules"),
    path(f"{_AT}rules/try/", views_rules.rule_try, name="quality-rule-try"),
    path(f"{_AT}rules/early-stop/", views_rules.early_stop, name="quality-early-stop"),
    path(f"{_AT}rules/asking/", views_rules.asking_set, name="quality-asking"),
    path(f"{_AT}rules/save/", views_rules.rule_save, name="quality-rule-save"),
    path(f"{_AT}rules/<int:series>/", views_rules.rule_versions, name="quality-rule"),
    path(f"{_AT}rules/<int:series>/switch/", views_rules.rule_switch, name="quality-rule-switch"),
    path(f"{_AT}disputes/", views_rules.dispute_list, name="quality-disputes"),
    path(
        f"{_AT}disputes/<int:dispute_id>/answer/",
        views_rules.dispute_answer,
        name="quality-dispute-answer",
    ),
    path(
        f"{_AT}disputes/<int:dispute_id>/reopen/",
        views_rules.dispute_reopen,
        name="quality-dispute-reopen",
    ),
    path(f"{_PROJECT}my-work/", views_mine.my_work, name="quality-my-work"),
    path(f"{_PROJECT}my-work/hours.csv", views_mine.my_hours, name="quality-my-hours"),
    path(f"{_PROJECT}my-work/appeal/", views_mine.my_dispute, name="quality-my-dispute"),
]
api_patterns = [
    path(f"{_AT}signals/", api_agreement.SignalsDetail.as_view(), name="api-signals"),
    path(f"{_AT}groups/", api_groups.GroupList.as_view(), name="api-group-list"),
    path(_GROUP, api_groups.GroupDetail.as_view(), name="api-group-detail"),
    path(f"{_AT}gold/", api.GoldList.as_view(), name="api-gold-list"),
    path(f"{_AT}gold/<int:comparison_id>/", api.GoldDetail.as_view(), name="api-gold-detail"),
    path(f"{_AT}exam/", api.ExamDetail.as_view(), name="api-exam-detail"),
    path(f"{_AT}adjudications/", api.AdjudicationList.as_view(), name="api-adjudication-list"),
    path(
        f"{_AT}adjudications/<int:pk>/",
        api.AdjudicationDetail.as_view(),
        name="api-adjudication-detail",
    ),
    path(f"{_AT}rules/", api.RuleList.as_view(), name="api-rule-list"),
    path(f"{_AT}rules/dry-run/", api.RuleDryRun.as_view(), name="api-rule-dry-run"),
    path(f"{_AT}rules/early-stop/", api.EarlyStopDryRun.as_view(), name="api-early-stop-dry-run"),
    path(f"{_AT}rules/asking/", api.AskingDryRun.as_view(), name="api-asking-dry-run"),
    path(f"{_AT}rules/<int:series>/", api.RuleDetail.as_view(), name="api-rule-detail"),
    path(f"{_AT}disputes/", api.DisputeList.as_view(), name="api-dispute-list"),
    path(f"{_AT}disputes/<int:pk>/", api.DisputeDetail.as_view(), name="api-dispute-detail"),
    path(f"{_LABELER}acts/", api.ActList.as_view(), name="api-act-list"),
    path(f"{_LABELER}acts/dry-run/", api.ActDryRun.as_view(), name="api-act-dry-run"),
    path(f"{_AT}acts/<int:pk>/", api.ActDetail.as_view(), name="api-act-detail"),
    path(f"{_PROJECT}my-work/", api.MyWork.as_view(), name="api-my-work"),
    path(f"{_PROJECT}my-work/disputes/", api.MyDisputes.as_view(), name="api-my-disputes"),
]

ADMIN = frozenset({Role.ADMIN})
LABELER = frozenset({Role.LABELER})
READERS = frozenset({Role.ADMIN, Role.ENGINEER})
ROUTE_ROLES = {
    "quality-labeler": {"GET": ADMIN},
    "quality-act": {"POST": ADMIN},
    "quality-act-try": {"POST": ADMIN},
    "quality-act-undo": {"POST": ADMIN},
    "quality-comparison": {"GET": ADMIN, "POST": ADMIN},
    "quality-gold-mark": {"POST": ADMIN},
    "quality-gold-state": {"POST": ADMIN},
    "quality-adjudication-undo": {"POST": ADMIN},
    "quality-groups": {"GET": ADMIN},
    "quality-group-new": {"POST": ADMIN},
    "quality-group": {"GET": ADMIN, "POST": ADMIN},
    "quality-group-remove": {"POST": ADMIN},
    "quality-group-restore": {"POST": ADMIN},
    "quality-signals": {"GET": ADMIN},
    "quality-signals-table": {"GET": ADMIN},
    "quality-gold": {"GET": ADMIN, "POST": ADMIN},
    "quality-exam": {"POST": ADMIN},
    "quality-rules": {"GET": ADMIN},
    "quality-rule-try": {"POST": ADMIN},
    "quality-early-stop": {"POST": ADMIN},
    "quality-asking": {"POST": ADMIN},
    "quality-rule-save": {"POST": ADMIN},
    "quality-rule": {"GET": ADMIN},
    "quality-rule-switch": {"POST": ADMIN},
    "quality-disputes": {"GET": ADMIN},
    "quality-dispute-answer": {"POST": ADMIN},
    "quality-dispute-reopen": {"POST": ADMIN},
    "quality-my-work": {"GET": LABELER},
    "quality-my-hours": {"GET": LABELER},
    "quality-my-dispute": {"POST": LABELER},
    "api-signals": {"GET": READERS},
    "api-group-list": {"GET": READERS, "POST": ADMIN},
    "api-group-detail": {"PATCH": ADMIN, "DELETE": ADMIN},
    "api-gold-list": {"GET": ADMIN, "POST": ADMIN},
    "api-gold-detail": {"PATCH": ADMIN, "DELETE": ADMIN},
    "api-exam-detail": {"GET": ADMIN, "PATCH": ADMIN},
    "api-adjudication-list": {"GET": READERS, "POST": ADMIN},
    "api-adjudication-detail": {"DELETE": ADMIN},
    "api-rule-list": {"GET": READERS, "POST": ADMIN},
    "api-rule-dry-run": {"POST": ADMIN},
    "api-early-stop-dry-run": {"POST": ADMIN},
    "api-asking-dry-run": {"POST": ADMIN},
    "api-rule-detail": {"GET": READERS, "PATCH": ADMIN},
    "api-dispute-list": {"GET": ADMIN},
    "api-dispute-detail": {"PATCH": ADMIN},
    "api-act-list": {"GET": ADMIN, "POST": ADMIN},
    "api-act-dry-run": {"POST": ADMIN},
    "api-act-detail": {"DELETE": ADMIN},
    "api-my-work": {"GET": LABELER},
    "api-my-disputes": {"GET": LABELER, "POST": LABELER},
}
