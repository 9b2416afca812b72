"""API of agreement: the report of a project or of a part of its judgments, and its tables as CSV."""

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.projects.models import Role
from annotation.projects.selectors import project_for
from annotation.quality import serializers as shapes
from annotation.quality.scope import SIGNAL_FILTERS, Scope
from annotation.quality.selectors import view_of
from annotation.quality.services import catch_up
from annotation.quality.signals import signals_report
from annotation.quality.tables import csv_answer, parts_of_table

READERS = (Role.ADMIN, Role.ENGINEER)


class AgreementDetail(APIView):
    """How far the labelers of a project agree."""

    @extend_schema(parameters=[shapes.ScopeSerializer], responses=shapes.AgreementSerializer)
    def get(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, *READERS)
        catch_up(project=project)
        view = view_of(project, Scope.of(request))
        return Response(shapes.AgreementSerializer(view).data)


class AgreementTable(APIView):
    """One table of the report as CSV: statistics, skips, coefficients, judges, budget, labelers, matrix, position,
    periods, versions, policies, models, next.
    """

    @extend_schema(
        parameters=[shapes.ScopeSerializer],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, project_id: int, table: str) -> StreamingHttpResponse:
        project = project_for(request.user, project_id, *READERS)
        catch_up(project=project)
        scope = Scope.of(request)
        view = view_of(project, scope, parts=parts_of_table(table))
        return csv_answer(view.report, table)


class SignalsDetail(APIView):
    """Accept and reject signals of a product: how often, by source, and whether pairwise verdicts say the same.

    They have the filters of time, language, tag and labeler; another is refused.
    """

    @extend_schema(parameters=[shapes.filters(SIGNAL_FILTERS)], responses=shapes.SignalsSerializer)
    def get(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, *READERS)
        catch_up(project=project)
        scope = Scope.of(request).having_only(SIGNAL_FILTERS, what="Signals")
        return Response(shapes.SignalsSerializer(signals_report(project, scope)).data)
