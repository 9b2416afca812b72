"""Pages show times as the clocks of their reader do; the API tells them in UTC."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from annotation.accounts.zones import zone_of
from annotation.core.middleware import API_ROOT


class ZoneMiddleware:
    """Answer a page in the time zone of who asks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(API_ROOT):
            return self.get_response(request)
        with timezone.override(zone_of(request.user)):
            return self.get_response(request)
