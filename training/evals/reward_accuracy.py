"""How often a reward model agrees with people on held-out pairs, and what to compare that with."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence

import torch

from training.data.chat import reading_limits
from training.data.packing import pack_groups, rows_under_budget
from training.data.preferences import PairGroup, PairReader
from training.data.records import groups_of, read_some
from training.data.tokens import Tally, counts_of
from training.evals.calibration import FEWEST, Difference, calibrate
from training.evals.criteria import explain
from training.evals.probes import probe
from training.evals.reward_card import card_facts, facts_of
from training.evals.scored_pairs import ScoredPair, half_win, judged, share_of
from training.functional.intervals import Measured
from training.functional.ties import TIE_MODELS, TieModel
from training.models.load import LoadedModel
from training.models.reward import load_ties, save_temperature, score_tree, trained_reward_model
from training.runtime.checkpoint import write_atomically
from training.runtime.device import pick_device
from training.runtime.run import Run
from training.spec.events import EventKind, json_value
from training.spec.layout import CARD_FILE, HELD_OUT_FILE
from training.spec.preferences import RewardModelSpec

FEWEST_VOTED = 10  # pairs from which a band is told
TOO_FEW = f"Fewer than {FEWEST} decided pairs are held out, or all are of one prompt."


def evaluate(run: Run, spec: RewardModelSpec) -> Mapping[str, object]:
    """Score the held-out pairs with the published artifact, and save the fitted temperature there.

    Validation and test pairs count alike: the trainer chose nothing by looking at either.
    """
    reward = trained_reward_model(run, spec, pick_device())
    run.watch(reward.model)
    tallies = {"pairs": Tally()}
    pairs = list(_scored_pairs(reward, _held_out(reward, spec, run, tallies["pairs"]), spec, run))
    metrics = describe(pairs) | tie_measures(pairs, load_ties(run.artifact))
    if criteria := explain(run, spec, reward, tallies):
        metrics["criteria"] = criteria
    metrics["held_out_records"] = counts_of(tallies)
    if metrics["temperature"] is not None:
        save_temperature(run.artifact, float(str(metrics["temperature"])))
    run.reporter.say(EventKind.EVALUATION, metrics)
    write_card(run, spec, reward, pairs, metrics)
    return metrics


def write_card(
    run: Run,
    spec: RewardModelSpec,
    reward: LoadedModel,
    pairs: Sequence[ScoredPair],
    metrics: Mapping[str, object],
) -> None:
    """The card beside the weights, and every held-out pair by name in the run's folder."""
    temperature = metrics["temperature"]
    facts = card_facts(pairs, None if temperature is None else float(str(temperature)))
    probed = probe(reward, groups_of(spec.data, "validation", "test"), spec, run)
    card = {"metrics": dict(metrics), **facts, "probes": probed}
    text = json.dumps(json_value(card), ensure_ascii=False, indent=1)
    write_atomically(run.artifact / CARD_FILE, text)
    lines = [json.dumps(json_value(facts_of(pair))) for pair in judged(pairs)]
    write_atomically(run.folder / HELD_OUT_FILE, "".join(f"{line}\n" for line in lines))


def describe(pairs: Sequence[ScoredPair]) -> dict[str, object]:
    """All statistics of the scored pairs, as they go into `result.json`."""
    fit = calibrate(
        [Difference(one.prompt_id, one.split, one.difference, one.label) for one in judged(pairs)]
    )
    return {
        "accuracy": reward_accuracy(pairs)._asdict(),
        "longer_wins": longer_wins(pairs)._asdict(),
        "ceiling": accuracy_ceiling(pairs)._asdict(),
        "ece_before": fit.ece_before if fit else None,
        "ece_after": fit.ece_after if fit else None,
        "temperature": fit.temperature.value if fit else None,
        "temperature_reason": fit.temperature.reason if fit else TOO_FEW,
    }


def tie_measures(pairs: Sequence[ScoredPair], model: TieModel | None) -> dict[str, object]:
    """How often held-out pairs tie, and how often the model of ties says so; {} without one.

    It takes the scores as they are: its parameter was learned with them, not with the temperature.
    """
    if model is None or not pairs:
        return {}
    difference_B = torch.tensor([one.difference for one in pairs], dtype=torch.float64)
    return {
        "tie_parameter": model.parameter,
        "tie_share": math.fsum(one.tied for one in pairs) / len(pairs),
        "tie_share_predicted": model.probabilities(difference_B)[:, 1].mean().item(),
    }


