"""Every state of the labeler's pages as pictures in both themes: `make pictures` writes them to var/pictures.

They are for looking, not for comparing: nothing fails where a pixel moves. What each state does is tested beside this.
"""

import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from django.db.models import F
from playwright.sync_api import BrowserContext, Route, expect

from annotation.accounts.models import User
from annotation.comparisons.models import Comparison, LabelerSettings
from annotation.demonstrations.models import Demonstration, Opening
from annotation.demonstrations.services import writing
from annotation.projects.models import Project, Role
from annotation.quality import rules
from tests import factories
from tests.browser import texts
from tests.browser.conftest import Bench

FOLDER = os.environ.get("PICTURES", "")
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not FOLDER, reason="PICTURES names no folder"),
]
STEPS = ("prompts", "responses", "rubric", "guideline", "answers", "labels", "people", "start")
SignIn = Callable[[BrowserContext, User], None]
CRITERIA = ("helpful", "honest", "harmless", "concise")
SIZES = {
    "desk": (1360, 850),
    "phone": (320, 640),
    "tablet": (768, 1024),
    "wall": (3840, 2160),
    "zoomed": (680, 425),
    "page": (1280, 1040),
}


class Stage:
    """One project, one labeler, one browser page; `picture` draws what stands on it by day and by night."""

    def __init__(self, bench: Bench, project: Project, sign_in: SignIn) -> None:
        self.bench, self.project, self.page = bench, project, bench.page
        self.sign_in = sign_in

    def go(self, path: str) -> None:
        """Open a page of the project."""
        self.page.goto(self.bench.address.replace("label/", path))

    def fill(self, *sets: texts.Set, **fields: object) -> list[Comparison]:
        return [texts.compare(self.project, one, **fields) for one in sets]

    def rubric(self) -> None:
        for position, name in enumerate(CRITERIA):
            self.project.criteria.create(
                name=name, question=f"Which is more {name}?", position=position
            )

    def set(self, **fields: object) -> None:
        Project.objects.filter(pk=self.project.pk).update(**fields)

    def picture(self, name: str, size: str = "desk", **media: str) -> None:
        width, height = SIZES[size]
        self.page.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            self.page.emulate_media(color_scheme=theme, reduced_motion="reduce", **media)
            self.page.wait_for_timeout(150)  # for a picture, the theme's script has a turn
            self.page.screenshot(path=str(Path(FOLDER) / f"{name}-{theme}.png"))


@pytest.fixture
def stage(bench, project, labeler, signed_in) -> Stage:
    Path(FOLDER).mkdir(parents=True, exist_ok=True)
    project.guidelines.create(version=3, text=texts.GUIDELINE)
    return Stage(bench, project, signed_in)


def scene(name: str, size: str = "desk", **media: str) -> Callable[..., Callable[[Stage], None]]:
    """Register a state: what brings it about, under the name of its picture."""

    def add(act: Callable[[Stage], None]) -> Callable[[Stage], None]:
        SCENES[name] = (act, size, media)
        return act

    return add


SCENES: dict[str, tuple[Callable[[Stage], None], str, dict[str, str]]] = {}


@scene("ready")
def ready(stage: Stage) -> None:
    stage.fill(texts.CODE)
    stage.bench.open()


@scene("chosen")
def chosen(stage: Stage) -> None:
    stage.rubric()
    stage.set(rationale_rule="always")
    stage.fill(texts.CODE)
    stage.bench.open()
    left = stage.bench.form.locator("[data-view=read]").first.inner_text()
    is_left = "works in place" in left  # sides are drawn by lot
    good, other = ("A", "B") if is_left else ("B", "A")
    stage.bench.press(*(("2", "1", "3") if is_left else ("6", "7", "5")))
    stage.page.keyboard.press("n")
    stage.page.keyboard.type(f"{good} names the cause; {other} invents a method.")
    stage.bench.expect_says("Draft saved")


