"""Publishing a constitution, and appointing a judge under one: both are kept as they are, for good."""

import math
from collections.abc import Mapping, Sequence

from django.contrib.auth.hashers import make_password
from django.db import transaction

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.text import canonical
from annotation.generation.sampling import HOTTEST, LARGEST_SEED, MOST_TOKENS
from annotation.judges.models import Constitution, Judge
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion
from annotation.registry.servers import check_may_be_asked

MOST_PRINCIPLES, MOST_REPEATS = 40, 9
LONGEST_TITLE, LONGEST_PRINCIPLE, LONGEST_NAME = 80, 2_000, 80
WORD_TOKENS, REASON_TOKENS = 16, 512  # what a verdict needs
JUDGING = (ModelVersion.Kind.POLICY, ModelVersion.Kind.JUDGE)


@transaction.atomic
def publish_constitution(
    *, project: Project, principles: Sequence[Mapping[str, str]], actor: User
) -> Constitution:
    """Add the next version; judges keep the version they were given."""
    checked = _principles(principles)
    Project.objects.select_for_update().get(pk=project.pk)  # versions follow each other
    newest = Constitution.objects.filter(project=project).order_by("-version").first()
    if newest and newest.principles == checked:
        raise Conflict(f"This is word for word version {newest.version}; nothing was published.")
    constitution = Constitution.objects.create(
        project=project,
        version=newest.version + 1 if newest else 1,
        principles=checked,
        created_by=actor,
    )
    record("constitution.published", constitution, actor=actor, version=constitution.version)
    return constitution


@transaction.atomic
def appoint_judge(  # noqa: PLR0913 - what a judge is made of
    *,
    project: Project,
    name: str,
    model: ModelVersion,
    constitution: Constitution | None = None,
    style: str = Judge.Style.WORD,
    temperature: float = 0.0,
    repeats: int = 1,
    max_tokens: int = 0,
    seed: int = 17,
    actor: User,
) -> Judge:
    """Make a labeler that is this model under a constitution (the newest); ``max_tokens`` 0 suits the style."""
    name = canonical(name)
    _check_name(project, name)
    constitution = constitution or _newest(project)
    _check_model(project, model, constitution)
    _check_asking(style, temperature, repeats, max_tokens, seed)
    judge = Judge.objects.create(
        project=project,
        name=name,
        labeler=_labeler(project, name, model, constitution),
        model=model,
        constitution=constitution,
        style=style,
        temperature=temperature,
        repeats=repeats,
        max_tokens=max_tokens or (WORD_TOKENS if style == Judge.Style.WORD else REASON_TOKENS),
        seed=seed,
        created_by=actor,
    )
    facts = {"model": model.pk, "constitution": constitution.version, "name": name}
    record("judge.appointed", judge, actor=actor, **facts)
    return judge


def _principles(sent: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    rows = [
        {"title": canonical(one.get("title", "")), "text": canonical(one.get("text", ""))}
        for one in sent
    ]
    rows = [one for one in rows if one["title"] or one["text"]]
    if not 1 <= len(rows) <= MOST_PRINCIPLES:
        raise InvalidInput.at(
            "principles",
            f"A constitution has 1 to {MOST_PRINCIPLES} principles; {len(rows)} were sent.",
        )
    for number, one in enumerate(rows, start=1):
        _check_principle(number, one["title"], one["text"])
    if len({one["title"] for one in rows}) < len(rows):
        raise InvalidInput.at("principles", "Two principles have the same title; rename one.")
    return rows


def _check_principle(number: int, title: str, text: str) -> None:
    if not (title and text):
        raise InvalidInput.at(
            "principles", f"Principle {number} needs a title and a sentence; one of them is empty."
        )
    if len(title) > LONGEST_TITLE or len(text) > LONGEST_PRINCIPLE or "\x00" in title + text:
        raise InvalidInput.at(
            "principles",
            f"Principle {number} has a title of {len(title)} and a text of {len(text)} characters; at most "
            f"{LONGEST_TITLE} and {LONGEST_PRINCIPLE}, and no NUL.",
        )


def _check_name(project: Project, name: str) -> None:
    if not 1 <= len(name) <= LONGEST_NAME or "\x00" in name:
        raise InvalidInput.at("name", f"The judge needs a name of 1 to {LONGEST_NAME} characters.")
    if Judge.objects.filter(project=project, name=name).exists():
        raise InvalidInput.at(
            "name", f"There is a judge {name!r} already; a judge never changes, so name a new one."
        )


def _newest(project: Project) -> Constitution:
    newest = Constitution.objects.filter(project=project).order_by("-version").first()
    if newest is None:
        raise Conflict("This project has no constitution yet; publish its principles first.")
    return newest


def _check_model(project: Project, model: ModelVersion, constitution: Constitution) -> None:
    if model.project_id != project.pk or model.kind not in JUDGING:
        raise InvalidInput.at("model", f"{model} is no policy or judge model of this project.")
    check_may_be_asked(model, field="model")
    if constitution.project_id != project.pk:
        raise InvalidInput.at("constitution", "Choose a constitution of this project.")


def _check_asking(style: str, temperature: float, repeats: int, max_tokens: int, seed: int) -> None:
    if style not in Judge.Style:
        known = ", ".join(Judge.Style.values)
        raise InvalidInput.at("style", f"There is no style {style[:40]!r}; choose one of {known}.")
    if not (math.isfinite(temperature) and 0 <= temperature <= HOTTEST):
        raise InvalidInput.at(
            "temperature", f"temperature is {temperature}; it lies from 0 to {HOTTEST:g}."
        )
    bounds = {
        "repeats": (repeats, 1, MOST_REPEATS),
        "max_tokens": (max_tokens, 0, MOST_TOKENS),
        "seed": (seed, 0, LARGEST_SEED),
    }
    for name, (value, low, high) in bounds.items():
        if not low <= value <= high:
            raise InvalidInput.at(name, f"{name} is {value}; it lies from {low} to {high}.")
    if repeats > 1 and temperature == 0:
        raise InvalidInput.at(
            "repeats", "At temperature 0 every repeat says the same; raise it, or ask once."
        )


def _labeler(project: Project, name: str, model: ModelVersion, constitution: Constitution) -> User:
    """The user that the verdicts belong to; nobody can sign in as it."""
    user = User(
        username=f"judge-{project.pk}:{name}",
        first_name=name,
        kind=User.Kind.MACHINE,
        rule=f"{model} under constitution version {constitution.version}",
        password=make_password(None),
    )
    user.save()
    return user
