"""Where a reward model is surest of what people rejected: the pairs by their texts, and their comparisons."""

from collections import defaultdict
from typing import NamedTuple

from django.db.models import Q

from annotation.comparisons.models import Batch, Comparison
from annotation.datasets.assembly import candidate_name
from annotation.evaluations.models import ModelCard
from annotation.generation.models import Candidate
from annotation.prompts.models import Prompt


class Disagreement(NamedTuple):
    """A held-out pair that the model orders against people: how far it scores the rejected response above the other."""

    prompt: Prompt
    preferred: Candidate
    rejected: Candidate
    difference: float


def disagreements_of(card: ModelCard, *, most: int | None = None) -> list[Disagreement]:
    """Those that its run kept and whose texts are still here, the surest first."""
    told = list(card.facts.get("disagreements", []))[:most]
    marks = {one["prompt"] for one in told}
    prompts = Prompt.objects.filter(project=card.version.project_id, fingerprint__in=marks)
    by_mark = {prompt.fingerprint: prompt for prompt in prompts}
    by_name: defaultdict[str, dict[str, Candidate]] = defaultdict(dict)
    for one in Candidate.objects.filter(prompt__in=prompts).select_related("prompt"):
        by_name[one.prompt.fingerprint][candidate_name(one.fingerprint)] = one
    found = []
    for one in told:
        texts = by_name[one["prompt"]]
        if one["chosen"] in texts and one["rejected"] in texts:
            pair = texts[one["chosen"]], texts[one["rejected"]]
            found.append(Disagreement(by_mark[one["prompt"]], *pair, -one["difference"]))
    return found


def comparisons_of(card: ModelCard) -> list[int]:
    """The comparisons that hold these pairs; an edit and its original are in none."""
    found = disagreements_of(card)
    holds = Q(pk=None)
    for one in found:
        holds |= Q(candidate_ids__contains=[one.preferred.pk, one.rejected.pk])
    rows = Comparison.objects.filter(
        holds,
        project=card.version.project_id,
        prompt__in={one.prompt.pk for one in found},  # which has an index
    )
    return list(rows.order_by("pk").values_list("pk", flat=True))


def batch_asked(card: ModelCard) -> Batch | None:
    """The batch in which people are asked again; None where nobody has opened it, or it was closed."""
    rows = Batch.objects.filter(project=card.version.project_id, made_from__card=card.pk)
    return rows.exclude(state=Batch.State.CLOSED).order_by("-pk").first()