@scene("batch")
def in_a_batch(stage: Stage) -> None:
    batch = stage.project.batches.create(
        name="Support chats of November", deadline="2099-03-05T17:00Z"
    )
    stage.fill(texts.CODE, texts.FORMULAS, batch=batch)
    stage.bench.open()
    stage.project.guidelines.create(version=4, text=texts.GUIDELINE)
    stage.bench.answer("2")
    stage.bench.expect_says("guideline has changed")


@scene("conversation")
def conversation(stage: Stage) -> None:
    stage.fill(texts.oasst("13b05b60"))
    stage.bench.open()


@scene("formulas")
def formulas(stage: Stage) -> None:
    stage.fill(texts.FORMULAS)
    stage.bench.open()


@scene("arabic")
def arabic(stage: Stage) -> None:
    stage.fill(texts.ARABIC)
    stage.bench.open()


@scene("diff")
def diff(stage: Stage) -> None:
    stage.fill(texts.NEAR)
    stage.bench.open().press("d")
    expect(stage.bench.form.locator("[data-view=diff]").first).to_be_visible()


@scene("raw")
def raw(stage: Stage) -> None:
    stage.fill(texts.CODE)
    stage.bench.open().press("r")


@scene("marks")
def marks(stage: Stage) -> None:
    stage.fill(texts.oasst("daed19ee"))
    stage.bench.open().press("r", "Tab")
    view = stage.bench.form.locator("[data-view=raw]")
    view.first.focus()
    stage.bench.press("ArrowRight", *["Shift+ArrowRight"] * 4, "+")
    view.nth(1).focus()
    stage.bench.press(*["ArrowRight"] * 7, *["Shift+ArrowRight"] * 5, "-", "r")
    stage.bench.form.evaluate(
        "(form) => getSelection().selectAllChildren(form.querySelector('[data-view=read] p'))"
    )


@scene("skip")
def skip(stage: Stage) -> None:
    stage.fill(texts.CODE)
    stage.bench.open().press("k")


@scene("flag")
def flag(stage: Stage) -> None:
    stage.fill(texts.CODE)
    stage.bench.open().press("!")
    stage.page.keyboard.type("The second stops in the middle.")


@scene("keys")
def keys(stage: Stage) -> None:
    stage.fill(texts.CODE)
    stage.bench.open().press("?")


@scene("guideline")
def guideline(stage: Stage) -> None:
    stage.fill(texts.CODE)
    stage.bench.open().press("g")


@scene("offline")
def offline(stage: Stage) -> None:
    stage.fill(texts.CODE, texts.FORMULAS, texts.NEAR)
    stage.bench.open()
    stage.page.context.set_offline(True)
    stage.bench.answer("2")
    stage.bench.expect_says("kept here")


@scene("offline-reload")
def offline_reload(stage: Stage) -> None:
    stage.fill(texts.CODE, texts.FORMULAS, texts.NEAR)
    stage.bench.open()
    stage.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    stage.page.context.set_offline(True)
    stage.bench.answer("2")
    stage.page.reload()
    expect(stage.page.locator("[data-count]")).to_have_text("1")


@scene("another")
def another(stage: Stage) -> None:
    batch = stage.project.batches.create(name="Support chats of November")
    stage.fill(texts.CODE, texts.FORMULAS, batch=batch)
    stage.bench.open()
    stage.sign_in(stage.page.context, factories.member(stage.project, username="mahnoor.siddiqui"))
    stage.bench.answer("2")
    stage.bench.expect_says("is signed in in this browser now")


@scene("loading")
def loading(stage: Stage) -> None:
    stage.fill(texts.CODE, texts.FORMULAS)
    held: list[Route] = []
    stage.page.route("**/api/**", lambda route: held.append(route))  # noqa: PLW0108 - looked into by Playwright
    stage.bench.open()
    for _ in range(2):
        stage.bench.answer("2")
    stage.bench.expect_state("loading")


@scene("refused")
def refused(stage: Stage) -> None:
    stage.rubric()
    stage.set(rationale_rule="always")
    stage.fill(texts.CODE)
    stage.bench.open().press("2", "Enter")
    stage.bench.expect_says("Say in one sentence")


