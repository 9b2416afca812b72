"""What a step of the set-up would make of the project, were it saved now: for the preview. Nothing is written."""

from collections.abc import Callable
from dataclasses import replace

from django.http import QueryDict

from annotation.comparisons.preview import Draft, size_of
from annotation.comparisons.stations import Asked
from annotation.generation.models import SamplingPlan
from annotation.overview.forms import ResponsesForm, aspects_in
from annotation.projects.models import Project
from annotation.projects.selectors import current_guideline
from annotation.projects.services.rubric import aspects_of
from annotation.projects.settings_forms import AnswersForm, LabelsForm, ProjectForm

PREVIEWED = ("prompts", "responses", "rubric", "guideline", "answers", "labels", "start")


def saved(project: Project, step: str) -> Draft:
    """As the project stands."""
    plan = SamplingPlan.objects.filter(project=project).first() or SamplingPlan(project=project)
    policies = plan.policies.count() if plan.pk else 0
    guideline = current_guideline(project)
    return Draft(
        project=project,
        criteria=[Asked(*one) for one in aspects_of(project)],
        guideline=guideline.text if guideline else "",
        guideline_version=guideline.version if guideline else 1,
        size=size_of(pairing=project.pairing, responses=plan.per_prompt * max(1, policies)),
        is_size_planned=policies > 0,
        is_about_guideline=step == "guideline",
    )


def typed(project: Project, step: str, posted: QueryDict) -> Draft:
    """As what is typed in a step would make it; what is wrong there stays as it was."""
    draft = saved(project, step)
    return TYPED[step](draft, posted) if step in TYPED else draft


def _settings(form_class: type[ProjectForm]) -> Callable[[Draft, QueryDict], Draft]:
    def act(draft: Draft, posted: QueryDict) -> Draft:
        form = form_class(posted, instance=Project.objects.get(pk=draft.project.pk))
        form.is_valid()  # writes what is right on the instance
        return replace(draft, project=form.instance)

    return act


def _responses(draft: Draft, posted: QueryDict) -> Draft:
    form = ResponsesForm(posted, project=draft.project)
    form.is_valid()
    pairing = form.cleaned_data.get("pairing") or draft.project.pairing
    per_prompt = form.cleaned_data.get("per_prompt") or draft.size
    policies = len(form.cleaned_data.get("policies") or ())
    size = size_of(pairing=pairing, responses=per_prompt * max(1, policies))
    return replace(draft, size=size, is_size_planned=True)


def _rubric(draft: Draft, posted: QueryDict) -> Draft:
    named = [Asked(*one) for one in aspects_in(posted) if one.name]
    return replace(draft, criteria=list({one.name: one for one in named}.values()))


def _guideline(draft: Draft, posted: QueryDict) -> Draft:
    return replace(draft, guideline=posted.get("text", ""))


TYPED: dict[str, Callable[[Draft, QueryDict], Draft]] = {
    "answers": _settings(AnswersForm),
    "labels": _settings(LabelsForm),
    "responses": _responses,
    "rubric": _rubric,
    "guideline": _guideline,
}
