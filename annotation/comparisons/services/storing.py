"""Batches of rows into tables: prompts, candidates, comparisons, labelers, judgments and signals, each once.

Each ``store_...`` is one batch, inside the caller's transaction.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Generic, NamedTuple, Protocol, TypeVar

from django.contrib.auth.hashers import make_password
from django.db.models import Case, F, Max, Value, When
from django.db.models.functions import Greatest
from django.utils import timezone

from annotation.accounts.models import User
from annotation.comparisons.models import Comparison, Judgment, Signal
from annotation.comparisons.services.pairing import Pairing, comparison_row
from annotation.core.bulk import insert_many
from annotation.core.text import fingerprint
from annotation.generation.models import Candidate
from annotation.projects.models import Project
from annotation.prompts.models import PromptImport
from annotation.prompts.readers.chats import ReadPrompt
from annotation.prompts.readers.judged import ReadComparison, ReadResponse, ReadVerdict, Tiers
from annotation.prompts.readers.rows import Row
from annotation.prompts.readers.unjudged import ReadDemonstration, ReadSignal
from annotation.prompts.services.importing import Stored, Taken
from annotation.prompts.services.storing import find_or_add

ReadRow = tuple[ReadComparison, ...]  # most rows hold one; a tree of messages holds several
Refused = list[tuple[Row, str]]
JUDGMENT_COLUMNS = (
    *("project_id", "comparison_id", "labeler_id", "client_uuid", "ranking", "strengths"),
    *("is_all_bad", "criteria", "marks", "rationale", "shown_order", "active_ms", "is_imported"),
    *("imported_guideline_version", "created_at"),
)


class Answered(Protocol):
    """What is read of a prompt and some responses to it."""

    @property
    def prompt(self) -> ReadPrompt: ...
    @property
    def responses(self) -> tuple[ReadResponse, ...]: ...


Item = TypeVar("Item", bound=Answered)


class Placed(NamedTuple, Generic[Item]):
    """What a row holds with its prompt and its candidates found: ``keys`` follow its responses."""

    row: Row
    item: Item
    prompt_id: int
    keys: tuple[int, ...]

    @property
    def candidate_ids(self) -> tuple[int, ...]:
        return tuple(sorted(self.keys))


def store_judgments(prompt_import: PromptImport, taken: Sequence[Taken[ReadRow]]) -> Stored:
    """Comparisons that are closed to the queue, and the judgments of the file."""
    project = prompt_import.project
    different, same = _compared_with_themselves(
        (one.row, item) for one in taken for item in one.item
    )
    placed = _placed(prompt_import, different)
    known = _comparisons(project, placed, _judged_comparison)
    labelers = _labelers(
        project,
        {each.labeler: each.labeler_kind for one in placed for each in one.item.verdicts},
    )
    created, contradicting = _add_judgments(project, placed, known.ids, labelers)
    return Stored(created=created, rejected=[*same, *contradicting])


def store_comparisons(
    prompt_import: PromptImport, taken: Sequence[Taken[ReadComparison]]
) -> Stored:
    """Comparisons that labelers judge here, as many of them as the project's overlap says."""
    different, same = _compared_with_themselves((one.row, one.item) for one in taken)
    placed = _placed(prompt_import, different)
    known = _comparisons(prompt_import.project, placed, _open_comparison)
    return Stored(created=known.made, rejected=same)


def store_demonstrations(
    prompt_import: PromptImport, taken: Sequence[Taken[ReadDemonstration]]
) -> Stored:
    """Responses that people wrote elsewhere: candidates for SFT, without an author here."""
    newest = Candidate.objects.aggregate(newest=Max("pk"))["newest"] or 0
    items = [(one.row, one.item) for one in taken]
    placed = _placed(prompt_import, items, Candidate.Source.DEMONSTRATION)
    return Stored(created=len({one.keys[0] for one in placed if one.keys[0] > newest}))


def store_signals(prompt_import: PromptImport, taken: Sequence[Taken[ReadSignal]]) -> Stored:
    """Single responses that were accepted or rejected; who says otherwise than before is refused."""
    project = prompt_import.project
    placed = _placed(prompt_import, [(one.row, one.item) for one in taken])
    labelers = _labelers(project, {one.item.labeler: "person" for one in taken})
    rows = Signal.objects.filter(candidate__in={one.keys[0] for one in placed})
    facts = rows.values_list("candidate_id", "labeler_id", "is_accepted")
    known = {(candidate, labeler): accepted for candidate, labeler, accepted in facts}
    new, refused = list[Signal](), Refused()
    for row, signal, prompt_id, (candidate_id,) in placed:
        labeler = labelers[signal.labeler]
        key = (candidate_id, labeler.pk)
        if key not in known:
            new.append(
                Signal(
                    project=project,
                    prompt_id=prompt_id,
                    candidate_id=candidate_id,
                    labeler=labeler,
                    is_accepted=signal.is_accepted,
                    created_at=signal.told_at or timezone.now(),
                )
            )
        if known.setdefault(key, signal.is_accepted) != signal.is_accepted:
            refused.append((row, f"{signal.labeler} said the opposite of this response before."))
    Signal.objects.bulk_create(new, ignore_conflicts=True)
    return Stored(created=len(new), rejected=refused)