@scene("lease-warning")
def lease_warning(stage: Stage) -> None:
    stage.fill(texts.CODE)
    stage.page.clock.install()
    stage.bench.open()
    stage.page.clock.fast_forward((stage.project.lease_seconds - 60) * 1000)
    stage.bench.expect_says("Little time is left")


@scene("lease-lost")
def lease_lost(stage: Stage) -> None:
    stage.fill(texts.CODE, texts.FORMULAS)
    stage.page.clock.install()
    stage.bench.open()
    stage.page.clock.fast_forward((stage.project.lease_seconds + 1) * 1000)
    stage.bench.expect_says("Your time for this comparison ended")


@scene("surplus")
def surplus(stage: Stage) -> None:
    stage.fill(texts.CODE, texts.FORMULAS, texts.NEAR)
    stage.bench.open()
    stage.project.assignments.update(state="expired", lease_until="2026-01-01T00:00Z")
    stage.project.comparisons.update(slots_taken=F("overlap"))
    stage.bench.answer("1")
    stage.bench.expect_says("kept but not counted")


@scene("signed-out")
def signed_out(stage: Stage) -> None:
    stage.fill(texts.CODE, texts.FORMULAS)
    stage.bench.open()
    stage.page.context.clear_cookies()
    stage.bench.answer("3")
    stage.bench.expect_says("You are signed out")


@scene("undone")
def undone(stage: Stage) -> None:
    stage.fill(texts.CODE, texts.FORMULAS)
    stage.bench.open()
    given = stage.bench.answer("6")
    stage.bench.expect_saved()
    stage.bench.press("z")
    stage.bench.expect_in_hand(given)


@scene("training-feedback")
def training_feedback(stage: Stage) -> None:
    stage.set(must_qualify=True)
    for row in stage.fill(texts.CODE, texts.FORMULAS, kind="gold"):
        row.known_ranking = {"ranking": [[one] for one in row.candidate_ids], "is_all_bad": False}
        row.save()
    stage.bench.open()
    stage.bench.answer("b")
    stage.bench.expect_state("feedback")


@scene("paused")
def paused(stage: Stage) -> None:
    stage.set(is_paused=True)
    stage.bench.open()


@scene("break")
def rest(stage: Stage) -> None:
    LabelerSettings.objects.create(
        labeler=stage.project.memberships.get().user, break_after_minutes=1
    )
    stage.fill(texts.CODE, texts.FORMULAS)
    stage.page.clock.install()
    stage.bench.open()
    for _ in range(4):
        stage.bench.press("s")
        stage.page.clock.run_for(20_000)
    stage.bench.answer("2")


@scene("empty")
def empty(stage: Stage) -> None:
    stage.fill(texts.CODE)
    stage.bench.open()
    stage.bench.answer("2")
    stage.bench.expect_state("empty")


@scene("upsetting")
def upsetting(stage: Stage) -> None:
    (row,) = stage.fill(texts.oasst("951cb256", 2), overlap=2)
    stage.project.assignments.create(
        comparison=row,
        labeler=factories.member(stage.project),
        state="skipped",
        skip_reason="upsetting",
        shown_order=row.candidate_ids,
        lease_until="2026-01-01T00:00Z",
    )
    stage.bench.open()


@scene("ranking")
def ranking(stage: Stage) -> None:
    stage.fill(texts.oasst("aade00fd"))
    stage.bench.open().press("2", "1", "2", "4", "3")


@scene("ranking-criteria")
def ranking_criteria(stage: Stage) -> None:
    stage.rubric()
    stage.fill(texts.oasst("89e90b65"))
    stage.bench.open().press(*"2124312131", *"1122", *"2341")


@scene("ranking-eight")
def ranking_eight(stage: Stage) -> None:
    stage.fill(texts.oasst("73df0734"))
    stage.bench.open().press("2", "1", "5", "4", "3")


@scene("phone", "phone")
def phone(stage: Stage) -> None:
    stage.fill(texts.CODE)
    stage.page.set_viewport_size({"width": 320, "height": 640})
    stage.bench.open().press("2")


