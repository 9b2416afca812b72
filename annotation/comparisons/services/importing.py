"""Judgments that a team has already: rows of a file become prompts, candidates, comparisons and judgments.

A labeler of the file becomes a user who cannot sign in, named after the project, so that a second file of the same
team adds to the same people. Nothing is stored twice: the same file again changes nothing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.contrib.auth.hashers import make_password
from django.db.models import Case, F, Value, When
from django.db.models.functions import Greatest

from annotation.accounts.models import User
from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.services.judging import ring_agreement
from annotation.core.errors import Conflict, DomainError
from annotation.core.text import fingerprint
from annotation.generation.models import Candidate
from annotation.projects.models import Project
from annotation.prompts.models import PromptImport
from annotation.prompts.readers import judged
from annotation.prompts.readers.judged import ReadComparison, ReadResponse, ReadVerdict
from annotation.prompts.readers.rows import Row
from annotation.prompts.services import importing
from annotation.prompts.services.importing import Importer, Progress, Stored, Taken
from annotation.prompts.services.storing import find_or_add

Contents = PromptImport.Contents
READERS = {Contents.PREFERENCES: judged.read_preference, Contents.JUDGMENTS: judged.read_labels}


class Placed(NamedTuple):
    """A row with its prompt and its candidates found: ``keys`` follow the row's responses."""

    row: Row
    item: ReadComparison
    prompt_id: int
    keys: tuple[int, ...]

    @property
    def candidate_ids(self) -> tuple[int, ...]:
        return tuple(sorted(self.keys))


def run_any_import(*, import_id: int, progress: Progress) -> None:
    """Take the rows of a stored file, whatever it holds."""
    prompt_import = PromptImport.objects.select_related("project", "created_by").get(pk=import_id)
    if prompt_import.contents == Contents.PROMPTS:
        importing.import_prompts(prompt_import=prompt_import, progress=progress)
    else:
        import_judgments(prompt_import=prompt_import, progress=progress)


def import_here(*, prompt_import: PromptImport, owner: str, progress: Progress) -> PromptImport:
    """Do the job in this process, as a command does: claim, take the rows, end it."""
    jobs = PromptImport.objects
    if not jobs.claim(prompt_import.pk, owner=owner):
        raise Conflict("A worker has taken this import already; follow it on its page.")

    def alive(done: int, total: int, unit: str) -> None:
        jobs.filter(pk=prompt_import.pk).update(progress_done=done, progress_total=total)
        if not jobs.renew(prompt_import.pk, owner=owner):
            raise Conflict("The import was given to a worker; follow it on its page.")
        progress(done, total, unit)

    try:
        run_any_import(import_id=prompt_import.pk, progress=alive)
    except DomainError as error:
        jobs.finish(
            prompt_import.pk, owner=owner, status=PromptImport.Status.FAILED, error=str(error)
        )
        raise
    except KeyboardInterrupt:
        jobs.finish(prompt_import.pk, owner=owner, status=PromptImport.Status.CANCELLED)
        raise
    jobs.finish(prompt_import.pk, owner=owner, status=PromptImport.Status.DONE)
    prompt_import.refresh_from_db()
    return prompt_import


def import_judgments(*, prompt_import: PromptImport, progress: Progress) -> None:
    """Take the judgments of a stored file; then agreement is measured anew."""
    importer = Importer(
        read=READERS[Contents(prompt_import.contents)],
        store=store_judgments,
        known_columns=judged.JUDGED_COLUMNS,
    )
    importing.run_import(prompt_import=prompt_import, importer=importer, progress=progress)
    ring_agreement(prompt_import.project_id)


def store_judgments(prompt_import: PromptImport, taken: Sequence[Taken[ReadComparison]]) -> Stored:
    """One batch, inside the caller's transaction: prompts, candidates, comparisons, labelers, judgments."""
    project = prompt_import.project
    different, same = _compared_with_themselves(taken)
    prompts = [one.item.prompt for one in different]
    prompt_ids = find_or_add(project=project, prompts=prompts, prompt_import=prompt_import)
    placed = _with_candidates(project, different, prompt_ids)
    comparisons = _comparisons(project, placed)
    labelers = _labelers(project, {name for one in placed for name in _names(one.item)})
    created, contradicting = _add_judgments(project, placed, comparisons, labelers)
    return Stored(created=created, rejected=[*same, *contradicting])


def response_fingerprint(response: ReadResponse) -> str:
    """Two models may give the same text: with a named source, each has a candidate of its own."""
    return fingerprint([response.text, response.source] if response.source else [response.text])


def _compared_with_themselves(
    taken: Sequence[Taken[ReadComparison]],
) -> tuple[list[Taken[ReadComparison]], list[tuple[Row, str]]]:
    different, same = list[Taken[ReadComparison]](), list[tuple[Row, str]]()
    for one in taken:
        marks = [response_fingerprint(response) for response in one.item.responses]
        if len(set(marks)) == len(marks):
            different.append(one)
        else:
            same.append(
                (one.row, "Two of the responses are the same; there is nothing to compare.")
            )
    return different, same


