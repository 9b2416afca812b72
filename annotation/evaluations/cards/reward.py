"""The card of a reward model: what it learned from people, beside what people leave room for."""

from collections.abc import Mapping
from typing import Any

from annotation.evaluations.cards.drawings import beside_people, reliability_diagram
from annotation.evaluations.cards.origin import shortened
from annotation.evaluations.cards.sections import (
    Fact,
    Section,
    Table,
    interval_of,
    number,
    percent,
    share_table,
)
from annotation.evaluations.disagreements import disagreements_of
from annotation.evaluations.models import ModelCard
from annotation.projects.selectors import criterion_titles
from training.spec.results import measure_title

Facts = dict[str, Any]  # Any: JSON
Titles = Mapping[str, str]  # of criteria, by name
FEW_PAIRS = 500
LEAK_SUSPECTED = 0.8  # accuracy on few pairs; real people leave room for 60 to 75 %
POORLY_CALIBRATED = 0.1
FEWEST_IN_A_SLICE = 20
SHOWN_PAIRS, EXCERPT = 5, 160  # disagreements in the table; characters of a text there


def sections(card: ModelCard) -> list[Section]:
    """All of the card that is particular to reward models."""
    facts: Facts = card.facts
    metrics: Facts = facts.get("metrics", {})
    titles = criterion_titles(card.version.project_id)
    return [
        learned(metrics),
        trusted(facts, metrics),
        *explained(metrics, titles),
        *by_slice(card, facts, titles),
        *contradicted(card),
        *probed(facts),
        risks(card, facts, metrics),
    ]


def learned(metrics: Facts) -> Section:
    accuracy, ceiling, longer = (
        metrics.get(name) or {} for name in ("accuracy", "ceiling", "longer_wins")
    )
    told = (
        f"On {number(accuracy.get('n'))} held-out pairs it sides with people in "
        f"{percent(accuracy.get('value'))} (95 % interval {interval_of(accuracy)})."
        if accuracy.get("value") is not None
        else str(accuracy.get("reason") or "It was measured on no held-out pair.")
    )
    room = (
        f"Two people agree on a pair in {percent(ceiling.get('value'))}; the best a model could "
        f"reach lies in {interval_of(ceiling)}."
        if ceiling.get("interval")
        else f"How much people leave room for is not known: {ceiling.get('reason') or 'no pair has two votes'}"
    )
    return Section(
        title="What it learned",
        key="learned",
        sentences=[
            told,
            room,
            (
                f"Always preferring the longer response reaches {percent(longer.get('value'))} "
                f"({interval_of(longer)}): what a reward model must beat."
            ),
        ],
        tables=[
            Table(
                head=("Measure", "Value", "95 % interval", "Pairs"),
                rows=[
                    (
                        *(measure_title(name), percent(fact.get("value"))),
                        *(interval_of(fact), number(fact.get("n"))),
                    )
                    for name, fact in (
                        ("accuracy", accuracy),
                        ("ceiling", ceiling),
                        ("longer_wins", longer),
                    )
                ],
            )
        ],
        drawings=beside_people(metrics),
    )


def trusted(facts: Facts, metrics: Facts) -> Section:
    """Reliability, before and after the temperature."""
    before, after = (facts.get(f"reliability_{when}", []) for when in ("before", "after"))
    reason = metrics.get("temperature_reason")
    known = [metrics.get(name) for name in ("ece_before", "ece_after", "temperature")]
    told = (
        "Expected calibration error {} as it was trained, {} with the temperature {}.".format(
            *map(number, known)
        )
        if any(one is not None for one in known)
        else "Its calibration error is not known."
    )
    rows = [
        (
            f"{one['low']:.0%} to {one['high']:.0%}",
            percent(one["predicted"]),
            percent(one["observed"]),
            number(one["n"]),
        )
        for one in after
    ]
    head = ("How sure it is", "On average", "People agree", "Pairs")
    return Section(
        title="How far its confidence can be trusted",
        key="reliability",
        sentences=[told, *([str(reason)] if reason else [])],
        tables=[Table(head=head, rows=rows, caption="With the temperature:")] if rows else [],
        drawings=reliability_diagram(before, after),
    )