@scene("phone-criteria", "phone")
def phone_criteria(stage: Stage) -> None:
    stage.rubric()
    stage.page.set_viewport_size({"width": 320, "height": 640})
    stage.fill(texts.CODE)
    stage.bench.open().press("2", "1")
    stage.page.evaluate("scrollTo(0, 1e6)")


@scene("phone-ranking", "phone")
def phone_ranking(stage: Stage) -> None:
    stage.page.set_viewport_size({"width": 320, "height": 640})
    stage.fill(texts.oasst("aade00fd"))
    stage.bench.open().press("2", "1", "2", "4", "3")


@scene("tablet", "tablet")
def tablet(stage: Stage) -> None:
    stage.page.set_viewport_size({"width": 768, "height": 1024})
    stage.rubric()
    stage.fill(texts.CODE)
    stage.bench.open().press("2")


@scene("wall", "wall")
def wall(stage: Stage) -> None:
    stage.rubric()
    stage.fill(texts.CODE)
    stage.bench.open().press("2", "1")


@scene("large-text")
def large_text(stage: Stage) -> None:
    stage.rubric()
    stage.fill(texts.CODE)
    browser = stage.page.context.new_cdp_session(stage.page)
    browser.send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})
    stage.bench.open().press("2", "1")


@scene("zoomed", "zoomed")
def zoomed(stage: Stage) -> None:
    stage.rubric()
    stage.fill(texts.CODE)
    stage.page.set_viewport_size({"width": 680, "height": 425})
    stage.bench.open().press("2", "1")


@scene("contrast", contrast="more")
def contrast(stage: Stage) -> None:
    conversation_chosen(stage)


def conversation_chosen(stage: Stage) -> None:
    stage.rubric()
    stage.fill(texts.oasst("13b05b60"))
    stage.bench.open().press("6", "5")


@scene("german")
def german(stage: Stage) -> None:
    stage.page.set_extra_http_headers({"Accept-Language": "de"})
    stage.rubric()
    stage.set(rationale_rule="always")
    stage.fill(texts.CODE)
    stage.bench.open().press("6", "5")


@scene("mirrored")
def mirrored(stage: Stage) -> None:
    stage.rubric()
    stage.fill(texts.ARABIC)
    stage.bench.open().press("2", "1")
    stage.page.evaluate("document.documentElement.dir = 'rtl'")


def write(stage: Stage, one: texts.Set, *, is_edit: bool = False) -> None:
    """The writer's desk with an opening for this chat on it."""
    row = texts.compare(stage.project, one)
    source = row.candidates.first() if is_edit else None
    Opening.objects.create(project=stage.project, prompt=row.prompt, source=source)
    stage.page.goto(stage.bench.address.replace("/label/", "/write/"))
    expect(stage.page.locator("[data-text]")).to_be_focused()


@scene("write")
def write_anew(stage: Stage) -> None:
    write(stage, texts.FORMULAS)
    stage.page.keyboard.insert_text(texts.FORMULAS.responses[0])
    expect(stage.page.locator("[data-pane=preview] math").first).to_be_visible()


@scene("write-guideline")
def write_by_the_guideline(stage: Stage) -> None:
    write(stage, texts.oasst("13b05b60"))
    stage.page.keyboard.insert_text("Look away every 20 minutes, for 20 seconds, at 20 feet.")
    stage.bench.press("Escape", "g")


@scene("edit")
def edit(stage: Stage) -> None:
    write(stage, texts.NEAR, is_edit=True)
    stage.page.locator("[data-text]").fill(texts.NEAR.responses[1])
    stage.bench.press("Escape", "d")
    expect(stage.page.locator("[data-after] ins, [data-before] del").first).to_be_visible()


@scene("edit-phone", "phone")
def edit_on_a_phone(stage: Stage) -> None:
    edit(stage)


@scene("write-empty")
def write_empty(stage: Stage) -> None:
    stage.page.goto(stage.bench.address.replace("/label/", "/write/"))


