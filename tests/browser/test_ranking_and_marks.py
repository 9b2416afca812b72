"""Rankings of several responses by key and by drag, and marks in their texts, as a browser does them."""

import re

import pytest
from playwright.sync_api import expect

from annotation.comparisons.models import Comparison, Judgment
from tests import factories
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)
SMILE = "😀 Call `sort()` first, then **print** the list. Call it once."
GOOD = "Call it once"


def compare(project, *texts: str, content: str = "") -> Comparison:
    prompt = factories.prompt(project, content)
    made = [factories.candidate(prompt, text) for text in texts]
    return Comparison.objects.create(
        project=project, prompt=prompt, candidate_ids=sorted(one.pk for one in made)
    )


def shown(bench) -> list[int]:
    """Candidate ids in the order on the screen."""
    cards = bench.form.locator("[data-candidate]").all()
    return [int(card.get_attribute("data-candidate")) for card in cards]


def gaps(bench) -> list[str]:
    """What the visible gaps say; "?" for an open one."""
    return bench.form.evaluate(
        "(form) => [...form.querySelectorAll('.gap:not([hidden])')]"
        ".map((gap) => gap.querySelector(':checked')?.value ?? '?')"
    )


def stored() -> Judgment:
    eventually(lambda: Judgment.objects.count() == 1)
    return Judgment.objects.get()


def drag(bench, letter: str, place: int) -> None:
    token = bench.form.locator(".token", has_text=letter).bounding_box()
    lane = bench.form.locator(f"[data-lane='{place}']").bounding_box()
    mouse = bench.page.mouse
    mouse.move(token["x"] + 8, token["y"] + 8)
    mouse.down()
    mouse.move(token["x"] + 30, token["y"] + 6)
    mouse.move(lane["x"] + lane["width"] / 2, lane["y"] + lane["height"] / 2)
    mouse.up()


@pytest.fixture
def four(bench, project):
    """The bench with four responses on it."""
    compare(project, "One.", "Two.", "Three.", "Four.\n\n" * 40)
    bench.page.set_viewport_size({"width": 1360, "height": 900})
    bench.open()
    expect(bench.form.locator("[data-board]")).to_be_visible()
    return bench


def test_four_responses_are_ranked_by_keyboard_alone(four, complaints):
    a, b, c, d = shown(four)
    four.press("2", "1", "2", "4")
    assert gaps(four) == ["?", "?"]
    four.press("3", "1")
    assert gaps(four) == ["3", "1"]
    four.submit()
    judgment = stored()
    assert judgment.ranking == [[b], sorted([a, c]), [d]]
    assert judgment.strengths == [3, 1]
    assert complaints == []


def test_a_ranking_is_not_sent_before_it_is_whole(four):
    four.press("1", "2", "3", "Enter")
    four.expect_says("Give response D a rank first")
    assert Judgment.objects.count() == 0


def test_a_step_between_tiers_is_asked_again_when_one_of_them_changes(four):
    four.press("1", "2", "3", "4", "3", "2", "1")
    assert gaps(four) == ["3", "2", "1"]
    four.form.locator("[data-candidate]").nth(3).focus()
    four.press("3")
    assert gaps(four) == ["3", "?"]


def test_a_scale_of_one_step_asks_for_no_strength(bench, project):
    project.answer_scale = "three"
    project.save()
    compare(project, "One.", "Two.", "Three.")
    bench.open().press("1", "2", "3")
    assert gaps(bench) == []
    bench.submit()
    assert stored().strengths == [1, 1]


def test_zero_takes_a_rank_back_and_arrows_move_between_cards(four):
    four.press("1", "2")
    four.form.locator("[data-candidate]").first.focus()
    four.press("ArrowRight", "0")
    expect(four.form.locator(".ranks input:checked")).to_have_count(1)
    expect(four.form.locator(".tray .token")).to_have_count(3)


def test_letters_are_ranked_by_drag(four):
    for letter, place in (("A", 2), ("B", 1), ("C", 2), ("D", 3), ("D", 4)):
        drag(four, letter, place)
    ranks = four.form.locator(".ranks input:checked").all()
    assert [one.get_attribute("value") for one in ranks] == ["2", "1", "2", "4"]
    assert gaps(four) == ["?", "?"]


