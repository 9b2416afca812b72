"""Pages of webhooks, beside the settings of a project: admins only."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.core.forms import refusals_in
from annotation.projects.models import Project, Role
from annotation.projects.selectors import page_context, project_for
from annotation.webhooks.forms import WebhookForm
from annotation.webhooks.selectors import deliveries_of, delivery_of, webhook_of, webhooks_of
from annotation.webhooks.services import keeping
from annotation.webhooks.services.keeping import NewSecret


@never_cache
@require_http_methods(["GET", "POST"])
def webhook_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """The webhooks; POST adds one and shows its secret this once."""
    project = project_for(request.user, project_id, Role.ADMIN)
    form = WebhookForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            added = keeping.add_webhook(project=project, actor=person(request), **form.cleaned_data)
            return _list(request, project, WebhookForm(), added)
    return _list(request, project, form)


def _list(
    request: HttpRequest, project: Project, form: WebhookForm, new: NewSecret | None = None
) -> HttpResponse:
    context = page_context(person(request), project, "settings")
    context.update(tab="webhooks", form=form, new=new, webhooks=webhooks_of(project))
    status = 400 if form.is_bound else 200
    return render(request, "webhooks/list.html", context, status=status)


@require_GET
def webhook_detail(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """One webhook and what was sent to it."""
    project = project_for(request.user, project_id, Role.ADMIN)
    return _detail(request, project, pk)


def _detail(
    request: HttpRequest, project: Project, pk: int, new: NewSecret | None = None
) -> HttpResponse:
    webhook = webhook_of(project, pk)
    page = Paginator(deliveries_of(webhook), 50).get_page(request.GET.get("page"))
    context = page_context(person(request), project, "settings")
    context.update(tab="webhooks", webhook=webhook, page=page, new=new)
    return render(request, "webhooks/detail.html", context)


@never_cache
@require_POST
def webhook_rotate(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """A new secret, shown this once."""
    project = project_for(request.user, project_id, Role.ADMIN)
    made = keeping.rotate_secret(webhook=webhook_of(project, pk), actor=person(request))
    return _detail(request, project, pk, made)


@require_POST
def webhook_state(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Pause, or go on."""
    project = project_for(request.user, project_id, Role.ADMIN)
    is_active = request.POST.get("is_active") == "yes"
    keeping.set_active(webhook=webhook_of(project, pk), is_active=is_active, actor=person(request))
    return redirect("webhooks-detail", project.pk, pk)


@require_POST
def webhook_remove(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Forget it."""
    project = project_for(request.user, project_id, Role.ADMIN)
    keeping.remove_webhook(webhook=webhook_of(project, pk), actor=person(request))
    messages.success(request, "The webhook is removed; nothing more is sent there.")
    return redirect("webhooks-list", project.pk)


@require_POST
def delivery_again(
    request: HttpRequest, project_id: int, pk: int, delivery_id: int
) -> HttpResponse:
    """Send a delivery again."""
    project = project_for(request.user, project_id, Role.ADMIN)
    delivery = delivery_of(webhook_of(project, pk), delivery_id)
    keeping.redeliver(delivery=delivery, actor=person(request))
    messages.success(request, "It is on its way again.")
    return redirect("webhooks-detail", project.pk, pk)