def _with_candidates(
    project: Project, taken: Sequence[Taken[ReadComparison]], prompt_ids: Sequence[int]
) -> list[Placed]:
    wanted = {
        (prompt_id, response_fingerprint(response)): response
        for one, prompt_id in zip(taken, prompt_ids, strict=True)
        for response in one.item.responses
    }
    Candidate.objects.bulk_create(
        (
            Candidate(
                project=project,
                prompt_id=prompt_id,
                source=Candidate.Source.IMPORT,
                source_name=response.source,
                text=response.text,
                fingerprint=mark,
            )
            for (prompt_id, mark), response in wanted.items()
        ),
        ignore_conflicts=True,
    )
    marks = {mark for _, mark in wanted}
    rows = Candidate.objects.filter(prompt_id__in=set(prompt_ids), fingerprint__in=marks)
    keys = {
        (prompt, mark): pk for prompt, mark, pk in rows.values_list("prompt", "fingerprint", "pk")
    }
    return [
        Placed(
            one.row,
            one.item,
            prompt_id,
            tuple(keys[prompt_id, response_fingerprint(each)] for each in one.item.responses),
        )
        for one, prompt_id in zip(taken, prompt_ids, strict=True)
    ]


def _comparisons(project: Project, placed: Sequence[Placed]) -> dict[tuple[int, ...], int]:
    """The comparison of each set of candidates; those not there yet are made, closed to the queue."""
    known = _known_comparisons(project, placed)
    new = {one.candidate_ids: one.prompt_id for one in placed if one.candidate_ids not in known}
    Comparison.objects.bulk_create(
        (
            Comparison(
                project=project,
                prompt_id=prompt_id,
                candidate_ids=list(ids),
                overlap=0,  # as many as the file has: raised with each judgment
                state=Comparison.State.JUDGED,
            )
            for ids, prompt_id in new.items()
        ),
        ignore_conflicts=True,
    )
    known = _known_comparisons(project, placed)
    link = Comparison.candidates.through
    link._default_manager.bulk_create(  # noqa: SLF001 - the name that Django documents
        (
            link(comparison_id=known[ids], candidate_id=candidate)
            for ids in new
            for candidate in ids
        ),
        ignore_conflicts=True,
    )
    return known


def _known_comparisons(project: Project, placed: Sequence[Placed]) -> dict[tuple[int, ...], int]:
    prompts = {one.prompt_id for one in placed}
    rows = Comparison.objects.filter(project=project, prompt_id__in=prompts)
    return {tuple(ids): pk for ids, pk in rows.values_list("candidate_ids", "pk")}


def _names(item: ReadComparison) -> list[str]:
    return [verdict.labeler for verdict in item.verdicts]


def labeler_username(project: Project, name: str) -> str:
    """What a labeler of an imported file is called here."""
    return f"import-{project.pk}:{name}"


def _labelers(project: Project, names: Iterable[str]) -> dict[str, User]:
    usernames = {labeler_username(project, name): name for name in names}
    User.objects.bulk_create(
        (
            User(username=username, first_name=name, password=make_password(None))
            for username, name in usernames.items()
        ),
        ignore_conflicts=True,
    )
    rows = User.objects.filter(username__in=usernames)
    return {usernames[user.username]: user for user in rows}


def _add_judgments(
    project: Project,
    placed: Sequence[Placed],
    comparisons: dict[tuple[int, ...], int],
    labelers: dict[str, User],
) -> tuple[int, list[tuple[Row, str]]]:
    """How many rows brought a judgment, and the rows that contradict one that is there already."""
    known = _known_rankings(comparisons, labelers)
    new, rows, contradicting = list[Judgment](), 0, list[tuple[Row, str]]()
    for one in placed:
        comparison_id = comparisons[one.candidate_ids]
        fresh = dict[int, Judgment]()
        reasons = list[str]()
        for verdict in one.item.verdicts:
            judgment = _judgment(project, comparison_id, labelers[verdict.labeler], verdict, one)
            twin = fresh.setdefault(judgment.labeler_id, judgment)
            before = known.get((comparison_id, judgment.labeler_id), twin.ranking)
            if before != judgment.ranking:
                reasons.append(_contradiction(verdict))
        if reasons:
            contradicting.append((one.row, " ".join(reasons)))
            continue
        fresh = {key: each for key, each in fresh.items() if (comparison_id, key) not in known}
        known |= {(comparison_id, key): each.ranking for key, each in fresh.items()}
        new += fresh.values()
        rows += bool(fresh)
    Judgment.objects.bulk_create(new)
    _count(new)
    return rows, contradicting


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


def _ranking(placed: Placed, verdict: ReadVerdict) -> list[list[int]]:
    return [sorted(placed.keys[place] for place in tier) for tier in verdict.tiers]


def _judgment(
    project: Project,
    comparison_id: int,
    labeler: User,
    verdict: ReadVerdict,
    placed: Placed,
) -> Judgment:
    return Judgment(
        project=project,
        comparison_id=comparison_id,
        labeler=labeler,
        ranking=_ranking(placed, verdict),
        strengths=list(verdict.strengths),
        is_all_bad=verdict.is_all_bad,
        rationale=verdict.rationale,
        is_imported=True,
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