def test_every_rank_of_four_responses_is_in_sight_at_1360_by_900(four):
    boxes = [one.bounding_box() for one in four.form.locator(".ranks label, [data-submit]").all()]
    assert len(boxes) == 17
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 1360 for box in boxes)
    assert all(box["y"] >= 0 and box["y"] + box["height"] <= 900 for box in boxes)


@pytest.fixture
def rubric(project) -> list[str]:
    """Four criteria, the first asked first."""
    names = ["helpful", "honest", "harmless", "concise"]
    for position, name in enumerate(names):
        project.criteria.create(name=name, question=f"Which is more {name}?", position=position)
    return names


def test_every_rank_of_four_responses_is_in_sight_below_a_long_prompt_and_above_four_criteria(
    bench, project, rubric
):
    compare(project, "One.", "Two.", "Three.", "Four.\n\n" * 40, content="A long question. " * 200)
    bench.page.set_viewport_size({"width": 1360, "height": 900})
    bench.open()
    expect(bench.form.locator("[data-board]")).to_be_visible()
    boxes = [one.bounding_box() for one in bench.form.locator(".ranks label").all()]
    bar = bench.form.locator(".bar").bounding_box()
    assert len(boxes) == 16
    assert all(box["y"] >= 0 and box["y"] + box["height"] <= bar["y"] for box in boxes)
    assert bar["y"] + bar["height"] <= 900


def test_four_responses_above_four_criteria_show_eight_lines_of_each(bench, project, rubric):
    compare(project, *(f"{number}\n\n" * 40 for number in ("One.", "Two.", "Three.", "Four.")))
    bench.page.set_viewport_size({"width": 1360, "height": 850})
    bench.open()
    expect(bench.form.locator("[data-board]")).to_be_visible()
    lines = bench.form.evaluate(
        """(form) => [...form.querySelectorAll("[data-candidate]")].map((card) => {
            const line = parseFloat(getComputedStyle(card.querySelector("article")).lineHeight);
            return (card.clientHeight - card.querySelector("header").offsetHeight) / line;
        })"""
    )
    assert len(lines) == 4
    assert min(lines) >= 8


def test_criteria_of_a_ranking_are_answered_by_keyboard_alone(bench, project, rubric, complaints):
    compare(project, "One.", "Two.", "Three.")
    bench.open()
    a, b, c = shown(bench)
    bench.press("1", "2", "2", "3")  # the verdict: A, then B = C, much better
    bench.press("3", "1", "1")  # helpful: B = C, and two places on A
    bench.press("1", "2", "3", "ArrowLeft", "0", "2")  # honest: taken back, and given again
    expect(bench.form.locator("[data-criterion=helpful] output")).to_have_text(
        re.compile(r"^\w = \w ›› \w$")
    )
    bench.submit()
    judgment = stored()
    assert judgment.ranking == [[a], sorted([b, c])]
    assert judgment.criteria == {
        "helpful": {"ranking": [sorted([b, c]), [a]], "strengths": [2]},
        "honest": {"ranking": [[a], sorted([b, c])], "strengths": [1]},
    }
    assert complaints == []


def test_equal_ranks_of_a_criterion_are_read_by_their_letters(bench, project, rubric):
    """Whatever the numbers of the candidates are, which may follow the models of a file."""
    compare(project, "One.", "Two.", "Three.", "Four.", "Five.")
    bench.open()
    bench.page.evaluate(
        """() => document.querySelectorAll("[data-candidate]").forEach((card, at) => {
            const [old, made] = [card.dataset.candidate, String(900 - at)];
            document.querySelectorAll(`[data-rank="${old}"]`).forEach((one) => { one.dataset.rank = made; });
            card.dataset.candidate = made;
        })"""
    )
    for cell in bench.form.locator("[data-criterion=helpful] select").all():
        cell.select_option("1")
    expect(bench.form.locator("[data-criterion=helpful] output")).to_have_text("A = B = C = D = E")


def test_a_criterion_that_ranks_only_some_is_not_sent(bench, project, rubric):
    compare(project, "One.", "Two.", "Three.")
    bench.open().press("1", "1", "1", "2", "Enter")
    bench.expect_says("Rank every response under “Helpful”, or none")
    assert Judgment.objects.count() == 0
    bench.press("Backspace", "ArrowLeft", "0").submit()
    assert stored().criteria == {}