def explained(metrics: Facts, titles: Titles) -> list[Section]:
    """The head of each criterion beside the score, on the verdicts under that criterion."""
    heads: list[Facts] = metrics.get("criteria") or []
    if not heads:
        return []
    rows = [
        (
            titles.get(one["name"], one["name"]),
            percent(one["accuracy"].get("value")),
            interval_of(one["accuracy"]),
            percent(one["score_accuracy"].get("value")),
            number(one["accuracy"].get("n")),
            number(one["trained_on"]),
        )
        for one in heads
    ]
    head = ("Criterion", "Its head", "95 % interval", "The score", "Held-out pairs", "Learned from")
    return [
        Section(
            title="What a score is made of",
            key="criteria",
            sentences=[
                (
                    "Each criterion of the rubric has a head of its own, fitted to the verdicts under it on the "
                    "model’s own states. How often a head and the score side with people under a criterion: "
                    "where the score does not, it rewards something else."
                )
            ],
            tables=[Table(head=head, rows=rows)],
        )
    ]


def by_slice(card: ModelCard, facts: Facts, titles: Titles) -> list[Section]:
    """Where it is right: by strength, length, criterion, labeler."""
    labelers = [
        {**one, "name": f"Labeler {one['labeler']} ({one['kind']})"} for one in card.by_labeler
    ]
    under = card.by_criterion or facts.get("by_criterion", [])
    criteria = [{**one, "name": titles.get(one["name"], one["name"])} for one in under]
    tables = [
        *share_table(facts.get("by_strength", []), "Strength", "How much better people found it:"),
        *share_table(facts.get("by_length", []), "Length", "Which of the two is longer:"),
        *share_table(criteria, "Criterion", "What was judged:"),
        *share_table(labelers, "Labeler", "Whose verdict it is (five verdicts or more):"),
        *share_table(facts.get("by_source", []), "Source", "Where the pair comes from:"),
    ]
    if not tables:
        return []
    return [
        Section(
            title="Where it is right, and where it is not",
            key="slices",
            sentences=["A model that only likes length fails where the preferred one is shorter."],
            tables=tables,
        )
    ]


def contradicted(card: ModelCard) -> list[Section]:
    """The pairs on which it is surest of what people rejected, to be read and asked again."""
    found = disagreements_of(card)
    if not found:
        return []
    rows = [
        (
            shortened(one.prompt.turns[-1]["content"], EXCERPT),
            shortened(one.preferred.text, EXCERPT),
            shortened(one.rejected.text, EXCERPT),
            number(one.difference),
        )
        for one in found[:SHOWN_PAIRS]
    ]
    head = ("Prompt", "People preferred", "It prefers", "By")
    return [
        Section(
            title="Where it disagrees with people",
            key="disagreements",
            sentences=[
                (
                    f"The {len(found)} held-out pair{'s' * (len(found) != 1)} on which it is surest of what people "
                    "rejected. Some will be its faults, some those of the labels: one more judgment of each tells "
                    "which."
                )
            ],
            tables=[Table(head=head, rows=rows, caption="The surest first:", is_prose=True)],
        )
    ]


def probed(facts: Facts) -> list[Section]:
    """What changes of a response do to its score."""
    probes = facts.get("probes") or {}
    if not probes.get("changes"):
        return []
    rows = [
        (
            one["about"],
            "cost" if one["costs"] else "change nothing",
            number(one["value"]),
            interval_of(one, as_percent=False),
            percent(one["rises"]),
            "suspect" if one["is_suspect"] else "as it should",
        )
        for one in probes["changes"]
    ]
    head = ("Change", "It should", "Score moves by", "95 % interval", "Rises in", "Found")
    return [
        Section(
            title="What moves its score",
            key="probes",
            sentences=[
                (
                    f"{number(probes['n'])} held-out responses were changed in one way each; moves are in "
                    "standard deviations of the unchanged scores. The order in which responses are "
                    f"scored moves a score by at most {number(probes['order'])}."
                )
            ],
            tables=[Table(head=head, rows=rows)],
        )
    ]


