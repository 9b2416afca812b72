"""The card of a policy: what its training moved, why it is held back, what was measured."""

from typing import Any

from annotation.evaluations.cards import reward
from annotation.evaluations.cards.origin import spec_of
from annotation.evaluations.cards.sections import Section, Table, interval_of, number, percent
from annotation.evaluations.evidence import evidence_by_key
from annotation.evaluations.models import Evaluation, ModelCard
from annotation.evaluations.selectors import are_held_out_behind, trained_behind
from annotation.registry.models import ModelVersion
from annotation.runs.models import TrainingRun
from annotation.runs.selectors import Alarm, alarms_of
from training.spec.results import measure_title

Facts = dict[str, Any]  # Any: JSON
WHY = {
    "ppo": (
        (
            "PPO lets the policy answer, has the reward model score the answers, and moves the policy in "
            "small clipped steps towards what scored better. It is used because the score is of a whole "
            "answer and cannot be differentiated through the sampled words."
        ),
        (
            "The KL leash: every word that the starting policy would not have said costs. Without it the "
            "policy finds answers that the reward model scores high and people do not like, since the "
            "reward model is only right near the answers that people compared (Gao et al. 2022)."
        ),
    ),
    "grpo": (
        (
            "GRPO lets the policy answer each prompt several times and moves it towards the answers that "
            "score above their own group; no value model is learned."
        ),
        (
            "The KL leash: distance from the starting policy costs, since the reward model is only right "
            "near the answers that people compared."
        ),
    ),
    "dpo": (
        (
            "DPO raises the probability of preferred responses over rejected ones directly; the policy is "
            "its own reward model."
        ),
        "Its beta is the leash: the smaller, the farther the policy may move from where it started.",
    ),
    "kto": (
        "KTO learns from single responses, good or bad, without pairs.",
        "Its beta is the leash: the smaller, the farther the policy may move from where it started.",
    ),
    "sft": (
        "Supervised fine-tuning imitates the responses that people wrote or preferred.",
        "Nothing holds it near its start but the few passes over the records.",
    ),
}
NO_LEASH = (
    "There is no KL leash: its price was 0, so nothing held the policy near where it started."
)
MEASURES = (
    *("reward_before", "reward_after", "reward_gain", "kl", "length_before", "length_after"),
    *("eos_before", "eos_after", "loss_before", "loss_after", "perplexity_before"),
    *("perplexity_after", "accuracy", "distinct_before", "distinct_after", "win_rate"),
)
MOST_EVALUATIONS = 20
DRIFTS = {"length": "length", "perplexity": "perplexity", "distinct": "diversity"}
LENGTH_DRIFT = 1.25
TAX = 1.05
DIVERSITY_LOSS = 0.8


def sections(version: ModelVersion, card: ModelCard) -> list[Section]:
    """All of the card that is particular to policies."""
    metrics: Facts = card.facts.get("metrics", {})
    return [
        Section(title="Why it was trained so", key="why", sentences=why(spec_of(version))),
        learned(version, metrics),
        *taught(version),
        *said_by_people(version),
        risks(version, metrics),
    ]


def why(spec: Facts) -> list[str]:
    """Why its algorithm is used, and what holds it near its start: a price of 0 is no leash."""
    kind = str(spec.get("kind", ""))
    if kind == "sft" and not spec["include_chosen"]:
        return ["Supervised fine-tuning imitates the responses that people wrote.", *WHY[kind][1:]]
    if spec.get("kl_coefficient") == 0:
        return [*WHY[kind][:1], NO_LEASH]
    return list(WHY.get(kind, ()))


def taught(version: ModelVersion) -> list[Section]:
    """What the reward model that taught it learned, from its own card; nothing where there is none."""
    teacher = version.lineage.get("reward_model")
    cards = ModelCard.objects.filter(version__project=version.project_id).select_related("version")
    card = cards.filter(version=teacher["id"]).first() if teacher else None
    if card is None:
        return []
    metrics: Facts = card.facts.get("metrics", {})
    measured, warned = reward.learned(metrics), reward.risks(card, card.facts, metrics)
    return [
        Section(
            title="What the reward learned",
            key="teacher",
            sentences=[
                f"{card.version} scored its answers. What a policy is taught is as good as this.",
                *measured.sentences,
                *reward.trusted(card.facts, metrics).sentences,
                *warned.sentences,
            ],
            tables=measured.tables,
            bullets=warned.bullets,
        )
    ]


