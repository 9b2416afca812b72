"""The steps of setting a project up: each shows a form, saves what is typed, and says what is wrong with it.

Every step posts to itself. Nothing waits for the last one: what is valid is saved when a step is left or changed, so
that the set-up can be stopped and taken up again anywhere.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from django.forms import BaseForm
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotation.accounts.authentication import person
from annotation.accounts.models import User
from annotation.comparisons.selectors import prompts_to_pair
from annotation.comparisons.services.overlap import draw_overlap_again
from annotation.core.errors import Conflict, DomainError
from annotation.core.forms import refusals_in
from annotation.core.text import with_lines
from annotation.generation import services as generation
from annotation.generation.models import SamplingPlan
from annotation.generation.selectors import planned_policies
from annotation.overview.forms import PromptsForm, ResponsesForm, aspects_in
from annotation.projects.forms import GuidelineForm, InvitePeopleForm, digest
from annotation.projects.models import Project, Role
from annotation.projects.rubric import STARTING_CRITERIA
from annotation.projects.selectors import current_guideline, members_of
from annotation.projects.services import inviting, projects, rubric
from annotation.projects.services.rubric import Aspect
from annotation.projects.settings_forms import CHOICES, AnswersForm, LabelsForm, ProjectForm
from annotation.prompts.examples import EXAMPLES
from annotation.prompts.forms import NO_FILE
from annotation.prompts.models import PromptImport
from annotation.prompts.readers.chats import RowForm
from annotation.prompts.selectors import imports_of, imports_under_way
from annotation.prompts.services import requesting
from annotation.ui import markdown

SHOWN_IMPORTS = 5
SHOWN_CHOICES = ("answer_scale", "rationale_rule", "serving_order")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a step has to show after a request: its form, whether it saved, and where it stays."""

    template: str = "overview/setup/form.html"
    form: BaseForm | None = None
    error: str = ""
    is_saved: bool = False
    stays: bool = False  # the button was about this step itself
    facts: dict[str, Any] = field(default_factory=dict)  # Any: what the template reads

    @property
    def errors(self) -> list[str]:
        """What is wrong, field by field, for those who only see the side of the page."""
        told = [self.error] if self.error else []
        if self.form is not None and self.form.is_bound:
            for name, texts in self.form.errors.items():
                label = f"{self.form.fields[name].label}: " if name in self.form.fields else ""
                told.append(f"{label}{' '.join(map(str, texts))}")
        return told


class Step(NamedTuple):
    key: str
    title: str | Promise
    why: str | Promise
    take: Callable[[HttpRequest, Project], Turn]


def _posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def invitation_link(request: HttpRequest, token: str) -> str:
    """The whole address of an invitation."""
    return request.build_absolute_uri(reverse("projects-invitation", args=[token]))


def take_prompts(request: HttpRequest, project: Project) -> Turn:
    """Import a file, or go on with what is there."""
    form = PromptsForm(_posted(request), request.FILES or None)
    facts = {
        **imports_so_far(project),
        "prompts": project.prompts.count(),
        "examples": EXAMPLES,
    }
    shown = Turn(template="overview/setup/prompts.html", form=form, facts=facts)
    if request.method != "POST" or not form.is_valid():
        return shown
    file, is_import = form.cleaned_data["file"], request.POST.get("act") == "import"
    if file is None and is_import:
        form.add_error("file", NO_FILE)
        return shown
    if file is None:
        return Turn(is_saved=True)
    try:
        requesting.request_import(
            project=project,
            chunks=file.chunks(),
            filename=file.name,
            actor=person(request),
            contents=PromptImport.Contents(form.cleaned_data["contents"] or "prompts"),
            row_form=RowForm(form.cleaned_data["row_form"] or "auto"),
        )
    except DomainError as error:
        form.add_error("file", str(error))
        return shown
    return Turn(is_saved=True, stays=is_import)


def imports_so_far(project: Project) -> dict[str, Any]:  # Any: a template's context
    """The newest imports, and whether one is under way."""
    return {
        "imports": imports_of(project)[:SHOWN_IMPORTS],
        "is_importing": imports_under_way(project).exists(),
    }


