"""Judgments that a team has already: rows of a file become prompts, candidates, comparisons and judgments.

A labeler of the file becomes a user who cannot sign in, named after the project, so that a second file of the same
team adds to the same people. Nothing is stored twice: the same file again changes nothing.
"""

from time import monotonic
from typing import Any

from annotation.comparisons.services import storing
from annotation.comparisons.services.judging import ring_agreement
from annotation.comparisons.services.placing import compared, spoken
from annotation.core.errors import Conflict, DomainError
from annotation.prompts.models import PromptImport
from annotation.prompts.readers.chats import RowForm
from annotation.prompts.readers.forms import read_judged
from annotation.prompts.readers.groups import read_demonstrations, read_signals
from annotation.prompts.readers.unjudged import read_unjudged
from annotation.prompts.services import importing
from annotation.prompts.services.importing import OTHERWISE, Importer, Progress

Contents = PromptImport.Contents
TELL_SECONDS = 1.0


def run_any_import(*, import_id: int, progress: Progress) -> None:
    """Take the rows of a stored file, whatever it holds."""
    prompt_import = PromptImport.objects.select_related("project", "created_by").get(pk=import_id)
    importing.run_import(
        prompt_import=prompt_import, importer=importer_of(prompt_import), progress=progress
    )
    if prompt_import.contents in OTHERWISE:
        ring_agreement(prompt_import.project_id)


def import_here(*, prompt_import: PromptImport, owner: str, progress: Progress) -> PromptImport:
    """Do the job in this process, as a command does: claim, take the rows, end it."""
    jobs = PromptImport.objects
    if not jobs.claim(prompt_import.pk, owner=owner):
        raise Conflict("A worker has taken this import already; follow it on its page.")
    try:
        alive = _alive(prompt_import.pk, owner, progress)
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


def _alive(pk: int, owner: str, progress: Progress) -> Progress:
    """Tell how far it is and renew the lease too: once a second, for it waits until the disk has what came before."""
    told_at = monotonic()

    def alive(done: int, total: int, unit: str) -> None:
        nonlocal told_at
        progress(done, total, unit)
        if done < total and monotonic() - told_at < TELL_SECONDS:
            return
        told_at = monotonic()
        told = {"progress_done": done, "progress_total": total}
        if not PromptImport.objects.renew(pk, owner=owner, **told):
            raise Conflict("The import was given to a worker; follow it on its page.")

    return alive


def importer_of(prompt_import: PromptImport) -> Importer[Any]:  # Any: what its rows are read as
    """How the rows of this import are read and stored."""
    contents, form = Contents(prompt_import.contents), RowForm(prompt_import.row_form)
    if contents == Contents.PROMPTS:
        return importing.prompt_importer(form)
    if contents == Contents.COMPARISONS:
        return Importer(lambda fields: compared(read_unjudged(fields)), storing.store_comparisons)
    if contents == Contents.SIGNALS:
        return Importer(
            lambda fields: tuple(map(spoken, read_signals(fields))), storing.store_signals
        )
    if contents == Contents.DEMONSTRATIONS:
        return Importer(
            lambda fields: tuple(map(spoken, read_demonstrations(fields))),
            storing.store_demonstrations,
        )
    otherwise = OTHERWISE[contents]
    return Importer(
        read=lambda fields: tuple(map(compared, read_judged(fields, form, otherwise=otherwise))),
        store=storing.store_judgments,
        left_out=lambda row: " ".join(one.item.left_out for one in row if one.item.left_out),
    )
