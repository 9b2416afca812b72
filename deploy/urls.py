"""Every address of the site. Pages live under their app, the API under /api/v1/."""

from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver, include, path
from django.views.i18n import set_language
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from annotation.accounts import urls as accounts
from annotation.comparisons import urls as comparisons
from annotation.datasets import urls as datasets
from annotation.demonstrations import urls as demonstrations
from annotation.evaluations import urls as evaluations
from annotation.generation import urls as generation
from annotation.judges import urls as judges
from annotation.overview import urls as overview
from annotation.projects import urls as projects
from annotation.prompts import urls as prompts
from annotation.quality import urls as quality
from annotation.registry import urls as registry
from annotation.rounds import urls as rounds
from annotation.runs import urls as runs
from annotation.webhooks import urls as webhooks

# Each app has urls.py with `api_patterns` and `page_patterns`; paths start with projects/<int:project_id>/.
# They are tried from the top: what labelers ask for all day comes first.
API: list[URLPattern | URLResolver] = [
    *comparisons.api_patterns,
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="api_docs.html"),
        name="api-docs",
    ),
    *accounts.api_patterns,
    *projects.api_patterns,
    *demonstrations.api_patterns,
    *prompts.api_patterns,
    *overview.api_patterns,
    *registry.api_patterns,
    *generation.api_patterns,
    *judges.api_patterns,
    *runs.api_patterns,
    *evaluations.api_patterns,
    *rounds.api_patterns,
    *quality.api_patterns,
    *datasets.api_patterns,
    *webhooks.api_patterns,
]
PAGES: list[URLPattern | URLResolver] = [
    path("accounts/", include("allauth.account.urls")),
    path("language/", login_not_required(set_language), name="set_language"),
    *accounts.page_patterns,
    *projects.page_patterns,
    *comparisons.page_patterns,
    *demonstrations.page_patterns,
    *prompts.page_patterns,
    *overview.page_patterns,
    *registry.page_patterns,
    *generation.page_patterns,
    *judges.page_patterns,
    *runs.page_patterns,
    *evaluations.page_patterns,
    *rounds.page_patterns,
    *quality.page_patterns,
    *datasets.page_patterns,
    *webhooks.page_patterns,
]

urlpatterns = [path("api/v1/", include(API)), *PAGES]
handler404 = "annotation.core.api.not_found"
handler500 = "annotation.core.api.broken"
