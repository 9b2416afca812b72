"""What a run's log tells, in lines for a person: why rows are padded, what was read, cut and left out."""

from collections.abc import Callable, Iterator, Mapping

from training.spec.events import Event, EventKind


class LogLines:
    """Hears a run's events; hands on what its log tells, each line once: others read the same records again."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._told: set[str] = set()

    def hear(self, event: Event) -> None:
        if event.kind != EventKind.LOG:
            return
        line = log_line(event.data)
        if line not in self._told:
            self._told.add(line)
            self._write(line)


def log_line(data: Mapping[str, object]) -> str:
    """What a log says with what it counted, as in `The pairs are read: pairs used 64`."""
    message = str(data["message"])
    facts = ", ".join(_facts(data, message))
    return f"{message.rstrip('.')}: {facts.rstrip('.')}." if facts else message


def _facts(data: Mapping[str, object], message: str) -> Iterator[str]:
    """Counts and words that the message does not hold; seconds and the like stay in the events."""
    for name, value in data.items():
        if name == "message" or isinstance(value, float):
            continue
        told = f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else str(value)
        if not all(word in message.lower() for word in told.lower().split()):
            yield told
