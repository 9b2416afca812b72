"""What a writer has before them. It holds no model name: an original is a text, wherever it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.utils.safestring import SafeString

from annotation.comparisons.bench import ShownTurn
from annotation.demonstrations.models import Demonstration
from annotation.projects.models import Guideline
from annotation.projects.selectors import current_guideline
from annotation.ui import markdown


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingBench:
    """One demonstration laid out for its author."""

    demonstration: Demonstration
    client_uuid: UUID
    turns: Sequence[ShownTurn]
    preview: SafeString
    original: SafeString | None
    guideline: Guideline | None
    guideline_html: SafeString | None

    @property
    def skip_reasons(self) -> list[tuple[str, str]]:
        is_edit = self.demonstration.is_edit
        mend = Demonstration.SkipReason.NOTHING_TO_MEND
        return [
            (one.value, str(one.label))
            for one in Demonstration.SkipReason
            if is_edit or one != mend
        ]


def shown_turns(demonstration: Demonstration) -> list[ShownTurn]:
    turns = demonstration.prompt.turns
    return [ShownTurn(role=one["role"], html=markdown.render(one["content"])) for one in turns]


def bench_for(demonstration: Demonstration) -> WritingBench:
    """Lay out a demonstration; one query, for the guideline."""
    guideline = current_guideline(demonstration.project)
    source = demonstration.source
    return WritingBench(
        demonstration=demonstration,
        client_uuid=uuid4(),
        turns=shown_turns(demonstration),
        preview=markdown.render(demonstration.text),
        original=markdown.render(source.text) if source else None,
        guideline=guideline,
        guideline_html=markdown.render(guideline.text) if guideline else None,
    )
