"""The loop at a glance: what each step of a project has so far, and what to do next. Reads every app, owns no table."""

from collections.abc import Callable
from typing import NamedTuple

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Count, Q, Sum
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.accounts.models import User
from annotation.comparisons.batches import labels_of
from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.pace import Forecast, forecast_of
from annotation.comparisons.progress import progress_ahead
from annotation.comparisons.selectors import flags_in
from annotation.comparisons.services import queue
from annotation.comparisons.stations import Station, station_of
from annotation.datasets.models import DatasetSnapshot
from annotation.demonstrations.models import Demonstration
from annotation.generation.models import Candidate
from annotation.projects.models import Project, Role
from annotation.projects.selectors import usable_invitations
from annotation.prompts.models import Prompt
from annotation.quality.selectors import open_disputes
from annotation.registry.models import ModelVersion
from annotation.runs.models import TrainingRun


class Counts(NamedTuple):
    """How much each step of the loop has."""

    prompts: int
    candidates: int
    comparisons: int
    open_comparisons: int
    labels_wanted: int  # on comparisons that are neither withdrawn nor gold
    labels_given: int
    judgments: int
    snapshots: int
    runs: int
    versions: int


# Gold and repeats change other counts than the rest does: they would tell labelers which of their answers was which.
KEPT_FROM_LABELERS = ("open_comparisons", "labels_given", "judgments")


class NextStep(NamedTuple):
    """One thing to do now: a sentence, and where to do it (nowhere if one can only wait)."""

    role: Role
    title: str
    why: str
    path: str = ""
    label: str = ""


class Overview(NamedTuple):
    """What somebody is told of a project; a count is None where their role does not see it."""

    counts: dict[str, int | None]
    next_steps: list[NextStep]
    forecast: Forecast | None


def overview_of(project: Project, user: User, roles: frozenset[Role]) -> Overview:
    """The project as this person sees it. Who only labels has no forecast: its end moves with what is left."""
    counts = counts_of(project)
    steps = next_steps(project, counts, user, roles)
    seen: dict[str, int | None] = dict(counts._asdict())
    if roles == {Role.LABELER}:
        return Overview(seen | dict.fromkeys(KEPT_FROM_LABELERS), steps, None)
    return Overview(seen, steps, forecast_from(project, counts))


def counts_of(project: Project) -> Counts:
    """Each by the index of its project, those of comparisons in one pass."""
    waiting = Q(state=Comparison.State.OPEN) & ~Q(kind=Comparison.Kind.GOLD)
    counted = ~Q(state=Comparison.State.CLOSED) & ~Q(kind=Comparison.Kind.GOLD)
    comparisons = Comparison.objects.filter(project=project).aggregate(
        total=Count("pk"),
        unjudged=Count("pk", filter=waiting),
        wanted=Sum(labels_of(), filter=counted, default=0),
        given=Sum("judgments_counted", filter=counted, default=0),
    )
    return Counts(
        prompts=Prompt.objects.filter(project=project).count(),
        candidates=Candidate.objects.filter(project=project).count(),
        comparisons=comparisons["total"],
        open_comparisons=comparisons["unjudged"],
        labels_wanted=comparisons["wanted"],
        labels_given=comparisons["given"],
        judgments=Judgment.objects.filter(project=project, withdrawn_at=None).count(),
        snapshots=DatasetSnapshot.objects.filter(project=project).count(),
        runs=TrainingRun.objects.filter(project=project).count(),
        versions=ModelVersion.objects.filter(project=project).count(),
    )


def next_steps(
    project: Project, counts: Counts, user: User, roles: frozenset[Role]
) -> list[NextStep]:
    """What each role that this person holds should do now."""
    steps: dict[Role, Callable[[], NextStep]] = {
        Role.LABELER: lambda: _for_labeler(counts, project, user),
        Role.ADMIN: lambda: _for_admin(counts, project),
        Role.ENGINEER: lambda: _for_engineer(counts),
    }
    return [step() for role, step in steps.items() if role in roles]


def forecast_from(project: Project, counts: Counts) -> Forecast | None:
    """When the last label that is wanted comes, at the present pace; None before the first comparison."""
    if not counts.labels_wanted:
        return None
    return forecast_of(project, left=max(0, counts.labels_wanted - counts.labels_given))


class Waiting(NamedTuple):
    """Something that waits for an admin's answer, and where it is."""

    label: str
    path: str


def waiting_for_admins(project: Project) -> list[Waiting]:
    """Flags, disputes and demonstrations that nobody answered yet; three counts."""
    submitted = Demonstration.State.SUBMITTED
    reviews = Demonstration.objects.filter(project=project, state=submitted).count()
    flags = flags_in(project, state="open").count()
    disputes = open_disputes(project).count()
    found = [
        (flags, ngettext("%(count)s flag", "%(count)s flags", flags), "flags/"),
        (
            disputes,
            ngettext("%(count)s dispute", "%(count)s disputes", disputes),
            "agreement/disputes/",
        ),
        (
            reviews,
            ngettext(
                "%(count)s demonstration to review", "%(count)s demonstrations to review", reviews
            ),
            "demonstrations/?state=submitted",
        ),
    ]
    return [
        Waiting(text % {"count": intcomma(count)}, path) for count, text, path in found if count
    ]


