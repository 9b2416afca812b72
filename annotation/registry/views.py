"""Pages of the model registry."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.core.errors import Conflict
from annotation.core.forms import refusals_in
from annotation.core.text import is_key
from annotation.projects.models import Role
from annotation.projects.selectors import page_context, project_for
from annotation.registry import services
from annotation.registry.forms import ModelForm
from annotation.registry.models import ModelVersion
from annotation.registry.results import change_rows, result_rows
from annotation.registry.selectors import ancestry, model_for, models_of, served_before, was_loaded
from annotation.registry.servers import may_be_asked, may_register_servers, refusal

PAGE_SIZE = 50


@require_GET
def models(request: HttpRequest, project_id: int) -> HttpResponse:
    """The models of the project with their stages."""
    project = project_for(person(request), project_id, Role.ENGINEER, Role.ADMIN)
    page = Paginator(models_of(project), PAGE_SIZE).get_page(request.GET.get("page"))
    context = page_context(person(request), project, "models")
    context |= {
        "page": page,
        "previous": served_before(project=project, kind=ModelVersion.Kind.POLICY),
    }
    return render(request, "registry/models.html", context)


@require_http_methods(["GET", "POST"])
def new_model(request: HttpRequest, project_id: int) -> HttpResponse:
    """Register a model that was not trained here."""
    project = project_for(person(request), project_id, Role.ENGINEER, Role.ADMIN)
    has_servers = may_register_servers(person(request), project)
    form = ModelForm(request.POST or None, has_servers=has_servers)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            version = services.add_model(
                project=project, actor=person(request), **form.cleaned_data
            )
            return redirect("registry-model", project_id, version.pk)
    context = {**page_context(person(request), project, "models"), "form": form}
    status = 400 if form.is_bound else 200
    return render(request, "registry/new.html", context, status=status)


@require_GET
def model(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """One model: stage, metrics and where it came from."""
    project = project_for(person(request), project_id, Role.ENGINEER, Role.ADMIN)
    version = model_for(project, pk)
    context = page_context(person(request), project, "models")
    context |= {"version": version, "ancestry": ancestry(version)}
    context["why_not_asked"] = "" if may_be_asked(version) else refusal(version)
    context["is_untried"] = not was_loaded(version)
    context["results"] = result_rows(version.metrics)
    context["changes"] = change_rows(version.metrics)
    if version.stage == ModelVersion.Stage.SERVING:
        context["previous"] = served_before(project=project, kind=version.kind)
    return render(request, "registry/model.html", context)


@require_POST
def stage(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Promote or retire."""
    project = project_for(person(request), project_id, Role.ENGINEER)
    version = services.promote(
        version=model_for(project, pk), stage=request.POST.get("stage", ""), actor=person(request)
    )
    messages.success(request, _sentence(version))
    return redirect("registry-model", project_id, pk)


@require_POST
def rollback(request: HttpRequest, project_id: int) -> HttpResponse:
    """Go back to the version that served before."""
    project = project_for(person(request), project_id, Role.ENGINEER)
    kind, asked = request.POST.get("kind", ""), request.POST.get("version", "")
    expected = int(asked) if is_key(asked) else None
    try:
        version = services.rollback(
            project=project, kind=kind, expected=expected, actor=person(request)
        )
    except Conflict as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, _sentence(version))
    return redirect("registry-models", project_id)


def _sentence(version: ModelVersion) -> str:
    name = f"{version.name} v{version.number}"
    if version.stage == ModelVersion.Stage.SERVING:
        return f"{name} serves now: the next generation run uses it."
    return f"{name} is {version.stage} now."
