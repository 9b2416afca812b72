"""Where a model comes from: its stages in order, a preference pair as it was trained on, its lineage."""

from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any, NamedTuple

from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.query import Aggregation, SnapshotQuery
from annotation.datasets.selectors import folder_of
from annotation.evaluations.cards.sections import Quote, Section, Table, number
from annotation.registry.models import ModelVersion
from annotation.registry.selectors import ancestry
from training.spec.errors import DataError
from training.spec.records import EDITS, Group, Pair, read_groups
from training.spec.runs import SPECS

LONGEST_QUOTE = 600  # characters
LOOKED_THROUGH = 200  # groups in search of a pair
JUDGED_BY = {"person": "by people", "simulated": "simulated", "machine": "by machine judges"}
STAND_INS = {"simulated": "simulated labelers", "machine": "machine judges"}
STRENGTH_WORDS = ("about the same", "slightly better", "better", "much better")
TEACHES_LESS = "a pair that people are split over teaches less."
TEACHES_AS_MUCH = "a pair that people are split over teaches as much as one that they agree on."
WITHOUT_PAIRS = {
    "sft": "single responses, which it imitates",
    "kto": "single responses, good where they won more than they lost",
    "ppo": "the scores of its own answers",
    "grpo": "the scores of its own answers",
}
OF_VERDICTS = f"The model is given the verdict, not the votes: {TEACHES_AS_MUCH}"
OF_RANKINGS = (
    "Where the pairs of a prompt form one ranking, the model is given the ranking, not the votes."
)
OF_SOFT_LABELS: Mapping[str, str] = {  # by the snapshot's aggregation
    Aggregation.SOFT: f"The model is given the votes, not a verdict, where no admin gave one: {TEACHES_LESS}",
    Aggregation.DAWID_SKENE: (
        "The model is given, where no admin gave a verdict, the probability that a response is the better one, "
        f"from the votes and from how reliable each labeler was (Dawid-Skene): {TEACHES_LESS}"
    ),
    Aggregation.MAJORITY: (
        f"The snapshot made a verdict of the votes, and the model is given that: {TEACHES_AS_MUCH}"
    ),
}


def stages(version: ModelVersion) -> Section:
    """How it was made, from the first prompt to the weights."""
    lineage = version.lineage
    if "run" not in lineage:
        return Section(
            title="How it was made",
            key="stages",
            sentences=[
                "This model was registered by hand; nothing about its making is known here."
            ],
        )
    return Section(
        title="How it was made",
        key="stages",
        sentences=[
            (
                "Each stage rests on the one above it. The numbers are those of the snapshot that this "
                "model was trained on."
            ),
            *who_people_are(lineage.get("judgments_by_kind", {})),
        ],
        tables=[Table(head=("Stage", "What went in"), rows=stage_rows(version), is_prose=True)],
    )


def who_people_are(kinds: Mapping[str, int]) -> list[str]:
    """Whom the card means by people where no person's judgment went in; nothing else."""
    names = " and ".join(STAND_INS[kind] for kind in STAND_INS if kinds.get(kind))
    if not names or set(kinds) - set(STAND_INS):
        return []
    return [f"No person judged what it was trained on: read “people” in this card as {names}."]


def stage_rows(version: ModelVersion) -> list[tuple[str, str]]:
    lineage = version.lineage
    snapshot, judgments = lineage.get("snapshot", {}), lineage.get("judgments", {})
    kinds = lineage.get("judgments_by_kind", {})
    by_kind = ", ".join(f"{count:,} {JUDGED_BY.get(kind, kind)}" for kind, count in kinds.items())
    guidelines = ", ".join(str(one) for one in lineage.get("guideline_versions", []))
    rows = [
        *_stages_before(version),
        (
            "Judgments",
            (
                f"{number(judgments.get('count'))}{f' ({by_kind})' if by_kind else ''}"
                f"{f', under guideline version {guidelines}' if guidelines else ''}"
            ),
        ),
        (
            "Snapshot",
            (
                f"{snapshot.get('name', '–')}: {number(snapshot.get('rows'))} prompts, "
                f"{number(snapshot.get('pairs'))} pairs, sha256 {str(snapshot.get('sha256', '–'))[:16]}"
            ),
        ),
        ("Started from", named(lineage.get("base_model"))),
    ]
    if lineage.get("reward_model"):
        rows.append(("Rewarded by", named(lineage["reward_model"])))
    if lineage.get("held_out_reward_model"):
        rows.append(("Watched by", named(lineage["held_out_reward_model"])))
    if lineage.get("sampler"):
        rows.append(("Sampled on", named(lineage["sampler"])))
    code = str(lineage.get("code_revision") or "–")[:16]
    rows.append((_title(version), f"run {lineage['run']}, code {code}"))
    if machine := lineage.get("machine"):
        rows.append(("Computed on", machine_text(machine)))
    return rows