def _written(counts: Counts) -> dict[str, str]:
    """As sentences have them: 8,000."""
    return {name: intcomma(count) for name, count in counts._asdict().items()}


def _for_labeler(counts: Counts, project: Project, user: User) -> NextStep:
    station = station_of(labeler=user, project_id=project.pk)
    if paused := queue.why_paused(station):
        return NextStep(Role.LABELER, _("Labeling is paused"), paused.message)
    why = _why_label(station)
    if not why:
        why = _nothing_to_label(counts)
        return NextStep(Role.LABELER, _("Nothing to label right now"), why)
    return NextStep(Role.LABELER, _("Label comparisons"), why, "label/", _("Start labeling"))


def _why_label(station: Station) -> str:
    """What waits for this labeler, as their labeling page counts it; empty where nothing does."""
    if station.is_in_training:
        return _("You begin with training comparisons. Read the guideline, then choose the better.")
    ahead = progress_ahead(
        project_id=station.project.pk,
        labeler=station.member.user,
        languages=queue.languages_of(station.member),
    )
    count, more = ahead.remaining, "+" if ahead.is_more else ""
    why = ngettext(
        "%(count)s comparison waits for you. Read the guideline, then choose the better.",
        "%(count)s comparisons wait for you. Read the guideline, then choose the better.",
        count,
    )
    return why % {"count": f"{intcomma(count)}{more}"} if count else ""


def _nothing_to_label(counts: Counts) -> str:
    if counts.open_comparisons:
        return queue.EmptyQueue(reason=queue.EmptyReason.YOURS_DONE).message
    return _("Every comparison has its judgments, or none has been made yet. New ones appear here.")


def _for_admin(counts: Counts, project: Project) -> NextStep:
    if not counts.prompts:
        why = _("Everything starts with prompts, or with judgments that you have already.")
        return NextStep(Role.ADMIN, _("Import prompts"), why, "prompts/import/", _("Import a file"))
    if not counts.candidates:
        why = _(
            "%(prompts)s prompts have no responses yet. A generation run samples them."
        ) % _written(counts)
        return NextStep(
            Role.ADMIN, _("Ask for candidates"), why, "generation/", _("Generate candidates")
        )
    if not counts.comparisons:
        return _before_the_first_comparison(counts, project)
    if not counts.judgments:
        return _before_the_first_label(counts, project)
    why = _(
        "%(judgments)s judgments so far. See whether people agree before you train on them."
    ) % _written(counts)
    return NextStep(Role.ADMIN, _("Read the agreement"), why, "agreement/", _("Open agreement"))


def _before_the_first_comparison(counts: Counts, project: Project) -> NextStep:
    if project.run_groups.filter(paired_at=None).exists():
        why = _("%(candidates)s candidates wait for those of other policies that answer.")
        title, label = _("Wait for all policies"), _("Open candidates")
        return NextStep(Role.ADMIN, title, why % _written(counts), "generation/", label)
    why = _("%(candidates)s candidates wait to be compared.") % _written(counts)
    return NextStep(Role.ADMIN, _("Make comparisons"), why, "comparisons/", _("Make comparisons"))


def _before_the_first_label(counts: Counts, project: Project) -> NextStep:
    labelers = project.memberships.filter(role=Role.LABELER, paused_at=None).count()
    invited = (
        0 if labelers else usable_invitations().filter(project=project, role=Role.LABELER).count()
    )
    if invited:
        why = _(
            "%(comparisons)s comparisons wait. Invitations that labelers can accept: %(invited)s."
        )
        why = why % {"comparisons": intcomma(counts.comparisons), "invited": intcomma(invited)}
        return NextStep(
            Role.ADMIN, _("Wait for who is invited"), why, "settings/members/", _("Open members")
        )
    if not labelers:
        why = _("%(comparisons)s comparisons wait for labelers.") % _written(counts)
        return NextStep(
            Role.ADMIN, _("Invite labelers"), why, "settings/members/", _("Invite by link")
        )
    why = _("%(comparisons)s comparisons wait. Labelers who may begin: %(labelers)s.")
    why = why % {"comparisons": intcomma(counts.comparisons), "labelers": intcomma(labelers)}
    return NextStep(
        Role.ADMIN, _("Wait for the first label"), why, "settings/members/", _("Open members")
    )


def _for_engineer(counts: Counts) -> NextStep:
    if not counts.judgments:
        why = _("Training needs judgments; labelers have given none so far.")
        return NextStep(Role.ENGINEER, _("Wait for judgments"), why)
    if not counts.snapshots:
        why = _("%(judgments)s judgments can become an immutable dataset.") % _written(counts)
        return NextStep(
            Role.ENGINEER, _("Build a snapshot"), why, "datasets/", _("Build a snapshot")
        )
    if not counts.runs:
        why = _("A snapshot is ready. Start with a reward model.")
        return NextStep(Role.ENGINEER, _("Start a run"), why, "runs/", _("Start a run"))
    why = _("Runs: %(runs)s. Model versions: %(versions)s. Compare before and after.") % _written(
        counts
    )
    return NextStep(Role.ENGINEER, _("Look at the models"), why, "models/", _("Open models"))
