"""Addresses of webhooks, and who may use them."""

from django.urls import path

from annotation.projects.models import Role
from annotation.webhooks import api, views

_API = "projects/<int:project_id>/webhooks/"
api_patterns = [
    path(_API, api.WebhookList.as_view(), name="api-webhook-list"),
    path(f"{_API}<int:pk>/", api.WebhookDetail.as_view(), name="api-webhook-detail"),
    path(f"{_API}<int:pk>/secret/", api.WebhookSecret.as_view(), name="api-webhook-secret"),
    path(f"{_API}<int:pk>/deliveries/", api.DeliveryList.as_view(), name="api-webhook-deliveries"),
    path(
        f"{_API}<int:pk>/deliveries/<int:delivery_id>/again/",
        api.Redelivery.as_view(),
        name="api-webhook-again",
    ),
]
_PAGE = "projects/<int:project_id>/settings/webhooks/"
page_patterns = [
    path(_PAGE, views.webhook_list, name="webhooks-list"),
    path(f"{_PAGE}<int:pk>/", views.webhook_detail, name="webhooks-detail"),
    path(f"{_PAGE}<int:pk>/rotate/", views.webhook_rotate, name="webhooks-rotate"),
    path(f"{_PAGE}<int:pk>/state/", views.webhook_state, name="webhooks-state"),
    path(f"{_PAGE}<int:pk>/remove/", views.webhook_remove, name="webhooks-remove"),
    path(
        f"{_PAGE}<int:pk>/deliveries/<int:delivery_id>/again/",
        views.delivery_again,
        name="webhooks-again",
    ),
]

ADMIN = frozenset({Role.ADMIN})
ROUTE_ROLES = {
    "api-webhook-list": {"GET": ADMIN, "POST": ADMIN},
    "api-webhook-detail": {"GET": ADMIN, "PATCH": ADMIN, "DELETE": ADMIN},
    "api-webhook-secret": {"POST": ADMIN},
    "api-webhook-deliveries": {"GET": ADMIN},
    "api-webhook-again": {"POST": ADMIN},
    "webhooks-list": {"GET": ADMIN, "POST": ADMIN},
    "webhooks-detail": {"GET": ADMIN},
    "webhooks-rotate": {"POST": ADMIN},
    "webhooks-state": {"POST": ADMIN},
    "webhooks-remove": {"POST": ADMIN},
    "webhooks-again": {"POST": ADMIN},
}
