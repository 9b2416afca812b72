"""Pages about one's own account: how it is set, and API tokens."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from annotation.accounts import services
from annotation.accounts.authentication import person
from annotation.accounts.forms import TimeZoneForm, TokenForm
from annotation.accounts.selectors import tokens_of
from annotation.accounts.zones import zone_of


@never_cache
@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Language, look and time zone; POST keeps the time zone."""
    user = person(request)
    form = TimeZoneForm(request.POST or None, known=zone_of(user).key)
    if request.method == "POST" and form.is_valid():
        services.set_time_zone(user=user, time_zone=form.cleaned_data["time_zone"])
        messages.success(request, _("Your time zone is saved."))
        return redirect("accounts-account")
    status = 400 if form.errors else 200
    return render(request, "accounts/account.html", {"form": form}, status=status)


@never_cache
@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """List the tokens; make one and show its key this once."""
    user, new = person(request), None
    form = TokenForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        new = services.create_token(user=user, name=form.cleaned_data["name"])
        form = TokenForm()
    context = {"form": form, "new": new, "tokens": tokens_of(user)}
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "accounts/tokens.html", context, status=status)


@require_POST
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """End one token."""
    services.revoke_token(user=person(request), token_id=token_id)
    messages.success(request, _("The token is revoked: what used it is refused from now on."))
    return redirect("accounts-tokens")
