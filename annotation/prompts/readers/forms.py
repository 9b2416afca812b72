"""Every form of judged rows by its name: how it is told by its columns, how it is read, and what a row looks like."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.prompts.readers import (
    argilla,
    chats,
    groups,
    label_studio,
    labels,
    preferences,
    published,
    votes,
)
from annotation.prompts.readers.chats import RowForm
from annotation.prompts.readers.judged import (
    LABELER_COLUMNS,
    RATIONALE_COLUMNS,
    TIME_COLUMNS,
    ReadComparison,
)
from annotation.prompts.readers.rows import RowRefused

Fields = dict[str, Any]  # Any: JSON values
Reader = Callable[[Fields], "ReadComparison | Sequence[ReadComparison]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedForm:
    """One form: ``fits`` looks at the columns of a row, ``read`` refuses what it cannot take."""

    form: RowForm
    fits: Callable[[Fields], bool]
    read: Reader


def _has(*names: str) -> Callable[[Fields], bool]:
    wanted = set(names)
    return lambda fields: wanted <= fields.keys()


def _is_oasst(fields: Fields) -> bool:
    prompt = fields.get("prompt")
    return isinstance(prompt, dict) and "replies" in prompt


def _is_argilla(fields: Fields) -> bool:
    if isinstance(fields.get("fields"), dict) and "responses" in fields:
        return True
    return argilla.is_flat(fields) or any(
        isinstance(value, list) and value and isinstance(value[0], dict) and "user_id" in value[0]
        for name, value in fields.items()
        if name != "responses"
    )


def _is_label_table(fields: Fields) -> bool:
    names = {*labels.LABEL_COLUMNS, "labels"} & fields.keys()
    is_labeled = bool(names) or any(labels.is_wide(name) for name in fields)
    return is_labeled and bool(labels.response_columns(fields))


# The first that fits is taken: what is told by more stands before what is told by less.
JUDGED_FORMS = (
    JudgedForm(form=RowForm.GROUPS, fits=groups.is_group, read=groups.read_group),
    JudgedForm(form=RowForm.OASST, fits=_is_oasst, read=published.read_oasst),
    JudgedForm(
        form=RowForm.LABEL_STUDIO,
        fits=_has("data", "annotations"),
        read=label_studio.read_label_studio,
    ),
    JudgedForm(form=RowForm.ARGILLA, fits=_is_argilla, read=argilla.read_argilla),
    JudgedForm(form=RowForm.VOTES, fits=_has("responses", "ranking"), read=votes.read_vote),
    JudgedForm(form=RowForm.RANKED, fits=_has("responses"), read=preferences.read_ranked),
    JudgedForm(form=RowForm.TRL, fits=_has("chosen", "rejected"), read=preferences.read_preference),
    JudgedForm(
        form=RowForm.TULU,
        fits=_has("completion_a", "completion_b", "preference"),
        read=published.read_tulu,
    ),
    JudgedForm(form=RowForm.WMT, fits=_has("system1rank", "system2rank"), read=published.read_wmt),
    JudgedForm(form=RowForm.LABELS, fits=_is_label_table, read=labels.read_labels),
)
BY_NAME: dict[RowForm, Reader] = {one.form: one.read for one in JUDGED_FORMS}
BY_NAME[RowForm.HH] = preferences.read_preference
JUDGED_COLUMNS = frozenset(
    {*chats.KNOWN_COLUMNS, *LABELER_COLUMNS, *RATIONALE_COLUMNS, *TIME_COLUMNS, "labeler_kind"}
    | preferences.PREFERENCE_COLUMNS
    | labels.LABELS_COLUMNS
    | votes.VOTES_COLUMNS
    | published.TULU_COLUMNS
    | published.WMT_COLUMNS
    | groups.GROUP_COLUMNS
    | {"data", "annotations", "fields", "external_id", "metadata", "split", "prompt_id"}
)


def read_judged(
    fields: Fields, form: RowForm = RowForm.AUTO, *, otherwise: RowForm = RowForm.LABELS
) -> tuple[ReadComparison, ...]:
    """The comparisons of a row: of the named form, else of the first that fits, else of ``otherwise``.

    Raises RowRefused with the reason.
    """
    fields = chats.with_parsed_chats(fields)
    read = BY_NAME[form_of(fields, form, otherwise=otherwise)]
    try:
        found = read(fields)
    except (AttributeError, TypeError, KeyError) as error:  # a list where an object belongs ...
        raise RowRefused(f"The row is nested otherwise than its form is: {error}.") from error
    return (found,) if isinstance(found, ReadComparison) else tuple(found)


def form_of(fields: Fields, form: RowForm, *, otherwise: RowForm) -> RowForm:
    """The form that a row is read as: the named one, else the first that fits, else ``otherwise``."""
    if form != RowForm.AUTO:
        return form
    return next((one.form for one in JUDGED_FORMS if one.fits(fields)), otherwise)
