"""What the pictures show: replies of the Open Assistant tree (Apache-2.0), from `DATA`, and a few written here."""

import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path

from annotation.comparisons.models import Comparison
from annotation.projects.models import Project
from tests import factories

DATA = os.environ.get("DATA", "")


@dataclass(frozen=True, slots=True)
class Set:
    """A chat and responses to its last turn."""

    turns: tuple[dict[str, str], ...]
    responses: tuple[str, ...]


def said(*contents: str) -> tuple[dict[str, str], ...]:
    """Turns of a user and an assistant, one after the other."""
    roles = ("user", "assistant")
    return tuple({"role": roles[at % 2], "content": one} for at, one in enumerate(contents))


def oasst(name: str, most: int = 9) -> Set:
    """The row ``oasst-name`` of the tree, with at most so many of its replies."""
    with gzip.open(Path(DATA) / "oasst_ranked.jsonl.gz", "rt", encoding="utf-8") as lines:
        row = next(one for one in map(json.loads, lines) if one["id"] == f"oasst-{name}")
    replies = tuple(one["text"] for one in row["responses"][:most])
    return Set(tuple(row["prompt"]), replies)


GUIDELINE = """# Which response helps more?

Read both to the end, then ask: **which would you rather have been given?**

1. A wrong fact weighs more than a clumsy sentence.
2. Length is no merit. Prefer the shorter of two that say the same.
3. A response that stops in the middle is worse than one that ends, if the rest is equal.

| they are | press |
|---|---|
| equally good | `4` |
| both of no use | `B` |
"""

CODE = Set(
    said("My list prints `None` after I sort it. How do I fix it?"),
    (
        (
            "`sort()` works in place and returns `None`. Sort first, then print:\n\n"
            "```python\nnums = [3, 1, 2]\nnums.sort()\nprint(nums)          # [1, 2, 3]\n```\n\n"
            "or ask for a new list:\n\n```python\nprint(sorted(nums, reverse=True))\n```\n\n"
            "If that is not it, send the two lines around the call and what you expected."
        ),
        (
            "There can be many reasons for this behavior. Some things to try:\n\n"
            "1. Read the error message with care.\n2. Add `print` statements to trace what happens.\n"
            "3. Use `list.order()` to sort.\n4. Search for the error online.\n\n"
            "I hope this helps! Debugging takes patience, so do not give up, and let me know if …"
        ),
    ),
)
FORMULAS = Set(
    said("Why does $1 + \\frac{1}{2} + \\frac{1}{4} + \\dots$ come to 2? Please show it."),
    (
        (
            "Call the sum $S$. Halving it takes its first term away:\n\n"
            "$$\\frac{S}{2} = \\frac{1}{2} + \\frac{1}{4} + \\frac{1}{8} + \\dots = S - 1$$\n\n"
            "so $S = 2$. In general, for $|q| < 1$,\n\n$$\\sum_{k=0}^{\\infty} q^k = \\frac{1}{1 - q}.$$"
        ),
        (
            "After $n$ terms the sum is\n\n$$s_n = \\sum_{k=0}^{n-1} 2^{-k} = 2 - 2^{1-n}.$$\n\n"
            "| $n$ | $s_n$ |\n|---|---|\n| 1 | 1 |\n| 2 | 1.5 |\n| 5 | 1.9375 |\n| 10 | 1.998 |\n\n"
            "What is missing to 2 halves at every step, so the limit is 2."
        ),
    ),
)
ARABIC = Set(
    said("كيف أحضّر الشاي بالنعناع؟"),
    (
        (
            "تحتاج إلى خمس دقائق:\n\n1. اغلِ نصف لتر من الماء.\n2. أضف ملعقتين من الشاي الأخضر واتركه دقيقتين.\n"
            "3. أضف حفنة من النعناع والسكر حسب الرغبة.\n\nقدّمه ساخنًا."
        ),
        "ضع النعناع في الماء البارد وانتظر يومًا. يمكنك كتابة `tea.brew()` أيضًا.",
    ),
)
NEAR = Set(
    said(
        "Make this sentence shorter: If you have any questions about my rate or if you find it necessary "
        "to increase or decrease the scope for this project, please let me know."
    ),
    (
        "If you have any questions about my rate, or want to change the scope of this project, please let me know.",
        "If you have questions about my rate or want to change the scope, please let me know.",
    ),
)


def compare(project: Project, one: Set, **fields: object) -> Comparison:
    """A comparison of these texts; one that ends in `…` met the token limit."""
    prompt = factories.prompt(project, turns=[*one.turns])
    made = [
        factories.candidate(prompt, text, is_finished=not text.endswith("…"))
        for text in one.responses
    ]
    return Comparison.objects.create(
        project=project, prompt=prompt, candidate_ids=sorted(two.pk for two in made), **fields
    )
