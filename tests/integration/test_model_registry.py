"""Models are registered after a look, promoted one at a time, and know where they came from."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from safetensors.torch import save_file

from annotation.audit.models import AuditEvent
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.storage import sha256_of
from annotation.generation.models import GenerationRun, PlaygroundRun
from annotation.projects.models import Role
from annotation.registry import services
from annotation.registry.models import ModelVersion
from annotation.registry.selectors import serving, words
from tests import factories

pytestmark = pytest.mark.django_db
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "generating.md"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def registered(project, actor, **fields):
    return services.register_version(
        **{
            "project": project,
            "kind": "policy",
            "name": "sft",
            "location": "/m",
            "actor": actor,
            **fields,
        }
    )


def added(project, actor, **fields):
    return services.add_model(
        **{
            "project": project,
            "kind": "policy",
            "name": "base",
            "backend": "local",
            "location": "/m",
            "actor": actor,
            **fields,
        }
    )


def test_versions_of_a_name_are_numbered_in_order(project, engineer):
    numbers = [registered(project, engineer).number for _ in range(2)]
    other = registered(project, engineer, name="ppo").number
    assert (numbers, other) == ([1, 2], 1)


def test_promoting_a_version_retires_the_one_that_served(project, engineer):
    first, second = registered(project, engineer), registered(project, engineer)
    services.promote(version=first, actor=engineer)
    services.promote(version=second, actor=engineer)
    first.refresh_from_db()
    assert (first.stage, serving(project=project, kind="policy")) == ("retired", second)


def test_promotion_is_in_the_audit_trail_with_what_it_replaced(project, engineer):
    first, second = registered(project, engineer), registered(project, engineer)
    services.promote(version=first, actor=engineer)
    services.promote(version=second, actor=engineer)
    verbs = AuditEvent.objects.filter(verb__in=["model.serving", "model.retired"])
    trail = list(verbs.order_by("pk").values_list("verb", "object_id"))
    assert trail == [
        ("model.serving", first.pk),
        ("model.retired", first.pk),
        ("model.serving", second.pk),
    ]


def test_a_reward_model_does_not_replace_a_policy(project, engineer):
    policy = registered(project, engineer)
    services.promote(version=policy, actor=engineer)
    services.promote(
        version=registered(project, engineer, kind="reward", name="rm"), actor=engineer
    )
    assert serving(project=project, kind="policy") == policy


def test_rollback_brings_back_the_version_that_served_before(project, engineer):
    first, second = registered(project, engineer), registered(project, engineer)
    services.promote(version=first, actor=engineer)
    services.promote(version=second, actor=engineer)
    services.rollback(project=project, kind="policy", actor=engineer)
    assert serving(project=project, kind="policy") == first


def test_the_way_back_names_the_policy_it_leads_to(client, project, engineer):
    client.force_login(engineer)
    page = f"/projects/{project.pk}/models/"
    first, second = registered(project, engineer), registered(project, engineer)
    services.promote(version=first, actor=engineer)
    assert "Return" not in client.get(page).content.decode()
    services.promote(version=second, actor=engineer)
    assert f"Return to {first}</button>" in client.get(page).content.decode()


def test_only_the_page_of_what_serves_has_the_way_back(client, project, engineer):
    client.force_login(engineer)
    first, second = registered(project, engineer), registered(project, engineer)
    services.promote(version=first, actor=engineer)
    assert "Return" not in client.get(f"/projects/{project.pk}/models/{first.pk}/").text
    services.promote(version=second, actor=engineer)
    assert "Return" not in client.get(f"/projects/{project.pk}/models/{first.pk}/").text
    page = client.get(f"/projects/{project.pk}/models/{second.pk}/").text
    assert f"Return to {first}</button>" in page


def test_after_the_serving_policy_is_retired_the_way_back_leads_to_the_one_before_it(
    client, project, engineer
):
    client.force_login(engineer)
    _, second, third = (registered(project, engineer) for _ in range(3))
    for one in project.model_versions.order_by("pk"):
        services.promote(version=one, actor=engineer)
    services.promote(version=third, stage="retired", actor=engineer)
    page = client.get(f"/projects/{project.pk}/models/").text
    assert f"Return to {second}</button>" in page
    services.rollback(project=project, kind="policy", actor=engineer)
    assert serving(project=project, kind="policy") == second


def two_served(project, actor):
    first, second = registered(project, actor), registered(project, actor, name="m")
    for one in (first, second):
        services.promote(version=one, actor=actor)
    return first, second


def test_the_way_back_pressed_in_two_tabs_leads_back_once(client, project, engineer):
    client.force_login(engineer)
    first, _ = two_served(project, engineer)
    page = client.get(f"/projects/{project.pk}/models/").text
    field = f'name="version" value="{first.pk}"'
    assert field in page
    pressed = {"kind": "policy", "version": first.pk}
    rollback = reverse("registry-rollback", args=[project.pk])
    assert f"{first} serves now" in client.post(rollback, pressed, follow=True).text
    late = client.post(rollback, pressed, follow=True).text
    assert f"{first} serves already" in late
    assert serving(project=project, kind="policy") == first


def test_a_way_back_that_leads_elsewhere_by_now_changes_nothing(client, project, engineer):
    client.force_login(engineer)
    first, _ = two_served(project, engineer)
    third = registered(project, engineer, name="third")
    services.promote(version=third, actor=engineer)
    pressed = {"kind": "policy", "version": first.pk}
    page = client.post(reverse("registry-rollback", args=[project.pk]), pressed, follow=True).text
    assert f"Somebody was faster: {third} serves now" in page
    assert serving(project=project, kind="policy") == third


def test_a_rollback_over_the_api_may_name_where_it_is_to_lead(api, project, engineer):
    api.force_authenticate(engineer)
    first, second = two_served(project, engineer)
    rollback = reverse("api-model-rollback", args=[project.pk])
    named = {"kind": "policy", "expected": first.pk}
    assert api.post(rollback, named).data["id"] == first.pk
    assert api.post(rollback, named).status_code == 409
    assert serving(project=project, kind="policy") == first
    assert api.post(rollback, {"kind": "policy"}).data["id"] == second.pk


def test_rollback_with_nothing_before_says_what_to_do(project, engineer):
    services.promote(version=registered(project, engineer), actor=engineer)
    with pytest.raises(Conflict, match="promote one instead"):
        services.rollback(project=project, kind="policy", actor=engineer)


def test_a_folder_with_config_and_safetensors_is_registered(project, engineer, folder):
    version = added(project, engineer, location=str(folder))
    assert (version.location, version.stage) == (str(folder), "candidate")


@pytest.mark.parametrize("kept", ["runs/7/artifact", "cache/0a1b", "models/../runs/7/artifact"])
def test_what_a_run_of_any_project_made_is_not_registered_by_its_path(
    project, engineer, folder, settings, kept
):
    settings.CONCORD_VAR = folder
    (folder / "models").mkdir()
    made = (folder / kept).resolve()
    made.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(folder / name, made)
    for place in (folder / kept, folder / "runs" / "none"):  # whether it is there is not told
        with pytest.raises(InvalidInput, match="keeps what its runs make"):
            added(project, engineer, location=str(place))


def test_only_what_a_run_made_has_a_sha256_on_its_page_and_in_the_api(
    client, project, engineer, folder
):
    client.force_login(engineer)
    by_hand = added(project, engineer, location=str(folder))
    made = registered(project, engineer, sha256="5f" * 32)
    for version, is_known in ((by_hand, False), (made, True)):
        page = client.get(reverse("registry-model", args=[project.pk, version.pk])).text
        found = client.get(reverse("api-model-detail", args=[project.pk, version.pk])).json()
        assert ("<dt>sha256</dt>" in page, found["sha256"]) == (is_known, version.sha256)


def test_the_sha256_of_a_folder_is_what_the_guide_computes_and_tells_a_changed_byte(folder):
    program = GUIDE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]

    def computed():
        command = [sys.executable, "-c", program]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)

    before = sha256_of(str(folder))
    assert computed().stdout.strip() == before
    (folder / "model.safetensors").write_bytes(b"other")
    assert computed().stdout.strip() == sha256_of(str(folder)) != before


def weights(folder, tensors, architecture):
    """A file of weights with these shapes, and the config that goes with it."""
    said = {"model_type": "llama", "architectures": [architecture]}
    (folder / "config.json").write_text(json.dumps(said))
    zeros = {name: torch.zeros(shape) for name, shape in tensors.items()}
    save_file(zeros, folder / "model.safetensors")
    return str(folder)


def test_a_policy_is_refused_as_a_reward_model_with_what_it_looks_like(project, engineer, tmp_path):
    location = weights(tmp_path, {"model.norm.weight": [4]}, "LlamaForCausalLM")
    with pytest.raises(InvalidInput, match=r"no head that scores .*LlamaForCausalLM.* as a policy"):
        added(project, engineer, kind="reward", location=location)
    assert added(project, engineer, location=location).kind == "policy"


@pytest.mark.parametrize("head", ["score.weight", "classifier.weight"])
def test_a_folder_with_a_head_that_scores_is_a_reward_model_and_no_policy(
    project, engineer, tmp_path, head
):
    location = weights(tmp_path, {head: [1, 4]}, "LlamaForSequenceClassification")
    assert added(project, engineer, kind="reward", location=location).kind == "reward"
    with pytest.raises(InvalidInput, match="Register it as a reward model"):
        added(project, engineer, location=location)


def test_the_head_may_lie_in_any_of_the_files(project, engineer, tmp_path):
    weights(tmp_path, {"model.norm.weight": [4]}, "LlamaForSequenceClassification")
    save_file({"score.weight": torch.zeros(1, 4)}, tmp_path / "model-2.safetensors")
    assert added(project, engineer, kind="reward", location=str(tmp_path)).kind == "reward"


def test_a_classifier_of_several_labels_is_no_reward_model(project, engineer, tmp_path):
    location = weights(tmp_path, {"classifier.weight": [3, 4]}, "BertForSequenceClassification")
    with pytest.raises(InvalidInput, match=r"has the shape \[3, 4\]"):
        added(project, engineer, kind="reward", location=location)


@pytest.mark.parametrize(
    "content",
    [
        *[b"", b"\x02\0\0\0\0\0\0\0[]", (2**62).to_bytes(8, "little") + b"{}"],
        (40_000).to_bytes(8, "little") + b"[" * 40_000,
        (26).to_bytes(8, "little") + b'{"score.weight": "nothing"}',
    ],
)
def test_weights_that_are_none_are_refused_as_a_reward_model(project, engineer, folder, content):
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"as safetensors|no head that scores"):
        added(project, engineer, kind="reward", location=str(folder))


def test_the_page_says_of_what_nobody_ever_loaded_that_it_is_untried(client, project, engineer):
    client.force_login(engineer)
    version = added(project, engineer, location="nobody/never")
    page = reverse("registry-model", args=[project.pk, version.pk])
    assert "No worker has loaded it yet" in client.get(page).text
    assert "Promote untried: let it serve" in client.get(page).text
    play = PlaygroundRun.objects.create(
        project=project,
        turns=[],
        policy_ids=[version.pk],
        status="done",
        answers={str(version.pk): {"text": None, "reason": "There is no such model."}},
    )
    assert "No worker has loaded it yet" in client.get(page).text
    play.answers = {str(version.pk): {"text": "Hello.", "reason": ""}}
    play.save()
    assert "No worker has loaded it yet" not in client.get(page).text
    assert "Promote: let it serve" in client.get(page).text


def test_a_model_that_answered_or_was_trained_from_is_not_untried(client, project, engineer):
    client.force_login(engineer)
    asked = added(project, engineer, location="nobody/asked")
    run = GenerationRun.objects.create(project=project, policy=asked)
    factories.candidate(factories.prompt(project), run=run, policy=asked)
    trained = added(project, engineer, location="nobody/trained")
    made = factories.policy(project, parent=trained)
    for version in (asked, trained, made):
        page = client.get(reverse("registry-model", args=[project.pk, version.pk])).text
        assert "No worker has loaded it yet" not in page


def test_a_hub_name_is_registered_as_it_is(project, engineer):
    location = "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert added(project, engineer, location=location).location == location


def test_pickled_weights_are_refused(project, engineer, folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InvalidInput, match="pickles"):
        added(project, engineer, location=str(folder))


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("/no/such/folder", "not a folder that can be read"),
        ("models", "neither a full path"),
        ("a\x00b", "no NUL"),
        ("", "1 to 500"),
    ],
)
def test_a_location_without_a_model_is_refused_with_a_sentence(
    project, engineer, location, sentence
):
    with pytest.raises(InvalidInput, match=sentence):
        added(project, engineer, location=location)


def test_a_broken_config_is_refused(project, engineer, folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(InvalidInput, match="cannot be read as JSON"):
        added(project, engineer, location=str(folder))


@pytest.mark.parametrize(
    "location",
    [
        *[
            "file:///etc/passwd",
            "ftp://host/v1",
            "http://",
            "http://me:secret@host/v1",
            "http://[::1",
        ],
        *["http://169.254.169.254/v1", "http://[fe80::1]/v1", "http://[::ffff:169.254.169.254]/v1"],
        *["http://0.0.0.0/v1", "http://224.0.0.1/v1"],
        *["http://2852039166/v1", "http://0xA9FEA9FE/v1", "http://169.254.43518/v1"],
    ],
)
def test_only_plain_web_addresses_are_servers(project, admin, location):
    with pytest.raises(InvalidInput):
        added(project, admin, backend="http", location=location, remote_model="m")


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "sk-123", "REDIS_URL"])
def test_only_key_variables_may_be_sent_to_a_server(project, admin, name):
    with pytest.raises(InvalidInput, match="_API_KEY"):
        added(
            project, admin, backend="http", location="http://h/v1", remote_model="m",
            api_key_variable=name,
        )  # fmt: skip


def test_an_admin_registers_a_server_and_an_engineer_promotes_it(api, project, engineer, admin):
    made = api.post(
        reverse("api-model-list", args=[project.pk]),
        {
            "kind": "policy",
            "name": "vllm",
            "backend": "http",
            "location": "http://127.0.0.1:9000/v1/",
            "remote_model": "tiny",
        },
        format="json",
    )
    assert (made.status_code, made.data["location"]) == (201, "http://127.0.0.1:9000/v1")
    api.force_authenticate(engineer)
    moved = api.post(
        reverse("api-model-stage", args=[project.pk, made.data["id"]]), {"stage": "serving"}
    )
    assert (moved.status_code, moved.data["stage"]) == (200, "serving")


def test_the_api_names_the_field_that_is_wrong(api, project, engineer):
    api.force_authenticate(engineer)
    answer = api.post(reverse("api-model-list", args=[project.pk]), {"kind": "oracle"})
    assert answer.status_code == 400
    assert {"kind", "name", "location"} <= set(answer.json()["error"]["fields"])


def test_a_model_of_another_project_is_not_found(api, project, engineer):
    theirs = factories.policy(factories.project())
    api.force_authenticate(engineer)
    assert api.get(reverse("api-model-detail", args=[project.pk, theirs.pk])).status_code == 404
    stage = reverse("api-model-stage", args=[project.pk, theirs.pk])
    assert api.post(stage, {"stage": "serving"}).status_code == 404


def test_an_admin_reads_models_but_does_not_promote(api, project):
    api.force_authenticate(factories.member(project, Role.ADMIN))
    version = factories.policy(project)
    assert api.get(reverse("api-model-detail", args=[project.pk, version.pk])).status_code == 200
    stage = reverse("api-model-stage", args=[project.pk, version.pk])
    assert api.post(stage, {"stage": "serving"}).status_code == 403


def test_the_page_of_a_model_shows_its_chain_back_to_the_snapshot(client, project, engineer):
    base = factories.policy(project, name="base")
    lineage = {
        "snapshot": {"id": 7, "name": "autumn", "sha256": "abc", "rows": 1200},
        "judgments": {"count": 1440},
        "judgments_by_kind": {"person": 1400, "machine": 40},
        "guideline_versions": [1, 2],
        "base_model": {"id": base.pk, "name": "base", "number": 1},
        "spec": {"learning_rate": 0.1},
    }
    metrics = {"reward_before": 0.1, "reward_after": 0.4, "accuracy": {"value": 2 / 3, "n": 9}}
    version = registered(project, engineer, parent=base, lineage=lineage, metrics=metrics)
    client.force_login(engineer)
    page = client.get(reverse("registry-model", args=[project.pk, version.pk])).content.decode()
    snapshot = reverse("datasets-snapshot", args=[project.pk, 7])
    assert f'<a href="{snapshot}">autumn · 1,200 prompts · sha256 abc</a>' in page
    assert "1,440 (1,400 person, 40 machine)" in page
    assert "All 1 setting<" in page
    assert "<td>Sides with people on held-out pairs</td><td>0.6667</td><td></td><td>9</td>" in page
    assert "<td>+0.3</td>" in page
    assert "base v1" in page


def queries_of(client, url):
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def test_the_list_costs_the_same_for_one_and_for_many_models(client, project, engineer):
    client.force_login(engineer)
    url = reverse("registry-models", args=[project.pk])
    parent = factories.policy(project)
    for_one = queries_of(client, url)
    for _ in range(10):
        factories.policy(project, parent=parent)
    assert queries_of(client, url) == for_one <= 9


def test_the_form_keeps_what_was_typed_and_says_what_is_wrong(client, project, engineer):
    client.force_login(engineer)
    page = client.post(
        reverse("registry-model-new", args=[project.pk]),
        {"name": "mine", "kind": "policy", "backend": "local", "location": "/no/such"},
    )
    assert page.status_code == 400
    assert "not a folder that can be read" in page.content.decode()
    assert 'value="mine"' in page.content.decode()


def test_promoting_from_the_page_says_what_follows(client, project, engineer):
    version = registered(project, engineer)
    client.force_login(engineer)
    stage = reverse("registry-model-stage", args=[project.pk, version.pk])
    page = client.post(stage, {"stage": "serving"}, follow=True)
    assert "the next generation run uses it" in page.content.decode()
    assert ModelVersion.objects.get(pk=version.pk).stage == "serving"


def test_a_long_list_in_a_lineage_is_cut():
    assert words(list(range(25))).endswith("18, 19 and 5 more")