def said_by_people(version: ModelVersion) -> list[Section]:
    """Its blind evaluations; nothing where there was none."""
    rows = Evaluation.objects.filter(policy=version).select_related("project", "baseline", "batch")
    found_by = evidence_by_key(shown := list(rows.order_by("pk")[:MOST_EVALUATIONS]))
    told = [(row, found_by[row.pk]) for row in shown]
    if not told:
        return []
    head = ("Compared with", "People prefer it", "Valid at every look", "Votes", "At equal length")
    lines = [
        (
            str(row.baseline),
            percent(found.win_rate.value),
            interval_of(found.win_rate.as_json()),
            number(found.win_rate.n),
            percent(found.controlled.win_rate.value if found.controlled else None),
        )
        for row, found in told
    ]
    return [
        Section(
            title="What people say of it",
            key="people",
            sentences=["Blind comparisons on held-out prompts, ties and all-bad left out."],
            tables=[Table(head=head, rows=lines)],
        )
    ]


def learned(version: ModelVersion, metrics: Facts) -> Section:
    rows = [(measure_title(name), *_told(metrics, name)) for name in MEASURES if name in metrics]
    if not rows:
        told = str(metrics.get("reason") or "Nothing was measured on held-out prompts.")
        return Section(title="What the training moved", key="learned", sentences=[told])
    return Section(
        title="What the training moved",
        key="learned",
        sentences=[_measured_on(version), *_whose_scores(version)],
        tables=[Table(head=("Measure", "Value", "95 % interval", "n"), rows=rows)],
    )


def _measured_on(version: ModelVersion) -> str:
    """Held out of what, as far as it is known."""
    told = "Measured on prompts held out of this run’s snapshot"
    if not trained_behind(version):
        return f"{told}."
    if are_held_out_behind(version):
        return f"{told}, and of those of the models that it began with and learned from."
    return (
        f"{told}; models that it began with or learned from may have been trained on some of them."
    )


def _whose_scores(version: ModelVersion) -> list[str]:
    if not version.lineage.get("reward_model"):
        return []
    return ["Scores are the reward model’s: that people agree with them is not said by this table."]


def _told(metrics: Facts, name: str) -> tuple[str, str, str]:
    value = metrics[name]
    if isinstance(value, dict):
        n = number(value.get("n"))
        return number(value.get("value")), interval_of(value, as_percent=False), n
    if name == "reward_gain":
        return number(value), interval_of(metrics, as_percent=False), number(metrics.get("n"))
    return number(value), "", ""


def risks(version: ModelVersion, metrics: Facts) -> Section:
    """What the figures and the guards of the run warn of."""
    found = [*_drift(metrics), *_guards(version)]
    return Section(
        title="Risks seen",
        key="risks",
        sentences=[] if found else [_nothing_seen(metrics)],
        bullets=found,
    )


def _nothing_seen(metrics: Facts) -> str:
    """What was looked at, and no more."""
    looked = [about for name, about in DRIFTS.items() if _factor(metrics, name) is not None]
    if not looked:
        return "No guard of the run fired; how length, perplexity and diversity moved was not measured."
    near = "Measured, and near what it was in the policy it began with"
    return f"No guard of the run fired. {near}: {', '.join(looked)}."


def _drift(metrics: Facts) -> list[str]:
    found = []
    for name, limit, told in (
        (
            "length",
            LENGTH_DRIFT,
            "Answers grew longer, by a factor of {:.2f}: is it length that is rewarded?",
        ),
        ("perplexity", TAX, "Held-out perplexity rose by a factor of {:.2f}: the alignment tax."),
    ):
        factor = _factor(metrics, name)
        if factor is not None and factor > limit:
            found.append(told.format(factor))
    diversity = _factor(metrics, "distinct")
    if diversity is not None and diversity < DIVERSITY_LOSS:
        found.append(
            f"Its answers repeat each other more: {diversity:.2f} of the word pairs are left."
        )
    gain = metrics.get("interval")
    if isinstance(gain, list) and len(gain) == 2 and gain[0] <= 0:
        found.append("The gain in reward cannot be told from none: its interval reaches 0.")
    return found


def _factor(metrics: Facts, name: str) -> float | None:
    before, after = metrics.get(f"{name}_before"), metrics.get(f"{name}_after")
    if isinstance(before, (int, float)) and isinstance(after, (int, float)) and before > 0:
        return after / before
    return None


def _guards(version: ModelVersion) -> list[str]:
    """A line for each guard, however often it spoke."""
    run = TrainingRun.objects.filter(model_version=version).first()
    return [] if run is None else [f"{_when(one)}: {one.message}" for one in alarms_of(run)]


def _when(alarm: Alarm) -> str:
    if alarm.action == "stop":
        return f"A guard stopped the run at step {alarm.last}"
    if alarm.times > 1:
        return f"{alarm.times} times from step {alarm.first} to {alarm.last}, at last"
    return f"Step {alarm.last}"
