"""Addresses of projects, and who may use them."""

from django.urls import path

from annotation.projects import api, views
from annotation.projects.models import Role

api_patterns = [
    path("projects/", api.ProjectList.as_view(), name="api-project-list"),
    path("projects/<int:project_id>/", api.ProjectDetail.as_view(), name="api-project-detail"),
    path(
        "projects/<int:project_id>/archive/",
        api.ProjectArchive.as_view(),
        name="api-project-archive",
    ),
    path("projects/<int:project_id>/members/", api.MemberList.as_view(), name="api-member-list"),
    path(
        "projects/<int:project_id>/members/<int:user_id>/",
        api.MemberDetail.as_view(),
        name="api-member-detail",
    ),
    path(
        "projects/<int:project_id>/invitations/",
        api.InvitationList.as_view(),
        name="api-invitation-list",
    ),
    path(
        "projects/<int:project_id>/invitations/mail/",
        api.InvitationMail.as_view(),
        name="api-invitation-mail",
    ),
    path(
        "projects/<int:project_id>/invitations/<int:invitation_id>/resend/",
        api.InvitationResend.as_view(),
        name="api-invitation-resend",
    ),
    path(
        "projects/<int:project_id>/invitations/<int:invitation_id>/",
        api.InvitationDetail.as_view(),
        name="api-invitation-detail",
    ),
    path(
        "projects/<int:project_id>/guidelines/",
        api.GuidelineList.as_view(),
        name="api-guideline-list",
    ),
    path(
        "projects/<int:project_id>/criteria/",
        api.CriterionList.as_view(),
        name="api-criterion-list",
    ),
    path(
        "projects/<int:project_id>/criteria/<slug:name>/",
        api.CriterionDetail.as_view(),
        name="api-criterion-detail",
    ),
    path(
        "projects/<int:project_id>/criteria/undo/<int:event_id>/",
        api.CriterionUndo.as_view(),
        name="api-criterion-undo",
    ),
    path("projects/<int:project_id>/audit/", api.AuditList.as_view(), name="api-audit-list"),
]
_PROJECT = "projects/<int:project_id>/settings/"
page_patterns = [
    path("", views.project_index, name="projects-index"),
    path("projects/new/", views.project_new, name="projects-new"),
    path("invitations/<str:token>/", views.invitation, name="projects-invitation"),
    path(_PROJECT, views.settings, name="projects-settings"),
    path(f"{_PROJECT}archive/", views.archive, name="projects-archive"),
    path(f"{_PROJECT}guideline/", views.guideline, name="projects-guideline"),
    path(f"{_PROJECT}criteria/", views.save_criterion, name="projects-criterion-save"),
    path(
        f"{_PROJECT}criteria/<slug:name>/remove/",
        views.remove_criterion,
        name="projects-criterion-remove",
    ),
    path(
        f"{_PROJECT}criteria/undo/<int:event_id>/",
        views.undo_criterion,
        name="projects-criterion-undo",
    ),
    path(f"{_PROJECT}members/", views.member_list, name="projects-members"),
    path(f"{_PROJECT}members/<int:user_id>/", views.set_roles, name="projects-member-roles"),
    path(f"{_PROJECT}invitations/", views.invite, name="projects-invite"),
    path(f"{_PROJECT}invitations/mail/", views.invite_by_mail, name="projects-invite-mail"),
    path(
        f"{_PROJECT}invitations/<int:invitation_id>/resend/",
        views.resend_invitation,
        name="projects-invitation-resend",
    ),
    path(
        f"{_PROJECT}invitations/<int:invitation_id>/revoke/",
        views.revoke_invitation,
        name="projects-invitation-revoke",
    ),
    path(f"{_PROJECT}audit/", views.audit, name="projects-audit"),
]

MEMBER = frozenset(Role)
ADMIN = frozenset({Role.ADMIN})
ROUTE_ROLES = {
    "api-project-detail": {"GET": MEMBER, "PATCH": ADMIN},
    "api-project-archive": {"POST": ADMIN},
    "api-member-list": {"GET": ADMIN, "POST": ADMIN},
    "api-member-detail": {"PUT": ADMIN, "DELETE": ADMIN},
    "api-invitation-list": {"GET": ADMIN, "POST": ADMIN},
    "api-invitation-detail": {"DELETE": ADMIN},
    "api-invitation-mail": {"POST": ADMIN},
    "api-invitation-resend": {"POST": ADMIN},
    "api-guideline-list": {"GET": MEMBER, "POST": ADMIN},
    "api-criterion-list": {"GET": MEMBER, "POST": ADMIN},
    "api-criterion-detail": {"DELETE": ADMIN},
    "api-criterion-undo": {"POST": ADMIN},
    "api-audit-list": {"GET": ADMIN},
    "projects-settings": {"GET": ADMIN, "POST": ADMIN},
    "projects-archive": {"POST": ADMIN},
    "projects-guideline": {"GET": ADMIN, "POST": ADMIN},
    "projects-criterion-save": {"POST": ADMIN},
    "projects-criterion-remove": {"POST": ADMIN},
    "projects-criterion-undo": {"POST": ADMIN},
    "projects-members": {"GET": ADMIN, "POST": ADMIN},
    "projects-member-roles": {"POST": ADMIN},
    "projects-invite": {"POST": ADMIN},
    "projects-invite-mail": {"POST": ADMIN},
    "projects-invitation-resend": {"POST": ADMIN},
    "projects-invitation-revoke": {"POST": ADMIN},
    "projects-audit": {"GET": ADMIN},
}
# In no project yet: signed in is enough; each sees only what is their own.
OWN_ROUTES = {
    "projects-index": {"GET"},
    "projects-new": {"GET", "POST"},
    "api-project-list": {"GET", "POST"},
}
# The token in the address is the key: whoever was sent it may look, signed in or not.
OPEN_ROUTES = {"projects-invitation"}
