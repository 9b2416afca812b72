"""The bench as HTML: what a labeler sees of prompt and responses, however many and whatever they say."""

import re
from uuid import uuid4

import pytest
from django.template.loader import render_to_string
from django.utils import translation

from annotation.comparisons import drawing
from annotation.comparisons.bench import Bench, bench_for
from annotation.comparisons.models import Assignment, Comparison
from annotation.comparisons.services.queue import serve
from annotation.comparisons.stations import station_of
from annotation.projects.models import Criterion
from tests import factories

pytestmark = pytest.mark.django_db


def shown(comparison: Comparison) -> str:
    """The HTML of the bench for a labeler of the project."""
    return render_to_string("comparisons/_bench.html", {"bench": bench_of(comparison)})


def bench_of(comparison: Comparison) -> Bench:
    """The bench of a labeler to whom the comparison was leased."""
    labeler = factories.member(comparison.project)
    station = station_of(labeler=labeler, project_id=comparison.project_id)
    (lease,) = serve(station=station).leases
    return bench_for(lease, station.criteria)


def comparison_of(*texts: str, **candidate: object) -> Comparison:
    prompt = factories.prompt(factories.project())
    made = [factories.candidate(prompt, text, **candidate) for text in texts]
    return Comparison.objects.create(
        project=prompt.project, prompt=prompt, candidate_ids=sorted(one.pk for one in made)
    )


@pytest.mark.parametrize("size", [3, 4, 9])
def test_a_ranking_offers_as_many_ranks_as_there_are_responses(size):
    html = shown(factories.comparison(factories.prompt(factories.project()), size=size))
    assert len(re.findall(r'<input type="radio" name="rank-', html)) == size * size
    assert len(re.findall(r'data-row="step-', html)) == size - 1


def test_nothing_is_chosen_beforehand():
    html = shown(factories.comparison(factories.prompt(factories.project()), size=3))
    assert not re.search(r"<input[^>]*\schecked", html)


def test_a_response_cut_at_the_limit_says_so():
    html = shown(comparison_of("It goes on and", "It ends.", is_finished=False))
    assert html.count("cut at the length limit") == 2


def test_a_finished_response_says_nothing_of_limits():
    assert "length limit" not in shown(comparison_of("One.", "Two."))


def test_a_conversation_names_its_speakers_in_the_readers_language():
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Why?"},
    ]
    prompt = factories.prompt(factories.project(), turns=turns)
    with translation.override("de"):
        html = shown(factories.comparison(prompt))
    assert re.findall(r'<span class="who">(\w+)</span>', html) == [
        *("System", "Mensch", "Assistent", "Mensch")
    ]


HOSTILE = [
    '"><script>alert(1)</script>',
    "</pre></article></section><input name=overall value=1 checked>",
    "$\\text{</math><img src=x onerror=alert(1)>}$",
    '| a |\n|---|\n| <b onclick="x()">b</b> |',
    "\u202e</textarea><style>*{display:none}</style>",
    "![x](https://evil.example/pixel.png)",
]


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_response_leaves_its_card_in_no_view(attack):
    html = shown(comparison_of(attack, "Harmless."))
    tags = re.findall(r"<\s*/?\s*(\w+)", html)
    assert not {"script", "img", "style", "iframe", "link", "a", "svg"} & set(tags)
    assert tags.count("article") == tags.count("section") * 3
    assert "checked" not in re.sub(r"&lt;.*", "", html)


def drawn_twice(comparison: Comparison) -> tuple[str, str]:
    """By `drawing` and by the template."""
    bench = bench_of(comparison)
    token = uuid4().hex
    context = {"bench": bench, "csrf_token": token}
    return drawing.draw(bench, csrf_token=token), render_to_string(drawing.TEMPLATE, context)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("scale", ["two", "seven"])
@pytest.mark.parametrize("roles", [["user"], ["system", "user", "assistant", "user"]])
@pytest.mark.parametrize("language", ["en", "de"])
def test_a_bench_that_is_filled_in_is_what_the_template_draws(size, scale, roles, language):
    project = factories.project(answer_scale=scale, rationale_rule="always")
    Criterion.objects.create(project=project, name="helpful", question='Does it "help" <now>?')
    turns = [{"role": role, "content": f"{role} says *so*."} for role in roles]
    for _ in range(2):
        comparison = factories.comparison(factories.prompt(project, turns=turns), size=size)
        comparison.candidates.filter(pk=comparison.candidate_ids[0]).update(is_finished=False)
        with translation.override(language):
            drawn, expected = drawn_twice(comparison)
        assert drawn == expected
        comparison.delete()


def test_what_was_upsetting_is_veiled_however_it_is_drawn():
    comparison = comparison_of("One.", "Two.")
    comparison.overlap = 2
    comparison.save()
    bench_of(comparison)
    Assignment.objects.update(state="skipped", skip_reason="upsetting")
    drawn, expected = drawn_twice(comparison)
    assert drawn == expected
    assert 'class="veil"' in drawn


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_response_is_the_same_however_it_is_drawn(attack):
    drawn, expected = drawn_twice(comparison_of(attack, "Harmless."))
    assert drawn == expected
