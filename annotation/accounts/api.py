"""API about one's own account."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts import services
from annotation.accounts.authentication import person
from annotation.accounts.models import ApiToken
from annotation.accounts.selectors import tokens_of
from annotation.accounts.serializers import (
    MeSerializer,
    NewTokenSerializer,
    TimeZoneSerializer,
    TokenSerializer,
)
from annotation.core.api import sent_fields


class Me(APIView):
    """Who the token or the session belongs to."""

    @extend_schema(responses=MeSerializer)
    def get(self, request: Request) -> Response:
        return Response(MeSerializer(person(request)).data)

    @extend_schema(request=TimeZoneSerializer, responses=MeSerializer)
    def patch(self, request: Request) -> Response:
        """Say in which time zone your days are counted."""
        sent = sent_fields(TimeZoneSerializer, request)
        me = person(request)
        services.set_time_zone(user=me, **sent)
        me.refresh_from_db(fields=["time_zone"])
        return Response(MeSerializer(me).data)


class TokenList(generics.ListAPIView[ApiToken]):
    """Your API tokens; a key is shown once, in the answer that makes it."""

    serializer_class = TokenSerializer
    queryset = ApiToken.objects.none()

    def get_queryset(self) -> QuerySet[ApiToken]:
        return tokens_of(person(self.request))

    @extend_schema(request=TokenSerializer, responses={201: NewTokenSerializer})
    def post(self, request: Request, *_args: Any) -> Response:  # Any: DRF's view arguments
        sent = sent_fields(TokenSerializer, request)
        new = services.create_token(user=person(request), **sent)
        body = {**TokenSerializer(new.token).data, "key": new.key}
        return Response(body, status=status.HTTP_201_CREATED)


class TokenDetail(APIView):
    """One of your API tokens."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, token_id: int) -> Response:
        """Revoke the token."""
        services.revoke_token(user=person(request), token_id=token_id)
        return Response(status=status.HTTP_204_NO_CONTENT)
