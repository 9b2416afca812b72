"""What lies around every view: expected failures become pages, a forgotten slash is added, and what the framework does
with every answer anew is done once, for labelers answer hundreds of times a second.
"""

from collections.abc import Callable

from csp.constants import HEADER
from csp.middleware import CSPMiddleware, PolicyParts
from csp.utils import build_policy
from django.contrib.messages.middleware import MessageMiddleware
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponsePermanentRedirect,
)
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.locale import LocaleMiddleware
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.http import escape_leading_slashes
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from annotation.core.errors import DomainError, log_refusal

API_ROOT = "/api/"


class PageMessageMiddleware(MessageMiddleware):
    """As Django's, for pages: the API has no messages."""

    def process_request(self, request: HttpRequest) -> None:
        if not request.path.startswith(API_ROOT):
            super().process_request(request)


class DomainErrorMiddleware:
    """Turn a DomainError that a page view raised, and a visit to what a button sends, into a page that says it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_page = not request.path.startswith(API_ROOT)
        if isinstance(response, HttpResponseNotAllowed) and is_page:
            return _button_alone(request, response)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, DomainError):
            return None
        log_refusal(error, request.path)
        return render(request, "error.html", {"error": error}, status=error.status)


def _button_alone(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    said = _(
        "This address is what a button of a page sends to. Go back to that page and press it there."
    )
    page = render(request, "error.html", {"error": said}, status=response.status_code)
    page.headers["Allow"] = response.headers["Allow"]
    return page


class SendAgain(HttpResponsePermanentRedirect):
    """308: the client sends the same method and body to the other address; a 301 would make it a GET."""

    def __init__(self, redirect_to: str) -> None:
        super().__init__(redirect_to, preserve_request=True)


class SlashMiddleware(CommonMiddleware):
    """As Django's, but what was posted to an address without its last slash is not lost."""

    response_redirect_class = SendAgain

    def get_full_path_with_slash(self, request: HttpRequest) -> str:
        """The address with its slash; Django refuses here, under DEBUG, what a 301 would lose and a 308 does not."""
        return escape_leading_slashes(request.get_full_path(force_append_slash=True))


class LanguageMiddleware(LocaleMiddleware):
    """As Django's, but no address here begins with a language, so none is looked for in it."""

    def process_response(
        self,
        request: HttpRequest,  # noqa: ARG002 - as Django's
        response: HttpResponseBase,
    ) -> HttpResponseBase:
        patch_vary_headers(response, ("Accept-Language",))
        response.headers.setdefault("Content-Language", get_language())
        return response


class PolicyMiddleware(CSPMiddleware):
    """As django-csp's, but the policy of the settings, which nearly every answer has, is built once."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        super().__init__(get_response)
        self.policy = build_policy()

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if self.get_policy_parts(request, response) != PolicyParts():
            return super().process_response(request, response)
        response.headers.setdefault(HEADER, self.policy)
        return response
