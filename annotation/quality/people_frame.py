"""The frame of the pages on which admins look after people, and how those pages answer a form."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from annotation.accounts.authentication import person
from annotation.core.errors import DomainError
from annotation.projects.models import Project
from annotation.projects.selectors import page_context
from annotation.quality.frame import tabs_context

Context = dict[str, Any]  # Any: a template's context


def people_context(request: HttpRequest, project: Project, tab: str) -> Context:
    """The frame of these pages: the tabs of agreement, without its figures and filters."""
    return {
        **page_context(person(request), project, "agreement"),
        **tabs_context(request, project, tab),
    }


def done(request: HttpRequest, text: str, route: str, *keys: int) -> HttpResponse:
    """Say what was done, and go back to where it was asked."""
    messages.success(request, text)
    return redirect(route, *keys)


def refused(request: HttpRequest, error: DomainError, route: str, *keys: int) -> HttpResponse:
    """Say why not, and go back."""
    messages.error(request, str(error))
    return redirect(route, *keys)