def risks(card: ModelCard, facts: Facts, metrics: Facts) -> Section:
    """What the figures warn of; where nothing does, that is said, with what was looked for."""
    found = [one for one in _risks(card, facts, metrics) if one]
    return Section(
        title="Risks seen",
        key="risks",
        sentences=[] if found else [_nothing_seen(facts, metrics)],
        bullets=found,
    )


def _nothing_seen(facts: Facts, metrics: Facts) -> str:
    """What was looked at, and no more."""
    accuracy = metrics.get("accuracy") or {}
    value, ends = accuracy.get("value"), accuracy.get("interval")
    slices = [*facts.get("by_strength", []), *facts.get("by_length", [])]
    looked = (
        ("it beats length", ends and (metrics.get("longer_wins") or {}).get("value") is not None),
        ("it is no better than people usually leave room for", _is_in_reach(value)),
        ("its confidence holds", metrics.get("ece_after") is not None),
        ("no slice sides against people", any(map(_is_read, slices))),
        ("no probe is suspect", (facts.get("probes") or {}).get("changes")),
    )
    told = [about for about, is_known in looked if is_known]
    if not told:
        return "No check was made: too little was measured."
    return f"None of the checks made fired: {', '.join(told)}."


def _is_in_reach(value: float | None) -> bool:
    return value is not None and value <= LEAK_SUSPECTED


def _is_read(part: Fact) -> bool:
    """Enough pairs for a word on this slice."""
    return bool(part.get("interval")) and part["n"] >= FEWEST_IN_A_SLICE


def _risks(card: ModelCard, facts: Facts, metrics: Facts) -> list[str]:
    accuracy = metrics.get("accuracy") or {}
    found = [_against_length(accuracy, metrics.get("longer_wins") or {}), _too_good(accuracy)]
    if (error := metrics.get("ece_after")) is not None and error > POORLY_CALIBRATED:
        found.append(
            f"Its confidence is off by {percent(error)} on average; do not read scores as chances."
        )
    found += map(_weak, [*facts.get("by_strength", []), *facts.get("by_length", [])])
    found += [
        f"Probe “{one['name']}” is suspect: {one['about']} The score moves by {number(one['value'])}."
        for one in (facts.get("probes") or {}).get("changes", [])
        if one["is_suspect"]
    ]
    machines = [one for one in card.by_labeler if one["kind"] != "person"]
    if machines:
        found.append(
            f"{len(machines)} of the labelers it is measured against are no people; their verdicts "
            "are not the standard it should be held to."
        )
    return found


def _against_length(accuracy: Fact, longer: Fact) -> str:
    ends, baseline = accuracy.get("interval"), longer.get("value")
    if not ends or baseline is None or ends[0] > baseline:
        return ""
    return (
        f"It cannot be told from always preferring the longer response ({percent(baseline)} lies "
        f"not below its interval, {interval_of(accuracy)})."
    )


def _too_good(accuracy: Fact) -> str:
    value, n = accuracy.get("value"), accuracy.get("n") or 0
    if value is None or _is_in_reach(value) or n >= FEW_PAIRS:
        return ""
    return (
        f"{percent(value)} on {n} pairs is more than people usually leave room for (60 to 75 %): "
        "look for a leak, such as near-duplicate prompts or labels that a rule made."
    )


def _weak(part: Fact) -> str:
    if not _is_read(part) or part["interval"][1] >= 0.5:
        return ""
    return f"Where “{part['name']}”, it sides against people: {percent(part['value'])} ({interval_of(part)})."
