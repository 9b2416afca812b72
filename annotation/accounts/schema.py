"""What the OpenAPI document says of our tokens and sessions."""

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_bearer_security_scheme_object


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # its __init_subclass__
    """`Authorization: Bearer concord_...`; drf-spectacular finds this class once it is imported."""

    target_class = "annotation.accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:  # noqa: ARG002 - the name it calls with
        return dict(build_bearer_security_scheme_object("Authorization", "Bearer"))


class PageScheme(SessionScheme):  # type: ignore[no-untyped-call] # as above
    """The cookie of a session, as Django's own."""

    target_class = "annotation.accounts.authentication.PageSession"
