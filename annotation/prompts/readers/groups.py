"""This product's own groups: a prompt, its candidates, and what was counted of them: pairs, signals, demonstrations.

A group tells how many said what and not who, so its votes come back as those of "dataset 1", "dataset 2" and so on.
"""

from dataclasses import replace
from typing import Any

from annotation.prompts.readers import chats
from annotation.prompts.readers.chats import ReadPrompt
from annotation.prompts.readers.judged import (
    DEFAULT_LABELER,
    MOST_RESPONSES,
    ReadComparison,
    ReadResponse,
    comparison_of,
    is_finished,
    is_true,
    prompt_of,
    verdict_of,
    whole_of,
)
from annotation.prompts.readers.preferences import FIRST, TIED, counted_verdicts
from annotation.prompts.readers.rows import RowRefused, text_of
from annotation.prompts.readers.unjudged import (
    ReadDemonstration,
    ReadSignal,
    read_demonstration,
    read_signal,
)
from training.spec.records import EDITS

Fields = dict[str, Any]  # Any: JSON values
GROUP_COLUMNS = frozenset({"prompt_id", "prompt", "split", "candidates", "pairs", "unacceptable"})
GROUP_COLUMNS |= {"demonstrations", "signals"}
MOST_CANDIDATES = 1_000
MOST_SIGNALS = 1_000  # of one candidate


def is_group(fields: Fields) -> bool:
    """Whether a row is a group, by its columns."""
    return "candidates" in fields and "pairs" in fields


def read_group(fields: Fields) -> tuple[ReadComparison, ...]:
    """A comparison of two for each judged pair, and one of those that are unacceptable. Edits are left out: nobody
    compared them.
    """
    prompt, responses, pairs = _prompt(fields), _responses(fields), _objects(fields, "pairs")
    judged = [one for one in pairs if one.get("source") not in EDITS]
    found = [_pair(prompt, responses, one) for one in judged]
    bad = [_response(responses, one) for one in fields.get("unacceptable") or []]
    verdict = verdict_of({}, (), labeler=f"{DEFAULT_LABELER}, all bad")
    for start in range(0, len(bad) if len(bad) > 1 else 0, MOST_RESPONSES):
        some = bad[start : start + MOST_RESPONSES]
        found.append(comparison_of(prompt, some if len(some) > 1 else bad[-2:], [verdict]))
    if not found:
        raise RowRefused("The group holds no judged pair; take it as signals or demonstrations.")
    if edits := len(pairs) - len(judged):
        found[0] = replace(found[0], left_out=f"{_edits(edits)} {found[0].left_out}".strip())
    return tuple(found)


def _edits(count: int) -> str:
    what = "An edit over its original is" if count == 1 else f"{count} edits over originals are"
    return f"{what} left out: nobody compared the two. Take the file as demonstrations too."


def _pair(prompt: ReadPrompt, responses: dict[str, ReadResponse], pair: Fields) -> ReadComparison:
    criterion = pair.get("criterion", "overall")
    if criterion != "overall":
        raise RowRefused(
            f"The pairs are judged under {str(criterion)[:40]!r}; only overall verdicts are taken."
        )
    compared = [_response(responses, pair.get(name)) for name in ("chosen", "rejected")]
    verdicts, left_out = counted_verdicts(pair, TIED if is_true(pair.get("is_tie")) else FIRST)
    return replace(comparison_of(prompt, compared, verdicts), left_out=left_out)


def read_signals(fields: Fields) -> tuple[ReadSignal, ...]:
    """The signals of a row: one, or those that a group counts."""
    fields = chats.with_parsed_chats(fields)
    return _signals(fields) if is_group(fields) else (read_signal(fields),)


def read_demonstrations(fields: Fields) -> tuple[ReadDemonstration, ...]:
    """The demonstrations of a row: one, or those of a group."""
    fields = chats.with_parsed_chats(fields)
    return _demonstrations(fields) if is_group(fields) else (read_demonstration(fields),)


def _signals(fields: Fields) -> tuple[ReadSignal, ...]:
    """As many signals as were counted, of "product 1", "product 2" and so on."""
    prompt, responses = _prompt(fields), _responses(fields)
    found = [
        ReadSignal(
            prompt=prompt,
            response=_response(responses, one.get("candidate")),
            labeler=f"product {number}",
            is_accepted=is_accepted,
            told_at=None,
        )
        for one in _objects(fields, "signals")
        for number, is_accepted in enumerate(_told(one), start=1)
    ]
    if not found:
        raise RowRefused("The group holds no signal.")
    return tuple(found)


def _told(signal: Fields) -> list[bool]:
    accepted, rejected = (whole_of(signal, name) or 0 for name in ("accepted", "rejected"))
    if not 0 < accepted + rejected <= MOST_SIGNALS:
        raise RowRefused(f"A signal counts {accepted + rejected}; there are 1 to {MOST_SIGNALS}.")
    return [True] * accepted + [False] * rejected


def _demonstrations(fields: Fields) -> tuple[ReadDemonstration, ...]:
    """The responses that people wrote."""
    prompt = _prompt(fields)
    found = [
        ReadDemonstration(
            prompt=prompt,
            response=ReadResponse(text_of(one, "text"), is_finished=is_finished(one)),
        )
        for one in _objects(fields, "demonstrations")
    ]
    if not found or not all(one.response.text.strip() for one in found):
        raise RowRefused("The group holds no demonstration, or an empty one.")
    return tuple(found)


def _prompt(fields: Fields) -> ReadPrompt:
    return prompt_of({}, chats.turns_of(fields.get("prompt")))


def _responses(fields: Fields) -> dict[str, ReadResponse]:
    return {
        text_of(one, "id"): ReadResponse(text_of(one, "text"), is_finished=is_finished(one))
        for one in _objects(fields, "candidates")
    }


def _objects(fields: Fields, name: str) -> list[Fields]:
    value = fields.get(name) or []
    if not isinstance(value, list) or len(value) > MOST_CANDIDATES:
        raise RowRefused(f"{name} is not a list of at most {MOST_CANDIDATES:,} objects.")
    if not all(isinstance(one, dict) for one in value):
        raise RowRefused(f"{name} holds something else than objects.")
    return value


def _response(responses: dict[str, ReadResponse], key: object) -> ReadResponse:
    if not isinstance(key, str) or key not in responses:
        raise RowRefused(f"{str(key)[:40]!r} names none of the candidates of the group.")
    return responses[key]