def _stages_before(version: ModelVersion) -> list[tuple[str, str]]:
    """A row for each ancestor that was trained here, the first one first."""
    trained = [one.version for one in ancestry(version)[1:] if "run" in one.version.lineage]
    return [
        (f"{_title(one)}, before", f"run {one.lineage['run']}, which made {one}")
        for one in reversed(trained)
    ]


def _title(version: ModelVersion) -> str:
    kind = version.lineage.get("spec", {}).get("kind")
    return SPECS[kind].title if kind in SPECS else "Training"


def machine_text(machine: dict[str, Any]) -> str:  # Any: JSON
    """`NVIDIA H200, host gpu-1, torch 2.11.0`."""
    return f"{machine.get('device', '–')}, host {machine.get('host', '–')}, torch {machine.get('torch', '–')}"


def named(facts: Any) -> str:  # Any: JSON
    return f"{facts['name']} v{facts['number']}" if isinstance(facts, dict) else "–"


def spec_of(version: ModelVersion) -> dict[str, Any]:  # Any: JSON
    """Every setting of its run that is known, defaults too; empty where no run made it."""
    said: dict[str, Any] = version.lineage.get("spec", {})
    kind = said.get("kind")
    known = SPECS[kind].used_fields() if kind in SPECS else ()
    return {one.name: one.default for one in known if one.default is not MISSING} | said


class Example(NamedTuple):
    """One pair of a snapshot with its prompt."""

    snapshot: DatasetSnapshot
    group: Group
    pair: Pair


def example_pair(version: ModelVersion) -> Section | None:
    """A pair of the training split, as people left it; None where the snapshot has none or is gone."""
    example = _first_pair(version)
    if example is None:
        return None
    snapshot, group, pair = example
    return Section(
        title="What a preference pair looks like",
        key="pair",
        sentences=[
            (
                "Two responses to one prompt, and what people said of them. This is the first pair of "
                f"the training split: {_said_of(pair)}"
            ),
            *made_of_pairs(spec_of(version), SnapshotQuery.from_json(snapshot.query).aggregation),
        ],
        quotes=[
            Quote(label="Prompt", text=shortened(group.prompt[-1].content)),
            Quote(label="Preferred", text=shortened(group.text_of(pair.chosen))),
            Quote(label="Rejected", text=shortened(group.text_of(pair.rejected))),
        ],
    )


def _said_of(pair: Pair) -> str:
    if pair.source in EDITS:
        return "an edit and its original, which nobody compared."
    strength = STRENGTH_WORDS[min(max(round(abs(pair.margin)), 0), 3)]
    ties = "tie" if pair.votes_tied == 1 else "ties"
    return (
        f"preferred with {pair.votes_chosen:g} for it, {pair.votes_rejected:g} against, "
        f"{pair.votes_tied:g} {ties}; on average “{strength}”."
    )


def made_of_pairs(spec: Mapping[str, Any], aggregation: str) -> list[str]:  # Any: JSON
    """What a training of this spec is given of such a pair; nothing of a kind that is not known."""
    if (kind := spec.get("kind")) in WITHOUT_PAIRS:
        also = " and single responses, which it imitates" if spec.get("ptx_weight") else ""
        return [f"The training was given no pairs: it learns from {WITHOUT_PAIRS[kind]}{also}."]
    if "use_soft_labels" not in spec:
        return []
    ranked = [OF_RANKINGS] if spec.get("objective") == "plackett_luce" else []
    return [*ranked, OF_SOFT_LABELS[aggregation] if spec["use_soft_labels"] else OF_VERDICTS]


def _first_pair(version: ModelVersion) -> Example | None:
    pk = version.lineage.get("snapshot", {}).get("id")
    snapshots = DatasetSnapshot.objects.filter(project_id=version.project_id, pk=pk)
    snapshot: DatasetSnapshot | None = snapshots.first() if pk else None
    if snapshot is None or not snapshot.folder:
        return None
    try:
        for place, group in enumerate(read_groups(folder_of(snapshot))):
            decided = [pair for pair in group.pairs if not pair.is_tie]
            if group.split == "train" and decided:
                return Example(snapshot, group, decided[0])
            if place >= LOOKED_THROUGH:
                break
    except DataError:
        return None
    return None


def shortened(text: str, longest: int = LONGEST_QUOTE) -> str:
    text = text.strip()
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def settings(version: ModelVersion) -> Section | None:
    """Every setting of the run."""
    spec = version.lineage.get("spec", {})
    if not spec:
        return None
    rows = [(name, str(value)) for name, value in spec.items()]
    return Section(
        title="Settings of the run",
        key="spec",
        tables=[Table(head=("Setting", "Value"), rows=rows, is_prose=True)],
    )