def response_fingerprint(response: ReadResponse) -> str:
    """Two models may give the same text: with a named source, each has a candidate of its own."""
    return fingerprint([response.text, response.source] if response.source else [response.text])


def _compared_with_themselves(
    items: Iterable[tuple[Row, ReadComparison]],
) -> tuple[list[tuple[Row, ReadComparison]], Refused]:
    different, same = list[tuple[Row, ReadComparison]](), dict[int, Row]()
    for row, item in items:
        if len(set(item.responses)) == len(item.responses) or _are_different(item.responses):
            different.append((row, item))
        else:
            same[row.line] = row
    reason = "Two of the responses are the same; there is nothing to compare."
    kept = [(row, item) for row, item in different if row.line not in same]
    return kept, [(row, reason) for row in same.values()]


def _are_different(responses: Sequence[ReadResponse]) -> bool:
    return len(set(map(response_fingerprint, responses))) == len(responses)


def _placed(
    prompt_import: PromptImport,
    items: Sequence[tuple[Row, Item]],
    source: Candidate.Source = Candidate.Source.IMPORT,
) -> list[Placed[Item]]:
    """The items with their prompts and candidates, which are stored where they are not there yet."""
    project = prompt_import.project
    prompts = [item.prompt for _, item in items]
    prompt_ids = find_or_add(project=project, prompts=prompts, prompt_import=prompt_import)
    marks = [tuple(map(response_fingerprint, item.responses)) for _, item in items]
    wanted = {
        (prompt_id, mark): response
        for (_, item), prompt_id, each in zip(items, prompt_ids, marks, strict=True)
        for mark, response in zip(each, item.responses, strict=True)
    }
    keys = _candidate_keys(project, wanted, source)
    return [
        Placed(row, item, prompt_id, tuple(keys[prompt_id, mark] for mark in each))
        for (row, item), prompt_id, each in zip(items, prompt_ids, marks, strict=True)
    ]


def _candidate_keys(
    project: Project, wanted: Mapping[tuple[int, str], ReadResponse], source: Candidate.Source
) -> dict[tuple[int, str], int]:
    insert_many(
        Candidate,
        ("prompt_id", "fingerprint", "source_name", "text"),
        ((*key, response.source, response.text) for key, response in wanted.items()),
        project_id=project.pk,
        source=source.value,
    )
    prompt_ids = {prompt_id for prompt_id, _ in wanted}
    rows = Candidate.objects.filter(prompt_id__in=prompt_ids)
    facts = rows.values_list("prompt_id", "fingerprint", "pk")
    return {(prompt_id, mark): pk for prompt_id, mark, pk in facts}


class Known(NamedTuple):
    """The comparisons by their sets of candidates, and how many of them are new."""

    ids: dict[tuple[int, ...], int]
    made: int


Make = Callable[[Project, Placed[ReadComparison]], Comparison]


def _judged_comparison(project: Project, one: Placed[ReadComparison]) -> Comparison:
    return Comparison(
        project=project,
        prompt_id=one.prompt_id,
        candidate_ids=list(one.candidate_ids),
        overlap=0,  # as many as the file has: raised with each judgment
        state=Comparison.State.JUDGED,
        language=one.item.prompt.language,
    )


def _open_comparison(project: Project, one: Placed[ReadComparison]) -> Comparison:
    language = one.item.prompt.language
    return comparison_row(project, one.prompt_id, one.candidate_ids, Pairing(), language)


def _comparisons(project: Project, placed: Sequence[Placed[ReadComparison]], make: Make) -> Known:
    """The comparison of each set of candidates; those not there yet are made."""
    known = _known_comparisons(placed)
    new = {one.candidate_ids: one for one in placed if one.candidate_ids not in known}
    if not new:
        return Known(known, 0)
    columns = ("prompt_id", "candidate_ids", "overlap", "state", "kind", "language")
    made = (make(project, one) for one in new.values())
    read = attrgetter(*columns)
    insert_many(Comparison, columns, map(read, made), project_id=project.pk)
    known = _known_comparisons(placed)
    links = ((known[ids], candidate) for ids in new for candidate in ids)
    insert_many(Comparison.candidates.through, ("comparison_id", "candidate_id"), links)
    return Known(known, len(new))


def _known_comparisons(placed: Sequence[Placed[ReadComparison]]) -> dict[tuple[int, ...], int]:
    """Found by prompt alone: with the project named too, stale statistics send the planner through all of it."""
    rows = Comparison.objects.filter(prompt_id__in={one.prompt_id for one in placed})
    return {tuple(ids): pk for ids, pk in rows.values_list("candidate_ids", "pk")}


