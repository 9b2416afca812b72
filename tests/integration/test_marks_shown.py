"""What labelers marked in a response is seen by admins: on Items, where they adjudicate, on a comparison's page."""

import pytest
from django.urls import reverse

from annotation.comparisons.marked import marked_in
from annotation.quality import services
from tests import factories

pytestmark = pytest.mark.django_db
HOSTILE = '<script>alert("é😀")</script>\r\n& more'


@pytest.fixture
def comparison(project):
    prompt = factories.prompt(project)
    row = factories.comparison(prompt)
    first = row.candidates.get(pk=row.candidate_ids[0])
    first.text = HOSTILE
    first.save(update_fields=["text"])
    return row


def marked(comparison, labeler, start, end, kind, **fields):
    one = {"candidate": comparison.candidate_ids[0], "start": start, "end": end, "kind": kind}
    return factories.judgment(comparison, labeler, marks=[one], **fields)


def test_overlapping_marks_are_drawn_in_pieces_and_all_text_is_escaped(comparison):
    """Characters 0 to 16 good, 14 to 19 wrong: 0-14 good, 14-16 both, 16-19 wrong; the smiling face is one of them."""
    ada, ben = factories.user("ada"), factories.user("<b>ben")
    given = [marked(comparison, ada, 0, 16, "good"), marked(comparison, ben, 14, 19, "wrong")]
    found = marked_in(comparison.candidate_ids[0], HOSTILE, given)
    assert found.html == (
        '<pre class="raw" dir="auto">\n'
        '<mark class="good" title="good: ada">&lt;script&gt;alert(</mark>'
        '<mark class="good wrong" title="good: ada; wrong: &lt;b&gt;ben">&quot;é</mark>'
        '<mark class="wrong" title="wrong: &lt;b&gt;ben">😀&quot;)</mark>'
        "&lt;/script&gt;&#13;\n&amp; more</pre>"
    )
    assert [tuple(one) for one in found.phrases] == [
        ("ada", "good", '<script>alert("é'),
        ("<b>ben", "wrong", '"é😀")'),
    ]


def test_what_is_withdrawn_or_beyond_the_text_marks_nothing(comparison):
    gone = marked(comparison, None, 0, 5, "good", withdrawn_at="2026-01-01T00:00Z")
    beyond = marked(comparison, None, 500, 600, "good")
    assert marked_in(comparison.candidate_ids[0], HOSTILE, [gone, beyond]) is None


def test_equal_marks_of_several_are_one_piece_and_all_are_counted(comparison):
    people = [factories.user(name) for name in ("ada", "ben", "cleo")]
    given = [marked(comparison, one, 1, 7, "wrong") for one in people]
    found = marked_in(comparison.candidate_ids[0], HOSTILE, given)
    assert found.total == 3
    assert found.html.count("<mark") == 1
    assert 'title="wrong: ada; wrong: ben; wrong: cleo">script</mark>' in found.html


@pytest.mark.parametrize("route", ["quality-items", "quality-comparison", "comparisons-detail"])
def test_the_pages_of_admins_show_the_marks(project, client, admin, comparison, route):
    marked(comparison, factories.user("ada"), 1, 7, "wrong")
    services.catch_up(project=project)
    keys = [project.pk] if route == "quality-items" else [project.pk, comparison.pk]
    text = client.get(reverse(route, args=keys)).text
    assert '&lt;<mark class="wrong" title="wrong: ada">script</mark>&gt;' in text
    assert "<b>ada</b> wrong “script”" in text
    assert "<script>alert" not in text
