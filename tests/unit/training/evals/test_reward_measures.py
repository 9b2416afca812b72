import pytest
import torch

from training.evals.calibration import (
    Difference,
    calibrate,
    choose_temperature,
    ece,
    fit_temperature,
)
from training.evals.reward_accuracy import (
    accuracy_ceiling,
    describe,
    longer_wins,
    reward_accuracy,
)
from training.evals.scored_pairs import ScoredPair


def pair(difference: float, prompt: str = "", **facts: float) -> ScoredPair:
    return ScoredPair(prompt, "validation", difference, 1.0, **facts)  # type: ignore[arg-type] # facts by name


def test_equal_scores_are_half_a_win() -> None:
    """Won, lost, equal: (1 + 0 + 1/2) / 3."""
    pairs = [pair(1.0, "a"), pair(-1.0, "b"), pair(0.0, "c")]
    assert reward_accuracy(pairs).value == pytest.approx(0.5)


def test_ties_do_not_count() -> None:
    pairs = [pair(1.0, "a"), ScoredPair("b", "test", -1.0, 0.5, is_tie=True)]
    assert (reward_accuracy(pairs).value, reward_accuracy(pairs).n) == (1.0, 1)


def test_pairs_of_one_prompt_are_not_independent() -> None:
    won = [1.0] * 10 + [-1.0] * 10
    alone = reward_accuracy([pair(one, str(at)) for at, one in enumerate(won)])
    together = reward_accuracy([pair(one, str(at // 10)) for at, one in enumerate(won)])
    assert alone.interval is not None
    assert together.interval is not None
    assert together.interval[1] - together.interval[0] > alone.interval[1] - alone.interval[0]


def test_winning_every_pair_of_several_prompts_is_not_certainty() -> None:
    found = reward_accuracy([pair(1.0, str(at // 2)) for at in range(20)])
    assert found.interval is not None
    assert found.interval[0] < 1.0


def test_the_longer_response_is_the_one_to_beat() -> None:
    pairs = [
        pair(1.0, "a", chosen_length=9, rejected_length=2),
        pair(1.0, "b", chosen_length=1, rejected_length=2),
        pair(1.0, "c", chosen_length=9, rejected_length=2),
        pair(1.0, "d", chosen_length=2, rejected_length=2),
    ]
    assert longer_wins(pairs).value == pytest.approx(2.5 / 4)


def test_the_ceiling_comes_from_votes_that_agree() -> None:
    """3:0 always agree, 2:1 in one of three: A = 2/3, (1 + sqrt(1/3)) / 2 = 0.78868."""
    pairs = [
        pair(1.0, votes_chosen=3, votes_rejected=0),
        pair(1.0, votes_chosen=2, votes_rejected=1),
        pair(1.0, votes_chosen=1, votes_rejected=0),
    ]
    found = accuracy_ceiling(pairs * 5)
    assert found.n == 10
    assert found.interval == pytest.approx((2 / 3, 0.788675), abs=1e-6)


def test_a_band_needs_more_than_a_few_pairs() -> None:
    """Two pairs of three equal votes each would tell a ceiling of 100 % without any doubt."""
    found = accuracy_ceiling([pair(1.0, votes_chosen=3, votes_rejected=0)] * 9)
    assert (found.value, found.interval, found.n) == (1.0, None, 9)
    assert found.reason == "Fewer than 10 held-out pairs have two votes: too few for a band."


def test_a_ceiling_needs_two_votes() -> None:
    assert accuracy_ceiling([pair(1.0)]).reason == "No held-out pair has two votes."


def test_people_who_agree_less_than_chance_give_no_band() -> None:
    found = accuracy_ceiling([pair(1.0, votes_chosen=1, votes_rejected=1)])
    assert (found.value, found.interval) == (0.0, None)


def test_nothing_held_out_says_so() -> None:
    assert reward_accuracy([]).reason == "There are no held-out pairs."
    assert describe([])["temperature"] is None


def test_calibration_error_of_two_bins() -> None:
    """Confidence 0.55 right half the time, 0.75 right always: (0.05 + 0.25) / 2 = 0.15."""
    logits = torch.logit(torch.tensor([0.55, 0.55, 0.75, 0.75], dtype=torch.float64))
    signs = torch.tensor([1.0, -1.0, 1.0, 1.0])
    assert ece(logits * signs, torch.ones(4)) == pytest.approx(0.15)


def test_the_fitted_temperature_undoes_overconfidence() -> None:
    """Labels are sigmoid(d), the model says 3 d: 3, less the prior's pull, which 1,001 pairs outweigh."""
    truth = torch.linspace(-3, 3, 1001, dtype=torch.float64)
    assert fit_temperature(3 * truth, torch.sigmoid(truth)) == pytest.approx(3.0, rel=0.01)


def test_an_overconfident_models_error_falls_with_the_fitted_temperature() -> None:
    torch.manual_seed(0)
    truth = torch.randn(2000, dtype=torch.float64)
    labels = torch.bernoulli(torch.sigmoid(truth))
    pairs = [
        Difference(str(at), ("validation", "test")[at % 2], 4 * d, y)
        for at, (d, y) in enumerate(zip(truth.tolist(), labels.tolist(), strict=True))
    ]
    found = calibrate(pairs)
    assert found is not None
    assert found.temperature.value == pytest.approx(4.0, rel=0.15)
    assert found.ece_after < 0.3 * found.ece_before
    assert found.n == 1000


def test_without_a_test_split_each_half_is_measured_by_the_other() -> None:
    pairs = [Difference(str(at), "validation", 2.0, float(at % 4 != 0)) for at in range(40)]
    found = calibrate(pairs)
    assert found is not None
    assert found.n == 40


def verdicts(difference: float, *, right: int, wrong: int, split: str = "") -> list[Difference]:
    """Pairs of one confidence, of which so many are right and so many wrong."""
    signs = [1.0] * right + [-1.0] * wrong
    return [
        Difference(f"{split}{at}", split, difference * one, 1.0) for at, one in enumerate(signs)
    ]


def test_few_pairs_repair_an_overconfident_model() -> None:
    """sigmoid(4) = 0.982 where 45 of 60 are right: an error of 0.232. 4 / ln 3 = 3.64 is exact."""
    found = calibrate(
        [
            *verdicts(4.0, right=45, wrong=15, split="validation"),
            *verdicts(4.0, right=45, wrong=15, split="test"),
        ]
    )
    assert found is not None
    assert found.temperature.reason == ""
    assert 3.0 < found.temperature.value < 3.64
    assert found.ece_before == pytest.approx(0.232, abs=1e-3)
    assert found.ece_after < 0.05


def test_few_pairs_ordered_by_chance_leave_the_temperature_alone() -> None:
    """30 of 60 right at d = 0.5: the likelihood alone is best at infinity.

    With the prior T is about 1.8. There the loss falls by 0.021 nats a pair, with a deviation of
    0.11 and so 0.014 for their mean: no more than noise.
    """
    noisy = verdicts(0.5, right=30, wrong=30)
    fitted = fit_temperature(
        torch.tensor([pair.difference for pair in noisy], dtype=torch.float64),
        torch.ones(60, dtype=torch.float64),
    )
    assert 1.6 < fitted < 1.9
    chosen = choose_temperature(noisy)
    assert chosen.value == 1.0
    assert "no more than noise" in chosen.reason


def test_too_few_validation_pairs_leave_the_temperature_alone() -> None:
    pairs = [
        *verdicts(4.0, right=9, wrong=10, split="validation"),
        *verdicts(4.0, right=45, wrong=15, split="test"),
    ]
    found = calibrate(pairs)
    assert found is not None
    assert found.ece_after == found.ece_before
    assert found.temperature == (1.0, "19 decided pairs to fit on; at least 20 are needed.")


def test_a_separable_model_keeps_a_moderate_temperature() -> None:
    """Nine won at d = 1: ever lower temperatures are likelier, the prior holds them back."""
    assert 0.3 < fit_temperature(torch.ones(9), torch.ones(9)) < 0.7


def test_few_pairs_fit_no_temperature() -> None:
    assert calibrate([Difference("a", "test", 1.0, 1.0)]) is None
    assert "Fewer than 20" in str(describe([])["temperature_reason"])