def take_responses(request: HttpRequest, project: Project) -> Turn:
    """Who answers, how, and what is compared."""
    form = ResponsesForm(_posted(request), project=project)
    facts = {"has_policy": form.offered.exists(), "candidates": project.candidates.count()}
    shown = Turn(template="overview/setup/responses.html", form=form, facts=facts)
    if request.method != "POST" or not form.is_valid():
        return shown
    with refusals_in(form):
        generation.save_plan(project=project, actor=person(request), **form.sampling())
        if pairing := form.changes().get("pairing"):
            projects.update_settings(project=project, actor=person(request), pairing=pairing)
        form.start_anew()
        return replace(shown, is_saved=True)
    return shown


def take_rubric(request: HttpRequest, project: Project) -> Turn:
    """The criteria in their order; a button adds, moves or removes one."""
    now = rubric.aspects_of(project)
    rows, error, stays = now, "", False
    if request.method == "POST":
        act = request.POST.get("act", "")
        rows, stays = arranged(aspects_in(request.POST), act), bool(act)
        try:
            named = [one for one in rows if any(one)]
            _refuse_unread(now, named, request.POST.get("opened", ""))
            rubric.set_rubric(project=project, aspects=named, actor=person(request))
        except DomainError as refusal:
            error = str(refusal)
        else:
            now = named
            if act != "add":
                return Turn(is_saved=True, stays=stays, facts={"opened": signature(now)})
    return Turn(
        template="overview/setup/rubric.html",
        error=error,
        stays=stays,
        facts={"rows": rows, "opened": signature(now)},
    )


def signature(aspects: Sequence[Aspect]) -> str:
    """Names a rubric, so that a page knows which one it was opened with."""
    return digest(json.dumps(aspects))


def _refuse_unread(now: list[Aspect], typed: list[Aspect], opened: str) -> None:
    """Refuse what was typed over a rubric that is no more, once."""
    if opened in {"", signature(now)} or typed == now:
        return
    names = ", ".join(one.name for one in now) or _("nothing")
    told = _(
        "While this page was open, somebody changed this to: %(now)s. Save again to put yours in its place."
    )
    raise Conflict(str(told % {"now": names}))


def arranged(rows: list[Aspect], act: str) -> list[Aspect]:
    """The rows after an act: ``add``, ``defaults``, or ``up``, ``down``, ``remove`` with a place (``up-2``)."""
    verb, _dash, number = act.partition("-")
    rows = list(rows)
    if verb == "add":
        return [*rows, Aspect("", "")]
    if verb == "defaults":
        return [Aspect(name, question) for name, question in STARTING_CRITERIA.items()]
    if not (number.isascii() and number.isdigit() and len(number) < 4 and int(number) < len(rows)):
        return rows
    place = int(number)
    if verb == "remove":
        return rows[:place] + rows[place + 1 :]
    other = {"up": place - 1, "down": place + 1}.get(verb, place)
    if 0 <= other < len(rows):
        rows[place], rows[other] = rows[other], rows[place]
    return rows


def take_guideline(request: HttpRequest, project: Project) -> Turn:
    """Write with a preview. Before the first label the version is changed in place; after it, a further one is made."""
    current = current_guideline(project)
    form = GuidelineForm(_posted(request), current=current)
    text = with_lines(str(form["text"].value() or ""))
    here = project.judgments.filter(is_imported=False)
    is_labeled = project.assignments.exists() or here.exists()
    facts = {
        "preview": markdown.render(text),
        "version": current.version if current else 0,
        "is_labeled": is_labeled,
    }
    template = "overview/setup/guideline.html"
    shown = Turn(template=template, form=form, facts=facts)
    stays = request.POST.get("act") == "preview"
    if request.method != "POST" or not form.is_valid():
        return shown
    if is_labeled and request.headers.get("HX-Request"):
        return Turn(template=template, form=form)  # a version is published when the step is left
    if is_labeled and (stays or text == form.initial["text"]):
        return replace(shown, is_saved=not stays, stays=stays)
    with refusals_in(form):
        _write_guideline(form, project, person(request), is_labeled=is_labeled)
        form.start_anew()
        return replace(shown, is_saved=not stays, stays=stays)
    return shown


def _write_guideline(
    form: GuidelineForm, project: Project, actor: User, *, is_labeled: bool
) -> None:
    text = form.cleaned_data["text"]
    if is_labeled:
        version = form.cleaned_data["from_version"]
        projects.publish_guideline(project=project, text=text, from_version=version, actor=actor)
    else:
        was = form.current.text if form.current else ""
        projects.amend_guideline(project=project, text=text, from_text=was, actor=actor)


