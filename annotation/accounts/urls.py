"""Addresses about one's own account; they belong to no project."""

from django.urls import path

from annotation.accounts import api, schema, views  # noqa: F401 - schema registers itself

api_patterns = [
    path("me/", api.Me.as_view(), name="api-me"),
    path("tokens/", api.TokenList.as_view(), name="api-token-list"),
    path("tokens/<int:token_id>/", api.TokenDetail.as_view(), name="api-token-detail"),
]
page_patterns = [
    path("account/", views.account, name="accounts-account"),
    path("account/tokens/", views.tokens, name="accounts-tokens"),
    path("account/tokens/<int:token_id>/revoke/", views.revoke_token, name="accounts-token-revoke"),
]

# Signed in is enough here: each person sees only what is their own.
OWN_ROUTES = {
    "api-me": {"GET", "PATCH"},
    "api-token-list": {"GET", "POST"},
    "api-token-detail": {"DELETE"},
    "accounts-account": {"GET", "POST"},
    "accounts-tokens": {"GET", "POST"},
    "accounts-token-revoke": {"POST"},
}
