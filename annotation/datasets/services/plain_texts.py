"""Prompts and responses as texts for who reads no messages, written so that they are read as what they were."""

from annotation.datasets.services import files
from annotation.prompts.readers import chats
from annotation.prompts.readers.judged import prompt_turns
from annotation.prompts.readers.rows import RowRefused
from annotation.prompts.services.storing import chat_fingerprint
from training.spec.records import Turn

SPEAKERS = {"system": "System", "user": "Human", "assistant": "Assistant"}


def plain_prompt(turns: tuple[Turn, ...]) -> str:
    """The prompt as a text that is read as the same prompt: one user turn as it stands, else a transcript.

    Where a reader would take either for another prompt, as where a turn holds a transcript, it is the turns as JSON.
    """
    told = [chats.Turn(role=turn.role, content=turn.content) for turn in turns]
    bare = [turns[0].content] if len(turns) == 1 else []
    spoken = [f"\n\n{SPEAKERS[turn.role]}: {turn.content}" for turn in turns]
    texts = (*bare, "".join([*spoken, "\n\nAssistant:"]))
    return next((text for text in texts if _is_read_as(told, text)), files.encode(told))


def _is_read_as(turns: list[chats.Turn], text: str) -> bool:
    try:
        read = prompt_turns(chats.with_parsed_chats({"prompt": text}))
    except RowRefused:
        return False
    return read == turns or chat_fingerprint(read) == chat_fingerprint(turns)


def message_of(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def plain_reply(text: str) -> str:
    """The response as it stands; where it would be read as messages, as JSON of the one message that it is."""
    return files.encode(message_of(text)) if chats.is_chat_text(text) else text
