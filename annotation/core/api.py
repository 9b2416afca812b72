"""API manners: one error shape, cursor pagination, the base of every project-scoped view."""

import sys
from collections.abc import Iterable, Mapping
from typing import IO, Any, TypeVar

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import defaults
from rest_framework import exceptions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ChoiceField, Field, ListField, ListSerializer, Serializer
from rest_framework.views import exception_handler as drf_exception_handler

from annotation.core.errors import DomainError, InvalidInput, log_refusal, shortage_behind
from annotation.core.middleware import API_ROOT
from annotation.core.text import is_key, kind_of

Shape = TypeVar("Shape", bound=Serializer[Any])  # Any: of any row
CSRF_FIELD = "csrfmiddlewaretoken"  # of a form on a page
NOTHING_HERE = gettext_lazy("There is nothing here, or it is not yours to see.")


class NewestFirst(CursorPagination):
    """Cursor pages by descending primary key; `?page_size=` up to 200.

    A view names what else it reads of the address in `filter_names`. What it does not read is refused: a filter with a
    letter wrong would give all rows as if they fitted.
    """

    ordering = "-pk"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def paginate_queryset(
        self,
        queryset: Any,  # Any: rows of any kind
        request: Request,
        view: Any = None,  # Any: a view, with `filter_names` where it has some
    ) -> list[Any] | None:
        known = (
            *getattr(view, "filter_names", ()),
            self.cursor_query_param,
            self.page_size_query_param,
        )
        sentence = f"There is no such filter here; there are {', '.join(known)}."
        if unknown := {name: [sentence] for name in request.query_params if name not in known}:
            raise exceptions.ValidationError(unknown)
        return super().paginate_queryset(queryset, request, view)

    def get_page_size(self, request: Request) -> int | None:
        asked = request.query_params.get(self.page_size_query_param, "1")
        if not is_key(asked) or int(asked) == 0:
            told = f"{asked[:60]!r} is not a number of rows from 1 to {self.max_page_size}."
            raise InvalidInput.at(self.page_size_query_param, told)
        return super().get_page_size(request)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """The cursor; its position must be a primary key, since people can send any."""
        cursor = super().decode_cursor(request)
        if cursor and cursor.position is not None and not is_key(str(cursor.position)):
            raise exceptions.NotFound(self.invalid_cursor_message)
        return cursor


class Negotiation(DefaultContentNegotiation):
    """The form that is accepted, or the first; at once where there is no other, since reading what is accepted costs
    more than an answer.
    """

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        first, *others = renderers
        if not others:
            return first, str(first.media_type)
        try:
            renderer, kind = super().select_renderer(request, [first, *others], format_suffix)
        except exceptions.NotAcceptable:
            return first, str(first.media_type)
        return renderer, kind


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


def sent_fields(
    shape: type[Serializer[Any]], request: Request, *, partial: bool = False
) -> dict[str, Any]:  # Any: as the shape says
    """The fields of the request, as `checked` lets them through."""
    return dict(checked(shape, request, partial=partial).validated_data)


def asked_fields(
    shape: type[Serializer[Any]], request: Request
) -> dict[str, Any]:  # Any: as the shape says
    """The same of what stands in the address behind its question mark."""
    return dict(_read(shape(data=request.query_params), request.query_params).validated_data)


def checked(shape: type[Shape], request: Request, *, partial: bool = False) -> Shape:
    """The request read by ``shape``. Raises ValidationError: a field that it does not have is not passed over."""
    return _read(shape(data=request.data, partial=partial), request.data)


def _read(read: Shape, sent: Any) -> Shape:  # Any: what was sent
    if not read.is_valid():
        raise exceptions.ValidationError(
            {
                name: _naming_choices(read.fields.get(name), told)
                for name, told in read.errors.items()
            }
        )
    if unknown := _unknown(read, sent):
        raise exceptions.ValidationError(unknown)
    return read