def choose(bench, phrase: str) -> None:
    """Choose a phrase in the rendered response that holds it, as a mouse does."""
    bench.form.evaluate(
        """(form, phrase) => {
          for (const view of form.querySelectorAll('[data-view="read"]')) {
            const walker = document.createTreeWalker(view, NodeFilter.SHOW_TEXT);
            for (let node = walker.nextNode(); node; node = walker.nextNode()) {
              const at = node.data.indexOf(phrase);
              if (at < 0) continue;
              getSelection().setBaseAndExtent(node, at, node, at + phrase.length);
              return;
            }
          }
        }""",
        phrase,
    )


@pytest.fixture
def pair(bench, project):
    """The bench with two responses, one of them with a sign beyond the sixteen bits of a script's string."""
    compare(project, SMILE, "Nothing.")
    return bench.open()


def marked(judgment: Judgment) -> list[tuple[str, str]]:
    return [(SMILE[one["start"] : one["end"]], one["kind"]) for one in judgment.marks]


def test_a_mark_is_stored_by_the_characters_of_the_raw_text(pair, complaints):
    choose(pair, GOOD)
    pair.form.locator("[data-mark=good]").click()
    choose(pair, "print")
    pair.press("-")
    expect(pair.form.locator(".mark")).to_have_count(2)
    pair.press("2").submit()
    assert marked(stored()) == [("print", "wrong"), (GOOD, "good")]
    assert complaints == []


def test_words_are_chosen_and_marked_by_keys_in_the_raw_text(pair):
    pair.press("r")
    pair.form.locator("[data-candidate]", has_text="Call").locator("[data-view=raw]").focus()
    pair.press("ArrowRight", "ArrowRight", "Shift+ArrowRight", "+")
    expect(pair.form.locator(".mark")).to_have_count(1)
    pair.press("2").submit()
    (phrase, kind), *_others = marked(stored())
    assert "Call" in phrase
    assert kind == "good"


def test_the_key_of_the_raw_text_leads_into_it_and_a_mark_without_words_says_how_to_choose(pair):
    pair.press("+")
    pair.expect_says("First choose the words to mark")
    pair.press("r", "ArrowRight", "+")
    expect(pair.form.locator(".mark")).to_have_count(1)


def test_after_a_mark_the_arrows_go_on_from_there(pair):
    pair.press("r")
    pair.form.locator("[data-candidate]", has_text="Call").locator("[data-view=raw]").focus()
    pair.press("ArrowRight", "+", "ArrowRight", "-")
    expect(pair.form.locator(".mark")).to_have_count(2)


def test_words_that_the_raw_text_says_otherwise_are_marked_there(pair):
    view = pair.form.locator("[data-view=read]", has_text="Call")
    view.evaluate("(view) => getSelection().selectAllChildren(view)")
    pair.press("+")
    pair.expect_says("press R and mark them there")
    expect(pair.form.locator(".mark")).to_have_count(0)


def test_a_mark_in_the_word_diff_is_led_to_the_raw_text(bench, project):
    compare(project, "Call it twice, then stop.", "Call it once, then stop.")
    bench.open().press("d")
    expect(bench.form.locator("[data-view=diff]").first).to_be_visible()
    bench.press("+")
    bench.expect_says("press R and mark them there")


def test_marks_come_back_with_the_draft_and_can_be_removed(pair):
    pair.page.clock.install()
    choose(pair, GOOD)
    pair.press("+")
    pair.page.clock.fast_forward(2_500)
    pair.expect_says("Draft saved")
    pair.page.reload()
    expect(pair.form.locator(".mark")).to_have_count(1)
    pair.form.get_by_role("button", name="Remove the mark").click()
    expect(pair.form.locator(".mark")).to_have_count(0)
    assert pair.form.locator("[data-marks]").input_value() == "[]"


def test_a_hostile_text_comes_alive_in_no_view(bench, project, complaints):
    attack = (
        '<img src=x onerror="window.hurt=1">\n\n[a](javascript:hurt=1) ![b](/pixel.png) '
        "$\\text{<script>hurt=1</script>}$"
    )
    compare(project, attack, "Calm.")
    bench.open()
    asked: list[str] = []
    bench.page.on("request", lambda request: asked.append(request.url))
    bench.press("r", "r", "d")
    choose(bench, "a")
    bench.press("+")
    assert bench.form.locator(":is(img, script, a, style, iframe)").count() == 0
    assert bench.page.evaluate("window.hurt") is None
    assert not [url for url in asked if "pixel" in url or url.endswith("/x")]
    assert complaints == []
