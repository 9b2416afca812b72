"""The admin's search by words looks through so many comparisons at once, however many there are."""

import json
from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.comparisons import searching
from tests import factories

pytestmark = pytest.mark.django_db
MANY, AT_ONCE = 20_000, 1_000


def named(project, *texts):
    return [factories.comparison(factories.prompt(project, text)) for text in texts]


def found(client, project, **asked):
    page = client.get(reverse("comparisons-list", args=[project.pk]), asked)
    return [one.pk for one in page.context["listed"]], page


def test_words_are_found_among_the_newest_and_then_further_back(
    client, admin, project, monkeypatch
):
    """Five comparisons, two at once: the newest two, the two before them, the oldest."""
    monkeypatch.setattr(searching, "LOOKED_THROUGH", 2)
    rows = named(project, "a Fox", "a hen", "the fox", "a cow", "a fox!")
    keys = [one.pk for one in rows]
    seen, page = found(client, project, search="FOX")
    assert seen == [keys[4]]
    assert f"Looked through 2, back to comparison {keys[3]}." in page.text
    assert f"?search=FOX&amp;below={keys[3]}" in page.text
    seen, page = found(client, project, search="FOX", below=keys[3])
    assert seen == [keys[2]]
    seen, page = found(client, project, search="FOX", below=keys[1])
    assert seen == [keys[0]]
    assert f"Looked through 1 more, back to comparison {keys[0]}. There are no older" in page.text
    assert "Look further back" not in page.text
    seen, page = found(client, project, search="hen")
    assert seen == []
    assert "None of those looked through has these words; older ones may." in page.text


def test_a_page_of_found_ones_goes_on_below_its_last(client, admin, project, monkeypatch):
    monkeypatch.setattr("annotation.comparisons.views.PAGE_SIZE", 2)
    keys = [one.pk for one in named(project, "fox 1", "fox 2", "a hen", "fox 3")]
    seen, page = found(client, project, search="fox")
    assert seen == [keys[3], keys[1]]
    assert f"Looked through 3, back to comparison {keys[1]}." in page.text
    assert found(client, project, search="fox", below=keys[1])[0] == [keys[0]]


def test_a_number_is_found_wherever_it_is(client, admin, project, monkeypatch):
    monkeypatch.setattr(searching, "LOOKED_THROUGH", 1)
    old, new = named(project, "a fox", "a hen")
    new.prompt.turns[0]["content"] = f"hens like {old.pk} and {new.pk}"
    new.prompt.save()
    assert found(client, project, search=str(old.pk))[0] == [old.pk, new.pk]
    assert found(client, project, search=str(new.pk))[0] == [new.pk]


def test_filters_hold_and_other_projects_are_not_found(client, admin, project):
    open_one, closed = named(project, "a fox", "the fox")
    closed.state = "closed"
    closed.save()
    [other] = named(factories.project(), "a fox")
    assert found(client, project, search="fox", state="open")[0] == [open_one.pk]
    assert found(client, project, search=str(other.pk))[0] == []
    elsewhere = reverse("comparisons-list", args=[other.project_id])
    assert client.get(elsewhere, {"search": "fox"}).status_code == 404


def test_a_search_reads_no_more_than_it_looks_through(client, admin, project, monkeypatch):
    monkeypatch.setattr(searching, "LOOKED_THROUGH", AT_ONCE)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO prompts_prompt (project_id, turns, fingerprint, external_id, category, tags, language, source,"
            " license, created_at) SELECT %s, %s, i, '', '', '{}', '', '', '', now() FROM generate_series(1, %s) i",
            [project.pk, json.dumps([{"role": "user", "content": "a hen"}]), MANY],
        )
        cursor.execute(
            "INSERT INTO comparisons_comparison (project_id, prompt_id, candidate_ids, kind, language, state, priority,"
            " overlap, slots_taken, judgments_counted, created_at) SELECT project_id, id, ARRAY[2 * id, 2 * id + 1],"
            " 'normal', '', 'open', 0, 1, 0, 0, now() FROM prompts_prompt WHERE project_id = %s",
            [project.pk],
        )
        cursor.execute("ANALYZE prompts_prompt, comparisons_comparison")
    with CaptureQueriesContext(connection) as asked:
        seen, _page = found(client, project, search="zzz")
    assert seen == []
    [looking] = [one["sql"] for one in asked if "zzz" in (one["sql"] or "").lower()]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {looking}")
        plan = cursor.fetchone()[0]
    nodes = list(nodes_of((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))
    assert not [one for one in nodes if one["Node Type"] == "Seq Scan"]
    read = Counter()
    for one in nodes:
        read[one.get("Relation Name")] += rows_of(one)
    assert (read["comparisons_comparison"], read["prompts_prompt"]) == (AT_ONCE, AT_ONCE)


def nodes_of(plan):
    yield plan
    for one in plan.get("Plans", ()):
        yield from nodes_of(one)


def rows_of(node):
    """Read by a node, be they kept or filtered out."""
    return (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
