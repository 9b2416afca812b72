"""What holds for the whole API: rows belong to their project, lists have pages, a key opens what its person may see."""

import pytest
from django.core.management import CommandError, call_command

from annotation.accounts.models import ApiToken
from annotation.projects.models import Role
from tests import factories
from tests.integration.test_api_fuzz import OPERATIONS
from tests.world import World


@pytest.fixture
def mine(db) -> World:
    return World()


def test_a_row_of_another_project_is_not_taken_as_an_ingredient(mine):
    theirs = World().rows
    own = mine.rows
    spec = {"kind": "reward_model"}
    asked = {
        "comparisons": {"prompt": theirs["prompts"], "strategy": "all_pairs"},
        "generation": {"policy": theirs["models"]},
        "playground": {
            "turns": [{"role": "user", "content": "Why?"}],
            "policies": [own["models"], theirs["models"]],
        },
        "runs": {
            "name": "a",
            "spec": spec,
            "snapshot": theirs["snapshots"],
            "base_model": own["models"],
        },
    }
    root = f"/api/v1/projects/{mine.project.pk}"
    statuses = {
        thing: mine.client.post(f"{root}/{thing}/", body, format="json").status_code
        for thing, body in asked.items()
    }
    assert set(statuses.values()) <= {400, 404}, statuses


def test_following_next_gives_every_row_once(mine):
    for _ in range(6):
        factories.prompt(mine.project)
    seen, address = [], f"/api/v1/projects/{mine.project.pk}/prompts/?page_size=2"
    while address:
        page = mine.client.get(address).json()
        seen += [row["id"] for row in page["results"]]
        address = page["next"]
    assert seen == sorted(mine.project.prompts.values_list("pk", flat=True), reverse=True)


@pytest.mark.parametrize(
    "act",
    [
        ("patch", ""),
        ("patch", "agreement/exam/"),
        ("patch", "batches/{batches}/"),
        ("post", "judgments/undo/"),
    ],
)
def test_a_field_that_there_is_not_is_refused_and_named(mine, act):
    method, path = act
    address = f"/api/v1/projects/{mine.project.pk}/{path.format(**mine.rows)}"
    answer = getattr(mine.client, method)(address, {"nmae": "Typo"}, format="json")
    assert answer.status_code == 400, answer.content
    (told,) = answer.json()["error"]["fields"]["nmae"]
    assert told.startswith("There is no such field here; there are ")


@pytest.mark.parametrize(
    ("path", "body", "field", "told"),
    [
        (
            "projects/{project}/snapshots/",
            {"name": "a", "query": {"trian": 0.5}},
            "query",
            "trian: ",
        ),
        (
            "models/{model}/score/",
            {"chats": [[{"role": "user", "content": "a", "contnet": "b"}]]},
            "chats",
            "contnet: ",
        ),
    ],
)
def test_a_field_that_there_is_not_is_named_within_others_too(mine, path, body, field, told):
    address = path.format(project=mine.project.pk, model=mine.rows["models"])
    answer = mine.client.post(f"/api/v1/{address}", body, format="json")
    assert answer.status_code == 400, answer.content
    (said,) = answer.json()["error"]["fields"][field]
    assert said.startswith(f"{told}There is no such field here; there are ")
    assert not mine.project.snapshots.filter(name="a").exists()


def test_a_wrong_choice_is_told_what_may_be_chosen(mine):
    address = f"/api/v1/projects/{mine.project.pk}/models/rollback/"
    answer = mine.client.post(address, {"kind": "zzz"}, format="json")
    (told,) = answer.json()["error"]["fields"]["kind"]
    assert told == '"zzz" is not a valid choice. Choose one of policy, reward, judge.'


def test_choices_are_told_in_lists_and_in_addresses_too(mine):
    project = f"/api/v1/projects/{mine.project.pk}"
    member = factories.member(mine.project)
    answer = mine.client.put(f"{project}/members/{member.pk}/", {"roles": ["king"]}, format="json")
    assert "Choose one of labeler" in str(answer.json()["error"]["fields"])
    answer = mine.client.get(f"{project}/judgments/export/?form=zzz&file_format=csv")
    assert "Choose one of votes" in str(answer.json()["error"]["fields"]["form"])
    answer = mine.client.get(f"{project}/estimate/?promts=5")
    assert "There is no such field here; there are" in str(
        answer.json()["error"]["fields"]["promts"]
    )


def test_a_filter_that_a_list_has_not_is_refused_with_those_that_it_has(mine):
    lists = [one for one in OPERATIONS if one.method == "get" and "cursor" in one.query]
    assert len(lists) > 20
    for one in lists:
        answer = mine.client.get(f"{mine.address(one.address)}?stat=open")
        assert answer.status_code == 400, one.address
        (told,) = answer.json()["error"]["fields"]["stat"]
        named = told.removeprefix("There is no such filter here; there are ").removesuffix(".")
        assert sorted(named.split(", ")) == sorted(one.query), one.address


@pytest.mark.parametrize("size", ["x", "0", "-1", "", "²", "2.5", "9" * 30])
def test_a_size_of_page_that_is_none_is_refused(mine, size):
    answer = mine.client.get("/api/v1/projects/", {"page_size": size})
    assert answer.status_code == 400
    assert "from 1 to 200" in answer.json()["error"]["fields"]["page_size"][0]


def test_an_unknown_state_of_comparisons_is_refused(mine):
    answer = mine.client.get(f"/api/v1/projects/{mine.project.pk}/comparisons/?state=nearly")
    assert answer.status_code == 400
    assert "state" in answer.json()["error"]["fields"]


@pytest.mark.django_db
def test_the_command_prints_a_key_alone_and_it_opens_the_api(api, capsys):
    user = factories.member(factories.project(), Role.ADMIN)
    call_command("create_token", user.username, "--name", "walk")
    key = capsys.readouterr().out.strip()
    assert api.get("/api/v1/me/", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert ApiToken.objects.get(user=user).name == "walk"


@pytest.mark.django_db
def test_the_command_makes_no_key_for_nobody():
    with pytest.raises(CommandError, match="no active user 'nobody'"):
        call_command("create_token", "nobody")


@pytest.mark.parametrize("is_debugged", [False, True])
def test_a_forgotten_slash_loses_nothing_that_was_posted(client, settings, is_debugged):
    """301 would have clients send a GET without the body; 308 has them send the same again."""
    settings.DEBUG = is_debugged
    answer = client.post("/api/v1/models/7/score", {"chats": []}, content_type="application/json")
    assert (answer.status_code, answer["Location"]) == (308, "/api/v1/models/7/score/")
