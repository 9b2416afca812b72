"""What rows of a file speak of, found or stored: their prompts, their responses as candidates, their labelers."""

from collections.abc import Collection, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from django.contrib.auth.hashers import make_password

from annotation.accounts.models import User
from annotation.core.bulk import copy_rows, new_keys
from annotation.core.statements import run
from annotation.core.text import fingerprint
from annotation.generation.models import Candidate
from annotation.projects.models import Project
from annotation.prompts.models import PromptImport
from annotation.prompts.readers.chats import ReadPrompt
from annotation.prompts.readers.judged import SAME_RESPONSES, ReadComparison, ReadResponse
from annotation.prompts.readers.rows import Row, RowRefused
from annotation.prompts.services.storing import chat_fingerprint, find_or_add

WITHOUT_ID = "The prompt is taken without an id."
Wanted = tuple[int, str]  # a prompt and the fingerprint of a response to it


class Answered(Protocol):
    """What is read of a prompt and some responses to it."""

    @property
    def prompt(self) -> ReadPrompt: ...
    @property
    def responses(self) -> tuple[ReadResponse, ...]: ...


Item = TypeVar("Item", bound=Answered)


class Spoken(NamedTuple, Generic[Item]):
    """What a row holds, with the fingerprints of its prompt and of its responses."""

    item: Item
    mark: str
    marks: tuple[str, ...]


def spoken(item: Item) -> Spoken[Item]:
    """The item with its fingerprints, which take time: they are made here and nowhere else."""
    marks = [response_fingerprint(one) for one in item.responses]
    return Spoken(item, chat_fingerprint(item.prompt.turns), tuple(marks))


def compared(item: ReadComparison) -> Spoken[ReadComparison]:
    """The same for responses that are compared. Raises RowRefused where two of them are the same."""
    found = spoken(item)
    if len(set(found.marks)) < len(found.marks):
        raise RowRefused(SAME_RESPONSES)
    return found


class Placed(NamedTuple, Generic[Item]):
    """What a row holds with its prompt and its candidates found: ``keys`` follow its responses."""

    row: Row
    item: Item
    prompt_id: int
    keys: tuple[int, ...]
    candidate_ids: tuple[int, ...]  # sorted
    is_new: bool  # the prompt was not there, so nothing else of the row was


class Candidates(NamedTuple):
    """The candidates that rows speak of, and which of them are new."""

    keys: Mapping[Wanted, int]
    new: Collection[Wanted]


def response_fingerprint(response: ReadResponse) -> str:
    """Two models may give the same text: with a named source, each has a candidate of its own."""
    return fingerprint([response.text, response.source] if response.source else [response.text])


def place(
    prompt_import: PromptImport,
    items: Sequence[tuple[Row, Spoken[Item]]],
    source: Candidate.Source = Candidate.Source.IMPORT,
) -> tuple[list[Placed[Item]], Candidates, list[tuple[Row, str]]]:
    """The items with their prompts and candidates, stored where they are not there yet; what is left out of rows."""
    project = prompt_import.project
    added = find_or_add(
        project=project,
        prompts=[one.item.prompt for _, one in items],
        marks=[one.mark for _, one in items],
        prompt_import=prompt_import,
    )
    wanted = {
        (added.keys[one.mark], mark): response
        for _, one in items
        for mark, response in zip(one.marks, one.item.responses, strict=True)
    }
    candidates = _candidates(project, wanted, source, added.new)
    placed = []
    for row, one in items:
        prompt_id = added.keys[one.mark]
        keys = tuple([candidates.keys[prompt_id, mark] for mark in one.marks])
        is_new = prompt_id in added.new
        placed.append(Placed(row, one.item, prompt_id, keys, tuple(sorted(keys)), is_new))
    left_out = [(items[at][0], f"{why} {WITHOUT_ID}") for at, why in added.clashing.items()]
    return placed, candidates, left_out


def _candidates(
    project: Project,
    wanted: Mapping[Wanted, ReadResponse],
    source: Candidate.Source,
    new_prompts: Collection[int],
) -> Candidates:
    known = _known({prompt_id for prompt_id, _ in wanted} - set(new_prompts))
    new = [one for one in wanted if one not in known]
    keys = dict(zip(new, new_keys(Candidate, len(new)), strict=True))
    copy_rows(
        Candidate,
        ("id", "prompt_id", "fingerprint", "source_name", "text", "is_finished"),
        (
            (keys[one], *one, wanted[one].source, wanted[one].text, wanted[one].is_finished)
            for one in new
        ),
        project_id=project.pk,
        source=source.value,
    )
    return Candidates(known | keys, new)


def _known(prompt_ids: Collection[int]) -> dict[Wanted, int]:
    if not prompt_ids:
        return {}
    statement = """SELECT prompt_id, fingerprint, id FROM generation_candidate
        WHERE prompt_id = ANY(%(prompts)s)"""
    rows = run(statement, {"prompts": list(prompt_ids)})
    return {(prompt_id, mark): key for prompt_id, mark, key in rows}


def labeler_username(project: Project, name: str) -> str:
    """What a labeler of an imported file is called here."""
    return f"import-{project.pk}:{name}"


def labelers_of(project: Project, kinds: Mapping[str, str]) -> dict[str, int]:
    """The keys of the users that stand for labelers of a file, by name; those not there yet are made."""
    usernames = {labeler_username(project, name): name for name in kinds}
    there = _user_keys(usernames)
    if len(there) < len(usernames):
        User.objects.bulk_create(
            (
                User(
                    username=username,
                    first_name=name,
                    kind=kinds[name],
                    password=make_password(None),
                )
                for username, name in usernames.items()
                if username not in there
            ),
            ignore_conflicts=True,
        )
        there = _user_keys(usernames)
    return {name: there[username] for username, name in usernames.items()}


def _user_keys(usernames: Collection[str]) -> dict[str, int]:
    users = User.objects.filter(username__in=usernames)
    return dict(users.values_list("username", "pk"))
