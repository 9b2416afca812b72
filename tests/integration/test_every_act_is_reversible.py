"""Every act that is audited has an undo, a page on which it is reversed, or a reason why it stays."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse

from annotation.comparisons.models import ExamAttempt
from annotation.projects.models import Role
from annotation.projects.trail import UNDO_EVENTS, UNDO_PAGES, UNDO_ROUTES
from annotation.quality.models import Dispute, LabelerAct
from annotation.registry.models import ModelVersion
from tests.integration.test_permission_matrix import _declared

ACTS = LabelerAct.Kind.values
VERB = re.compile(r"[a-z]+\.[a-z_{}]+")
RECORDS = {"record", "_announce"}  # what is called with a verb first
# A verb whose end is a value: all that it can be.
TOLD = {
    "labeler.{}": [f"labeler.{one}" for one in ACTS],
    "labeler.{}_undone": [f"labeler.{one}_undone" for one in ACTS],
    "dispute.{}": [f"dispute.{one}" for one in Dispute.State.values if one != "open"],
    "exam.{}": [f"exam.{one}" for one in ExamAttempt.State.values if one != "open"],
    "model.{}": [f"model.{one}" for one in ModelVersion.Stage.values],
}
STAYS = {
    "Of a person's own account, in no project: no trail shows it. Their account page does.": {
        "labeler.preferences_saved",
        "token.created",
        "token.revoked",
        "user.created",
        "user.time_zone_set",
    },
    "Its labeler takes it back, by Z or in My work; admins decide, close or leave out instead.": {
        "assignment.skipped",
        "assignment.unskipped",
        "judgment.submitted",
        "judgment.undone",
    },
    "Its author takes it back at the desk; a reviewer returns it.": {
        "demonstration.skipped",
        "demonstration.submitted",
        "demonstration.withdrawn",
    },
    "Its author goes on by themselves while nobody else has taken the place.": {
        "demonstration.released"
    },
    "It is an undoing: what it undid is done again where it was done.": {
        f"labeler.{one}_undone" for one in ACTS
    },
    "Answers decided it; the page of the labeler gives another attempt, or lets them in.": {
        "exam.passed",
        "exam.failed",
    },
    "What was imported stays: judgments and snapshots may rest on it. One under way is cancelled.": {
        "import.cancelled",
        "import.finished",
        "import.requested",
    },
    "A snapshot never changes; another is built beside it.": {
        "snapshot.built",
        "snapshot.cancelled",
        "snapshot.requested",
    },
    "Drawn or settled by what the settings say; the settings are changed, and it is done anew.": {
        "comparisons.redrawn",
        "project.early_stop_settled",
    },
    "It was sent.": {"webhook.redelivered"},
    "Engineers cancel, resume or retire it on its page, which is theirs.": {
        "evaluation.ended",
        "evaluation.started",
        "evaluation.stopped",
        "model.registered",
        *TOLD["model.{}"],
        "playground.cancelled",
        "playground.queued",
        "round.cancelled",
        "round.done",
        "round.failed",
        "round.labels_taken",
        "round.moved",
        "round.paused",
        "round.resumed",
        "round.server_left",
        "round.started",
        "round.votes_taken",
        "run.cancelled",
        "run.finished",
        "run.queued",
        "run.resumed",
        "scores.requested",
    },
    "A run of a judge is cancelled or resumed on the page of its judge; its verdicts are left out by a rule.": {
        "judge.appointed",
        "judging.cancelled",
        "judging.queued",
        "judging.resumed",
        "revising.queued",
    },
}


def _texts(node: ast.AST) -> Iterator[str]:
    """Strings that look like verbs; a value within is {}."""
    for one in ast.walk(node):
        if isinstance(one, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in one.values]
            yield "".join(map(str, parts))
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def _verbs_of(function: ast.AST) -> Iterator[str]:
    """What the function records: the first argument, or where that is a name, what it is set to."""
    for call in ast.walk(function):
        if isinstance(call, ast.Dict):
            told = zip(call.keys, call.values, strict=True)
            yield from (
                text
                for key, value in told
                if isinstance(key, ast.Constant) and key.value == "verb"
                for text in _texts(value)
            )
        if not (isinstance(call, ast.Call) and _name(call.func) in RECORDS and call.args):
            continue
        verb = call.args[0]
        if not isinstance(verb, ast.Name):
            yield from _texts(verb)
            continue
        for one in ast.walk(function):
            if isinstance(one, ast.Assign) and verb.id in {_name(to) for to in one.targets}:
                yield from _texts(one.value)


def _name(node: ast.AST) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))


def audited() -> set[str]:
    """Every verb that the code records."""
    found = set()
    for folder in ("annotation", "workers", "deploy"):
        for path in Path(settings.BASE_DIR, folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)]
            found |= {verb for one in functions for verb in _verbs_of(one) if VERB.fullmatch(verb)}
    return {verb for one in found for verb in TOLD.get(one, [one])}


def test_every_act_has_an_undo_a_page_or_a_reason_to_stay():
    reversible = {*UNDO_EVENTS, *UNDO_ROUTES, *UNDO_PAGES}
    stays = {verb for verbs in STAYS.values() for verb in verbs}
    found = audited()
    assert len(found) > 90
    assert found - reversible - stays == set(), "Say in trail.py or here how these are reversed."
    assert (reversible | stays) - found == set(), "Nothing records these."
    assert stays & reversible == set()


@pytest.mark.parametrize(
    "name",
    sorted(
        {*UNDO_PAGES.values(), *(name for name, is_post in UNDO_ROUTES.values() if not is_post)}
    ),
)
def test_a_page_on_which_an_act_is_reversed_lets_admins_in(name):
    assert Role.ADMIN in _declared("ROUTE_ROLES")[name]["GET"]
    assert reverse(name, args=[1, 1] if name not in UNDO_PAGES.values() else [1])