def labeler_username(project: Project, name: str) -> str:
    """What a labeler of an imported file is called here."""
    return f"import-{project.pk}:{name}"


def _labelers(project: Project, kinds: Mapping[str, str]) -> dict[str, User]:
    """The users that stand for labelers of a file, by name."""
    usernames = {labeler_username(project, name): name for name in kinds}
    there = {user.username: user for user in User.objects.filter(username__in=usernames)}
    User.objects.bulk_create(
        (
            User(username=username, first_name=name, kind=kinds[name], password=make_password(None))
            for username, name in usernames.items()
            if username not in there
        ),
        ignore_conflicts=True,
    )
    if len(there) < len(usernames):
        there = {user.username: user for user in User.objects.filter(username__in=usernames)}
    return {name: there[username] for username, name in usernames.items()}


def _add_judgments(
    project: Project,
    placed: Sequence[Placed[ReadComparison]],
    comparisons: dict[tuple[int, ...], int],
    labelers: dict[str, User],
) -> tuple[int, list[tuple[Row, str]]]:
    """How many rows brought a judgment, and the rows that contradict one that is there already."""
    known = _known_rankings(comparisons, labelers)
    new, created, contradicting = list[Judgment](), 0, list[tuple[Row, str]]()
    for row, group in groupby(placed, key=attrgetter("row")):
        fresh = dict[tuple[int, int], Judgment]()
        reasons = list[str]()
        for one in group:
            comparison_id = comparisons[one.candidate_ids]
            for verdict in one.item.verdicts:
                judgment = _judgment(
                    project, comparison_id, labelers[verdict.labeler], verdict, one
                )
                key = (comparison_id, judgment.labeler_id)
                twin = fresh.setdefault(key, judgment)
                if known.get(key, twin.ranking) != judgment.ranking:
                    reasons.append(_contradiction(verdict))
        if reasons:
            contradicting.append((row, " ".join(reasons)))
            continue
        fresh = {key: each for key, each in fresh.items() if key not in known}
        known |= {key: each.ranking for key, each in fresh.items()}
        new += fresh.values()
        created += bool(fresh)
    insert_many(Judgment, JUDGMENT_COLUMNS, map(attrgetter(*JUDGMENT_COLUMNS), new))
    _count(new)
    return created, contradicting


def _contradiction(verdict: ReadVerdict) -> str:
    return (
        f"{verdict.labeler} has judged these responses already, and otherwise; "
        "the first judgment is kept. Leave out one of them."
    )


def _known_rankings(
    comparisons: dict[tuple[int, ...], int], labelers: dict[str, User]
) -> dict[tuple[int, int], list[list[int]]]:
    rows = Judgment.objects.filter(
        comparison_id__in=set(comparisons.values()),
        labeler__in=labelers.values(),
        withdrawn_at=None,
    )
    facts = rows.values_list("comparison_id", "labeler_id", "ranking")
    return {(comparison, labeler): ranking for comparison, labeler, ranking in facts}


def _ranking(placed: Placed[ReadComparison], tiers: Tiers) -> list[list[int]]:
    return [sorted(placed.keys[place] for place in tier) for tier in tiers]


def _judgment(
    project: Project,
    comparison_id: int,
    labeler: User,
    verdict: ReadVerdict,
    placed: Placed[ReadComparison],
) -> Judgment:
    return Judgment(
        project=project,
        comparison_id=comparison_id,
        labeler=labeler,
        ranking=_ranking(placed, verdict.tiers),
        strengths=list(verdict.strengths),
        is_all_bad=verdict.is_all_bad,
        criteria={
            name: {"ranking": _ranking(placed, tiers), "strengths": list(strengths)}
            for name, (tiers, strengths) in verdict.criteria.items()
        },
        marks=[
            {
                "candidate": placed.keys[mark["response"]],
                "start": mark["start"],
                "end": mark["end"],
                "kind": mark["kind"],
            }
            for mark in verdict.marks
        ],
        rationale=verdict.rationale,
        shown_order=[placed.keys[place] for place in verdict.shown],
        active_ms=verdict.active_ms,
        is_imported=True,
        imported_guideline_version=verdict.guideline_version,
        created_at=verdict.judged_at or timezone.now(),
    )


def _count(judgments: Sequence[Judgment]) -> None:
    """Fill the slots of the comparisons; where there are too few, there are as many as judgments now."""
    per_comparison = Counter(judgment.comparison_id for judgment in judgments)
    for count in set(per_comparison.values()):
        keys = [key for key, many in per_comparison.items() if many == count]
        Comparison.objects.filter(pk__in=keys).update(
            overlap=Greatest(F("overlap"), F("slots_taken") + count),
            slots_taken=F("slots_taken") + count,
            judgments_counted=F("judgments_counted") + count,
            state=Case(
                When(
                    state=Comparison.State.OPEN,
                    judgments_counted__gte=F("overlap") - count,
                    then=Value(Comparison.State.JUDGED),
                ),
                default=F("state"),
            ),
        )
