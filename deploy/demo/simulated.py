"""Simulated labelers: programs with a stated rule, marked as simulated wherever their judgments appear.

They take comparisons from the queue and submit judgments like people do; nothing else in the demo is simulated.
"""

import itertools
import math
import random
import re
from dataclasses import dataclass

from annotation.accounts.models import User
from annotation.comparisons.models import Assignment
from annotation.projects.models import Membership, Project, Role

RULE = (
    "Simulated: prefers the response that ends its last sentence, keeps to about 25 words and takes up the words "
    "of the question; adds random noise of its own."
)
LABELERS = (
    ("simulated-ada", 0.5),
    ("simulated-bo", 0.8),
    ("simulated-cy", 0.8),
)
WORD = re.compile(r"[a-z']+")
COMMON = frozenset(  # words that say nothing about the subject
    "a an the is are do does how what why i my me to of in for and or it that this".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a labeler submits: tiers of candidate ids, best first, and the strengths between them."""

    ranking: list[list[int]]
    strengths: list[int]


def utility(prompt: str, response: str) -> float:
    """How good the rule finds a response; a difference of 1 is clear, of 0.2 hard to see."""
    words = WORD.findall(response.lower())
    asked = set(WORD.findall(prompt.lower())) - COMMON
    ends = 1.0 if response.rstrip().endswith((".", "!", "?", '"')) else 0.0
    brevity = -abs(math.log((len(words) + 5) / 30))
    overlap = len(asked & set(words)) / max(1, len(asked))
    return 1.5 * ends + 1.5 * brevity + 0.7 * overlap


def verdict(*, prompt: str, responses: dict[int, str], noise: float, rng: random.Random) -> Verdict:
    """Rank by noisy utility; closer than 0.25 is about the same."""
    seen = {key: utility(prompt, text) + rng.gauss(0.0, noise) for key, text in responses.items()}
    ordered = sorted(seen, key=lambda key: seen[key], reverse=True)
    ranking, strengths = [[ordered[0]]], []
    for better, worse in itertools.pairwise(ordered):
        gap = seen[better] - seen[worse]
        if gap < 0.25:
            ranking[-1].append(worse)
        else:
            ranking.append([worse])
            strengths.append(1 if gap < 0.9 else 2 if gap < 1.8 else 3)
    return Verdict(ranking=ranking, strengths=strengths)


def hire(project: Project) -> list[tuple[User, float]]:
    """The simulated labelers as members of the project, with their noise."""
    hired = []
    for username, noise in LABELERS:
        user, _ = User.objects.get_or_create(
            username=username, defaults={"kind": User.Kind.SIMULATED, "rule": RULE, "password": "!"}
        )
        Membership.objects.get_or_create(project=project, user=user, role=Role.LABELER)
        hired.append((user, noise))
    return hired


def judge(assignment: Assignment, *, noise: float) -> Verdict:
    """The verdict of one labeler on the comparison that was leased; the same seed gives the same verdict."""
    comparison = assignment.comparison
    rng = random.Random(f"{assignment.labeler_id}:{comparison.pk}")  # noqa: S311 - a simulation
    responses = {one.pk: one.text for one in comparison.candidates.all()}
    prompt = comparison.prompt.turns[-1]["content"]
    return verdict(prompt=prompt, responses=responses, noise=noise, rng=rng)