def settings_step(shape: type[ProjectForm]) -> Callable[[HttpRequest, Project], Turn]:
    """A step that is a part of the project's settings."""

    def take(request: HttpRequest, project: Project) -> Turn:
        shown = Project.objects.get(pk=project.pk)  # the form writes on it while it validates
        form = shape(_posted(request), instance=shown)
        if request.method != "POST" or not form.is_valid():
            return Turn(form=form)
        with refusals_in(form):
            projects.update_settings(project=project, actor=person(request), **form.changes())
            form.start_anew()
            return Turn(form=form, is_saved=True)
        return Turn(form=form)

    return take


def take_labels(request: HttpRequest, project: Project) -> Turn:
    """How many labels, also for comparisons that are there already and nobody was given."""
    before = project.overlap, project.overlap_share
    turn = settings_step(LabelsForm)(request, project)
    if turn.is_saved and (project.overlap, project.overlap_share) != before:
        draw_overlap_again(project=project, actor=person(request))
    return turn


def take_people(request: HttpRequest, project: Project) -> Turn:
    """Invite by mail; nobody, if no address is typed."""
    form = InvitePeopleForm(_posted(request), needs_addresses=False)
    facts = {"has_mail": inviting.has_mail(), "members": members_of(project)}
    template = "overview/setup/people.html"
    if request.method != "POST" or not form.is_valid():
        return Turn(template=template, form=form, facts=facts)
    if not form.cleaned_data["addresses"]:
        return Turn(is_saved=True)
    facts["sent"] = inviting.invite_people(
        project=project,
        addresses=form.cleaned_data["addresses"],
        role=Role(form.cleaned_data["role"]),
        languages=form.cleaned_data["languages"],
        actor=person(request),
        link_of=lambda token: invitation_link(request, token),
    )
    form = InvitePeopleForm(needs_addresses=False)
    return Turn(template=template, form=form, facts=facts, is_saved=True, stays=True)


def take_start(request: HttpRequest, project: Project) -> Turn:
    """What is set up, what lacks, and the button that starts it."""
    plan = SamplingPlan.objects.filter(project=project).first()
    facts = {
        **imports_so_far(project),
        "prompts": project.prompts.count(),
        "plan": plan,
        "policies": planned_policies(plan) if plan else (),
        "waiting": prompts_to_pair(project).count(),
        "comparisons": project.comparisons.count(),
        "criteria": project.criteria.all(),
        "guideline": current_guideline(project),
        "choices": {name: dict(CHOICES[name])[getattr(project, name)] for name in SHOWN_CHOICES},
        "labelers": project.memberships.filter(role=Role.LABELER).count(),
        "invited": project.invitations.filter(accepted_at=None, revoked_at=None).count(),
    }
    return Turn(
        template="overview/setup/start.html", facts=facts, is_saved=request.method == "POST"
    )


STEPS = (
    Step("prompts", _("Prompts"), _("What the models are asked."), take_prompts),
    Step(
        "responses",
        _("Responses"),
        _("Who answers, and which answers are compared."),
        take_responses,
    ),
    Step("rubric", _("Rubric"), _("The aspects that labelers judge, one by one."), take_rubric),
    Step("guideline", _("Guideline"), _("What labelers follow when they judge."), take_guideline),
    Step(
        "answers",
        _("Answers"),
        _("What a labeler may say, and how fast."),
        settings_step(AnswersForm),
    ),
    Step(
        "labels",
        _("Labels"),
        _("How many, of which, and how labelers are tested."),
        take_labels,
    ),
    Step("people", _("People"), _("Who labels. You can invite more at any time."), take_people),
    Step("start", _("Start"), _("What is set up, and the button that begins."), take_start),
)
KEYS = [step.key for step in STEPS]


def step_named(key: str) -> Step | None:
    """The step with this key; None where there is none."""
    return next((step for step in STEPS if step.key == key), None)


def step_after(key: str) -> str:
    """The key of the next step; of the last, itself."""
    return KEYS[min(KEYS.index(key) + 1, len(KEYS) - 1)]


def step_before(key: str) -> str:
    """The key of the step before; empty for the first."""
    place = KEYS.index(key)
    return KEYS[place - 1] if place else ""
