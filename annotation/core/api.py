"""API manners: one error shape, cursor pagination, the base of every project-scoped view."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404
from rest_framework import exceptions
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import JSONParser
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from annotation.core.errors import DomainError


class NewestFirst(CursorPagination):
    """Cursor pages by descending primary key; `?page_size=` up to 200."""

    ordering = "-pk"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200


class BoundedJSONParser(JSONParser):
    """JSON whose nesting has an end; Django limits its size."""

    def parse(
        self,
        stream: IO[Any],  # Any: as DRF has it
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise exceptions.ParseError("The JSON is nested too deeply.") from error


def error_body(
    code: str, message: str, fields: dict[str, list[str]] | None = None
) -> dict[str, Any]:
    """The one shape of an error: ``{"error": {"code", "message", "fields"}}``."""
    return {"error": {"code": code, "message": message, "fields": fields or {}}}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer every expected failure in the one shape; the unexpected stays a 500."""
    if isinstance(error, DomainError):
        field = getattr(error, "field", "")
        fields = {field: [str(error)]} if field else {}
        return Response(error_body(error.code, str(error), fields), status=error.status)
    if isinstance(error, RequestDataTooBig):
        return Response(error_body("too_big", _too_big()), status=413)
    response = drf_exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        response.data = error_body("invalid", "Some fields are not valid.", _fields(error.detail))
    elif isinstance(error, exceptions.APIException):
        codes = error.get_codes()
        response.data = error_body(codes if isinstance(codes, str) else "error", str(error.detail))
    elif isinstance(error, Http404):
        response.data = error_body("not_found", "There is nothing here, or it is not yours to see.")
    elif isinstance(error, PermissionDenied):
        response.data = error_body("forbidden", "Your role does not allow this.")
    return response


def _too_big() -> str:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return f"The request is longer than {limit:,} bytes; send rows as a file, or in parts."


def _fields(detail: Any) -> dict[str, list[str]]:  # Any: DRF nests dicts, lists and strings
    if isinstance(detail, dict):
        return {key: _messages(value) for key, value in detail.items()}
    return {"non_field_errors": _messages(detail)}


def _messages(value: Any) -> list[str]:  # Any: as above
    if isinstance(value, dict):
        return [f"{key}: {text}" for key, inner in value.items() for text in _messages(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _messages(inner)]
    return [str(value)]
