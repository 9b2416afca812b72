"""Expected failures become answers: a page for a browser, one JSON shape for the API; a forgotten slash is added."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware
from django.shortcuts import render
from django.utils.http import escape_leading_slashes

from annotation.core.errors import DomainError, log_refusal


class DomainErrorMiddleware:
    """Turn a DomainError that a page view raised into a page that says what happened."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, DomainError):
            return None
        log_refusal(error, request.path)
        return render(request, "error.html", {"error": error}, status=error.status)


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