def _unknown(
    shape: object, sent: Any
) -> Any:  # Any: JSON that was found valid, and DRF's nested errors
    """What is said of each field that ``shape`` does not have, also of objects within; empty where it has all."""
    if isinstance(shape, ListSerializer | ListField):
        return [told for one in sent or () if (told := _unknown(shape.child, one))]
    if not isinstance(shape, Serializer) or sent is None:
        return {}
    fields = {name: field for name, field in shape.fields.items() if not field.read_only}
    sentence = f"There is no such field here; there are {', '.join(fields)}."
    told = {name: [sentence] for name in sent if name not in shape.fields and name != CSRF_FIELD}
    within = {name: _unknown(field, sent[name]) for name, field in fields.items() if name in sent}
    return told | {name: one for name, one in within.items() if one}


def _naming_choices(field: Field[Any, Any, Any, Any] | None, told: Any) -> Any:  # Any: DRF's own
    """What was told of a field; of a choice also what may be chosen."""
    if isinstance(field, ListField) and isinstance(told, dict):
        return {at: _naming_choices(field.child, one) for at, one in told.items()}
    if not isinstance(field, ChoiceField) or getattr(told[0], "code", "") != "invalid_choice":
        return told
    return [f"{told[0]} Choose one of {', '.join(map(str, field.choices))}."]


def error_body(
    code: str, message: str, fields: dict[str, list[str]] | None = None
) -> dict[str, Any]:
    """The one shape of an error: ``{"error": {"code", "message", "fields"}}``."""
    told = {
        sendable(name): [sendable(one) for one in texts] for name, texts in (fields or {}).items()
    }
    return {"error": {"code": code, "message": sendable(message), "fields": told}}


def sendable(text: str) -> str:
    """The text without lone surrogates, which JSON may bring in but UTF-8 cannot bring out."""
    return text.encode("utf-8", "replace").decode()


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer every expected failure in the one shape; the unexpected stays a 500."""
    if isinstance(error, DomainError):
        log_refusal(error, context["request"].path)
        field = getattr(error, "field", "")
        fields = {field: [str(error)]} if field else {}
        return Response(error_body(error.code, str(error), fields), status=error.status)
    if isinstance(error, RequestDataTooBig):
        return Response(error_body("too_big", _too_big()), status=413)
    if isinstance(error, SuspiciousOperation):
        return Response(error_body("invalid", f"This request cannot be read: {error}"), status=400)
    response = drf_exception_handler(error, context)
    if response is not None:
        response.data = _told(error, context["request"])
    return response


def _told(error: Exception, request: Request) -> dict[str, Any]:  # Any: JSON
    """The one shape of what REST framework knows how to refuse."""
    if isinstance(error, exceptions.ValidationError):
        body = _body(request)
        if not isinstance(body, dict | list):
            told = f"The body is {kind_of(body)}; send an object with named fields."
            return error_body("invalid", told)
        return error_body("invalid", _("Some fields are not valid."), _fields(error.detail))
    if isinstance(error, exceptions.APIException):
        codes = error.get_codes()
        return error_body(codes if isinstance(codes, str) else "error", str(error.detail))
    if isinstance(error, PermissionDenied):
        return error_body("forbidden", "Your role does not allow this.")
    return error_body("not_found", str(NOTHING_HERE))


def _body(request: Request) -> object:
    """What was sent; no fields where it cannot be read, since then what was refused is the address."""
    try:
        return request.data
    except exceptions.APIException:
        return {}


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """An address that is none: a page, or the one shape below ``API_ROOT``."""
    if request.path.startswith(API_ROOT):
        return JsonResponse(error_body("not_found", str(NOTHING_HERE)), status=404)
    return defaults.page_not_found(request, exception)


def broken(request: HttpRequest) -> HttpResponse:
    """What was not foreseen, or no room: a page, or the one shape below ``API_ROOT``."""
    if (shortage := shortage_behind(sys.exception())) is not None:
        return _short_of_room(request, shortage)
    if request.path.startswith(API_ROOT):
        sentence = "Something went wrong here; the log of the server has more. Try again later."
        return JsonResponse(error_body("broken", sentence), status=500)
    return defaults.server_error(request)


def _short_of_room(request: HttpRequest, shortage: DomainError) -> HttpResponse:
    if request.path.startswith(API_ROOT):
        body = error_body(shortage.code, str(shortage))
        return JsonResponse(body, status=shortage.status)
    return render(request, "error.html", {"error": shortage}, status=shortage.status)


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