def reward_accuracy(pairs: Sequence[ScoredPair]) -> Measured:
    """Share of pairs, ties excluded, whose chosen response scores higher; equal scores are half."""
    return share_of(pairs, lambda pair: half_win(pair.difference))


def longer_wins(pairs: Sequence[ScoredPair]) -> Measured:
    """The accuracy of 'the longer response is better': what a reward model must beat."""
    return share_of(pairs, lambda pair: half_win(pair.chosen_length - pair.rejected_length))


def accuracy_ceiling(pairs: Sequence[ScoredPair]) -> Measured:
    """The band in which a perfect reward model's accuracy lies, from how often two votes agree.

    With A the chance that two people agree on a pair, a model that sides with the majority agrees
    with one person's vote at least as often as another person does (A), and at most, if all pairs
    are equally hard, (1 + sqrt(2 A - 1)) / 2. ``value`` is A, ``interval`` the band.
    """
    voted = [one for one in judged(pairs) if one.votes_chosen + one.votes_rejected >= 2]
    if not voted:
        return Measured(None, None, 0, "No held-out pair has two votes.")
    agreement = math.fsum(_agreement(one) for one in voted) / len(voted)
    if len(voted) < FEWEST_VOTED:
        few = f"Fewer than {FEWEST_VOTED} held-out pairs have two votes: too few for a band."
        return Measured(agreement, None, len(voted), few)
    if agreement < 0.5:
        return Measured(agreement, None, len(voted), "People agree less often than chance.")
    return Measured(agreement, (agreement, (1 + math.sqrt(2 * agreement - 1)) / 2), len(voted))


def _agreement(pair: ScoredPair) -> float:
    """The chance that two different votes of a pair are the same."""
    votes = pair.votes_chosen + pair.votes_rejected
    same = sum(one * max(0.0, one - 1) for one in (pair.votes_chosen, pair.votes_rejected))
    return same / (votes * (votes - 1))


def _held_out(
    reward: LoadedModel, spec: RewardModelSpec, run: Run, tally: Tally
) -> list[PairGroup]:
    limits = reading_limits(reward, spec)
    reader = PairReader(
        tokenizer=reward.tokenizer, limits=limits, keeps_ties=spec.ties in TIE_MODELS
    )
    records = groups_of(spec.data, "validation", "test")
    groups = read_some(records, reader.read, spec.most_measured, tally)
    run.reporter.log("The held-out pairs are read.", **tally.as_dict())
    return groups


@torch.no_grad()
def _scored_pairs(
    reward: LoadedModel, groups: list[PairGroup], spec: RewardModelSpec, run: Run
) -> Iterator[ScoredPair]:
    rows = list(rows_under_budget(groups, spec.tokens_per_forward))
    for row in run.track(rows, stage="held-out pairs", total=len(rows), unit="batches"):
        pack = pack_groups([group.tokens for group in row]).to(reward.device)
        scores = iter(score_tree(reward, pack.tree, pack.last_N).tolist())
        for group in row:
            yield from pairs_of(group, [next(scores) for _ in group.lengths])


def pairs_of(group: PairGroup, scores: Sequence[float]) -> Iterator[ScoredPair]:
    """The pairs of a group with the score of each of its responses, in their order."""
    for pair in group.pairs:
        yield ScoredPair(
            prompt_id=group.tokens.prompt_id,
            split=group.split,
            difference=scores[pair.chosen] - scores[pair.rejected],
            label=pair.label,
            is_tie=pair.record.is_tie,
            tied=pair.tied,
            votes_chosen=pair.record.votes_chosen,
            votes_rejected=pair.record.votes_rejected,
            chosen_length=group.lengths[pair.chosen],
            rejected_length=group.lengths[pair.rejected],
            strength=abs(pair.record.margin),
            criterion=pair.record.criterion,
            source=pair.record.source,
            chosen=pair.record.chosen,
            rejected=pair.record.rejected,
        )