@scene("write-mine")
def write_mine(stage: Stage) -> None:
    sent(stage)
    stage.page.goto(stage.bench.address.replace("/label/", "/write/mine/"))


def sent(stage: Stage) -> Demonstration:
    """An edit that its author has sent to review."""
    row = texts.compare(stage.project, texts.NEAR)
    source = row.candidates.first()
    Opening.objects.create(project=stage.project, prompt=row.prompt, source=source)
    author = stage.project.memberships.get().user
    work = writing.lease_next(project=stage.project, author=author)
    return writing.submit(demonstration=work, client_uuid=uuid4(), text=texts.NEAR.responses[1])


def as_admin(stage: Stage) -> None:
    admin = factories.member(stage.project, Role.ADMIN, username="grace")
    stage.sign_in(stage.page.context, admin)


@scene("review")
def review(stage: Stage) -> None:
    row = sent(stage)
    as_admin(stage)
    stage.go(f"demonstrations/{row.pk}/")


@scene("ask")
def ask(stage: Stage) -> None:
    as_admin(stage)
    stage.go("demonstrations/ask/")


@scene("demonstrations")
def demonstrations(stage: Stage) -> None:
    sent(stage)
    as_admin(stage)
    stage.go("demonstrations/")


@scene("guideline-changes")
def guideline_changes(stage: Stage) -> None:
    changed = texts.GUIDELINE.replace("weighs more than", "weighs ten times").replace(
        "2. ", "2. As a rule: "
    )
    stage.project.guidelines.create(version=4, text=changed)
    as_admin(stage)
    stage.go("guideline/4/requeue/")


@scene("flags")
def flags(stage: Stage) -> None:
    rows = stage.fill(texts.CODE, texts.FORMULAS)
    notes = (
        "Both are in French.\nThe prompt is English.",
        "The second stops in the middle of a sentence.",
    )
    for row, name, note in zip(rows, ("tomasz", "ines.marques"), notes, strict=True):
        who = factories.member(stage.project, username=name)
        stage.project.flags.create(comparison=row, labeler=who, note=note)
    as_admin(stage)
    stage.go("flags/")
    stage.page.locator("[name=answer]").last.fill("Both were translated; the comparison is closed.")


@scene("rules", "page")
def quality_rules(stage: Stage) -> None:
    agreeing = [
        factories.member(stage.project, username=name) for name in ("amir", "bea", "tomasz")
    ]
    hasty = factories.member(stage.project, username="dalia")
    for row in stage.fill(*[texts.NEAR] * 24, overlap=9):
        for who in agreeing:
            factories.judgment(row, who, active_ms=48_000)
        factories.judgment(
            row, hasty, ranking=[[pk] for pk in row.candidate_ids[::-1]], active_ms=2_000
        )
    params = {"seconds": 4, "accuracy_below": 0.6}
    as_admin(stage)
    admin = User.objects.get(username="grace")
    rules.save_rule(
        project=stage.project,
        kind="too_fast",
        params=params,
        reason="Agreed with the team on Monday.",
        actor=admin,
    )
    stage.go("agreement/rules/")
    stage.page.locator("#labeler").select_option("bea")
    stage.page.locator("#exclude button").click()
    expect(stage.page.locator("#dry-run-exclude")).to_contain_text("On what was judged so far")


@scene("batches")
def batches(stage: Stage) -> None:
    stage.fill(texts.CODE, texts.FORMULAS)
    as_admin(stage)
    stage.go("batches/new/")


def at_step(step: str) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        stage.rubric()
        stage.fill(texts.CODE, texts.FORMULAS, texts.NEAR)
        as_admin(stage)
        stage.go(f"setup/{step}/")

    return act


for number, step in enumerate(STEPS, 1):
    scene(f"setup-{number}-{step}")(at_step(step))


@pytest.mark.parametrize("name", list(SCENES))
def test_a_picture_of(stage, name):
    act, size, media = SCENES[name]
    stage.page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    act(stage)
    stage.picture(name, size, **media)
