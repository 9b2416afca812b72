"""How each statistic of statistics_references.json is computed with our own functions."""

from functools import cache

import numpy as np
import pytest

from annotation.measures import (
    bias,
    calibration,
    coefficients,
    consensus,
    evaluation,
    labelers,
    pairs,
    ranking,
    sequential,
)
from annotation.measures.agreement import Agreement, jackknife_se
from annotation.measures.coefficients import Level
from annotation.measures.consensus import LabelerModel
from annotation.measures.moments import moments_of
from annotation.measures.ranking import PairCounts, TieModel
from annotation.measures.statistic import normal_interval, proportions
from annotation.measures.table import Patterns, RatingTable
from tests.unit.annotation.measures import builders

COMPUTE = {}


def near(value, tol):
    """The expected value within its tolerance, through lists and mappings; None is None."""
    if isinstance(value, dict):
        return {key: near(inner, tol) for key, inner in value.items()}
    if isinstance(value, list):
        return [near(inner, tol) for inner in value]
    return None if value is None else pytest.approx(value, abs=max(tol, 1e-12))


def compute(case, stat):
    return plain((COMPUTE.get((case["id"], stat)) or COMPUTE[stat])(case))


def plain(value):
    """Arrays as lists, so that a comparison goes element by element."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(inner) for inner in value]
    return value


def statistic(name, case_id=None):
    """Register the function that computes ``name``, for one case or for all."""

    def register(function):
        COMPUTE[(case_id, name) if case_id else name] = function
        return function

    return register


def patterns(case):
    if case["data_format"].startswith("counts"):
        return Patterns.from_counts(case["data"])
    return Agreement(table(case)).patterns


def table(case):
    if case["data_format"].startswith("contingency"):
        return builders.from_contingency(case["data"])
    if case["id"] == "bluebirds":
        data = case["data"]
        return RatingTable.from_columns(data["item"], data["worker"], data["label"], ("0", "1"))
    return builders.from_matrix(case["data"])


def coefficient(case, model):
    shown = patterns(case)
    identity = coefficients.identity_weights(shown.label_count)
    return float(coefficients.corrected(moments_of(shown, identity), identity, model))


def alpha(case, level):
    return Agreement(table(case)).alpha(level).value


for level in Level:
    COMPUTE[f"alpha_{level}"] = lambda case, level=level: alpha(case, level)

COMPUTE["fleiss_kappa"] = lambda case: coefficient(case, coefficients.FLEISS)
COMPUTE["scott_pi"] = lambda case: coefficient(case, coefficients.FLEISS)
COMPUTE["gwet_ac1"] = lambda case: coefficient(case, coefficients.GWET)
COMPUTE["percent_agreement"] = lambda case: coefficient(case, coefficients.UNCORRECTED)
for name in ("brennan_prediger", "brennan_prediger_pabak", "randolph_free_marginal_kappa"):
    COMPUTE[name] = lambda case: coefficient(case, coefficients.BRENNAN_PREDIGER)


@statistic("category_totals")
def category_totals(case):
    shown = patterns(case)
    return shown.items @ shown.counts


@statistic("cohen_kappa")
def cohen_kappa(case):
    return Agreement(table(case)).cohen().value


@statistic("weighted_kappa_linear")
def weighted_kappa(case):
    return Agreement(table(case)).cohen(Level.ORDINAL).value


@statistic("ase_cohen")
@statistic("ase")
def cohen_se(case):
    cells = np.array(case["data"], dtype=float)
    return pairs.cohen_se(cells, np.eye(len(cells)))


@statistic("ase_weighted")
def weighted_cohen_se(case):
    cells = np.array(case["data"], dtype=float)
    return pairs.cohen_se(cells, coefficients.linear_weights(np.arange(3.0)))


@statistic("ci95")
def cohen_interval(case):
    return normal_interval(cohen_kappa(case), se=cohen_se(case))


@statistic("alpha_nominal_without_each_rater")
def alpha_without_each(case):
    return Agreement(table(case)).alpha_without_each_labeler(Level.NOMINAL)


@statistic("jackknife_se_over_raters")
def jackknife(case):
    return jackknife_se(alpha_without_each(case))


def gwet_family(case, weights):
    ratings = table(case)
    shown = Agreement(ratings).patterns
    moments = moments_of(shown, weights)
    models = {
        "gwet_ac": coefficients.GWET,
        "fleiss": coefficients.FLEISS,
        "brennan_prediger": coefficients.BRENNAN_PREDIGER,
    }
    family = {
        name: {
            "value": float(coefficients.corrected(moments, weights, model)),
            "se": coefficients.corrected_se(shown, weights, model),
        }
        for name, model in models.items()
    }
    family["conger"] = dict(zip(("value", "se"), pairs.conger(ratings, weights), strict=True))
    family["krippendorff_identity_or_weighted"] = {
        "value": float(coefficients.weighted_alpha(moments, weights)),
        "se": coefficients.weighted_alpha_se(shown, weights),
    }
    return family


NUMBERS = np.arange(1.0, 6.0)
for name, weights in {
    "identity": coefficients.identity_weights(5),
    "linear": coefficients.linear_weights(NUMBERS),
    "quadratic": coefficients.quadratic_weights(NUMBERS),
    "ordinal": coefficients.ordinal_weights(5),
}.items():
    COMPUTE[f"gwet_family[{name}]"] = lambda case, weights=weights: gwet_family(case, weights)


@statistic("alpha(all_identical)")
def alpha_of_identical_labels(case):
    return Agreement(builders.from_matrix(case["data"]["all_identical"])).alpha(Level.NOMINAL).value


@statistic("percent_agreement(all_identical)")
def percent_of_identical_labels(case):
    return Agreement(builders.from_matrix(case["data"]["all_identical"])).percent().value


@statistic("gwet_ac1(all_identical, K=2)")
def gwet_of_identical_labels(case):
    declared = builders.from_matrix(case["data"]["all_identical"], scale=[1, 2])
    return Agreement(declared).gwet().value


@statistic("alpha(single_rating_items)")
def alpha_of_single_ratings(case):
    ratings = builders.from_matrix(case["data"]["single_rating_items"])
    return Agreement(ratings).alpha(Level.NOMINAL).value


@statistic("loo_consensus_accuracy")
def leave_one_out_accuracy(case):
    hits, scored = leave_one_out_hits(case)
    return hits / scored


@statistic("loo_consensus_n")
def leave_one_out_n(case):
    return leave_one_out_hits(case)[1]


def leave_one_out_hits(case):
    shown = Agreement(table(case))
    return labelers.agreement_with_others(
        shown.patterns, shown.cells, labeler_count=shown.table.labeler_count
    )


def baseball(case, *, with_position):
    rows = [(home, away, won, 0, lost) for home, away, won, lost in case["data"]["rows"]]
    return ranking.rank(
        PairCounts.from_rows(rows),
        candidate_count=7,
        ties=TieModel.NONE,
        with_position=with_position,
    )


def beyond_first(ranked):
    return (ranked.strengths - ranked.strengths[0])[1:]


def contrast_errors(ranked):
    return [ranked.contrast(other, 0)[1] for other in range(1, len(ranked.strengths))]


def worth(ranked):
    return np.exp(ranked.strengths) / np.exp(ranked.strengths).sum()


def pudding(case, ties):
    rows = np.array(case["data"]) - [1, 1, 0, 0, 0]
    return ranking.rank(PairCounts.from_rows(rows), candidate_count=6, ties=ties)


def davidson(case):
    return pudding(case, TieModel.DAVIDSON)


def rao_kupper(case):
    return pudding(case, TieModel.RAO_KUPPER)


COMPUTE.update(
    {
        "log_strength_minus_Baltimore": lambda case: beyond_first(
            baseball(case, with_position=False)
        ),
        ("agresti_baseball", "se"): lambda case: contrast_errors(
            baseball(case, with_position=False)
        ),
        "deviance": lambda case: baseball(case, with_position=False).deviance,
        "with_order_effect_log_strength_minus_Baltimore": lambda case: beyond_first(
            baseball(case, with_position=True)
        ),
        "order_effect": lambda case: baseball(case, with_position=True).position,
        "order_effect_se": lambda case: baseball(case, with_position=True).position_se,
        "with_order_effect_worth_sum1": lambda case: worth(baseball(case, with_position=True)),
        "deviance_order": lambda case: baseball(case, with_position=True).deviance,
        "davidson_worth": lambda case: worth(davidson(case)),
        "davidson_nu": lambda case: davidson(case).tie_parameter,
        "davidson_log_worth_minus_1": lambda case: [0.0, *beyond_first(davidson(case))],
        "davidson_se_log_worth": lambda case: contrast_errors(davidson(case)),
        "davidson_se_log_nu": lambda case: davidson(case).tie_parameter_log_se,
        "loglik_davidson": lambda case: davidson(case).log_likelihood,
        "rao_kupper_worth": lambda case: worth(rao_kupper(case)),
        "rao_kupper_theta": lambda case: rao_kupper(case).tie_parameter,
        "loglik_rao_kupper": lambda case: rao_kupper(case).log_likelihood,
    }
)


@statistic("ml_centred")
def centered_strengths(case):
    rows = [(winner, loser, 1, 0, 0) for winner, loser in case["data"]]
    counts = PairCounts.from_rows(rows)
    return ranking.rank(counts, candidate_count=3, ties=TieModel.NONE).strengths


@cache
def anesthetists(rows):
    patients, people, classes = np.array(rows).T - 1
    judged = RatingTable.from_columns(patients, people, classes, tuple("1234"))
    return consensus.dawid_skene(judged, model=LabelerModel.CONFUSION, rounds=500, tolerance=1e-14)


def dawid_skene_1979(case):
    return anesthetists(tuple(map(tuple, case["data"])))


def accuracy(case, winners):
    return float((winners == np.array(case["data"]["truth"])).mean())


def estimated(case, model):
    return consensus.dawid_skene(table(case), model=model)


COMPUTE.update(
    {
        "class_marginals": lambda case: dawid_skene_1979(case).class_shares,
        "loglik": lambda case: dawid_skene_1979(case).log_likelihood,
        "error_rates[rater][true][said]": lambda case: dawid_skene_1979(case).confusions,
        "map_class_1based": lambda case: dawid_skene_1979(case).winners + 1,
        "uncertain_patients": lambda case: {
            str(patient): dawid_skene_1979(case).posteriors[patient - 1] for patient in (35, 38)
        },
        "accuracy_majority": lambda case: accuracy(case, consensus.majority(table(case)).winners),
        "accuracy_dawid_skene_converged": lambda case: accuracy(
            case, estimated(case, LabelerModel.CONFUSION).winners
        ),
        "accuracy_one_coin_map": lambda case: accuracy(
            case, estimated(case, LabelerModel.ONE_COIN).winners
        ),
        "accuracy_hierarchical_ds_kappa4": lambda case: accuracy(
            case, estimated(case, LabelerModel.HIERARCHICAL).winners
        ),
        "loglik_ds": lambda case: estimated(case, LabelerModel.CONFUSION).log_likelihood,
    }
)

COMPUTE.update(
    {
        "normal_mixture_best_rho(v=100,alpha=.05)": lambda _: sequential.normal_mixture_rho(100),
        "normal_mixture_bound(v=100,alpha=.05,rho=best)": lambda _: sequential.normal_mixture_bound(
            100, rho=sequential.normal_mixture_rho(100)
        ),
        "bernoulli_cs(700,1000,t_opt=100)": lambda _: sequential.win_rate_sequence(700, 1000),
        "wilson95": lambda case: proportions(
            np.array([case["data"]["chose_first"]]),
            np.array([case["data"]["decisive"]]),
            nothing="-",
        )[0]["interval"],
        "binom_two_sided_p": lambda case: bias.even_chance_p_value(
            case["data"]["chose_first"], n=case["data"]["decisive"]
        ),
        "rejected_at_.05": lambda case: [
            bool(p <= 0.05) for p in labelers.adjusted_p_values(case["data"])
        ],
        "adjusted": lambda case: labelers.adjusted_p_values(case["data"]),
        "circular_triads": lambda case: labelers.circular_triads(case["data"]),
        "zeta": lambda case: labelers.consistence(case["data"]),
        "ece_10_equal_width": lambda case: calibration.expected_calibration_error(**case["data"]),
        "brier": lambda case: calibration.brier(**case["data"]),
        "log_loss": lambda case: calibration.log_loss(**case["data"]),
        "lower": lambda case: [calibration.accuracy_ceiling(a).low for a in case["data"]["A"]],
        ("rm_ceiling", "upper"): lambda case: [
            calibration.accuracy_ceiling(a).high for a in case["data"]["A"]
        ],
    }
)


def length_controlled(case):
    return bias.length_control(case["data"]["delta_len"], case["data"]["win"])


def corrected_rate(case):
    data = case["data"]
    return evaluation.prediction_powered_rate(
        data["y"], data["judge_on_labelled"], data["judge_on_unlabelled"]
    )


def exam(case):
    data = case["data"]
    return labelers.EntryExam(
        p0=data["p0"], p1=data["p1"], false_pass=data["alpha"], false_fail=data["beta"]
    )


def straight(case, right):
    """How many equal answers in a row decide the exam."""
    counts = range(1, 100)
    return next(n for n in counts if exam(case).decide([right] * n) is not None)


COMPUTE.update(
    {
        "bon_peak_d": lambda _: evaluation.best_of_n_peak(1.0, 0.25).distance,
        "bon_peak_R": lambda _: evaluation.best_of_n_peak(1.0, 0.25).reward,
        "rl_peak_d": lambda _: evaluation.policy_gradient_peak(1.0, 0.25).distance,
        "rl_peak_R": lambda _: evaluation.policy_gradient_peak(1.0, 0.25).reward,
        "bon_kl(n=16)": lambda case: evaluation.best_of_n_kl(case["data"]["n"]),
        "distinct_1": lambda case: evaluation.distinct(case["data"], size=1),
        "distinct_2": lambda case: evaluation.distinct(case["data"], size=2),
        "self_bleu4_mean_nltk_method1": lambda case: evaluation.self_bleu(case["data"]),
        "unigram_entropy_bits": lambda case: evaluation.unigram_entropy(case["data"]),
        "theta_phi": lambda case: [
            length_controlled(case).intercept,
            length_controlled(case).length_effect.value,
        ],
        "raw_win_rate": lambda case: length_controlled(case).raw_win_rate.value,
        "lc_win_rate": lambda case: length_controlled(case).win_rate.value,
        "lc_se_delta_method": lambda case: length_controlled(case).win_rate_se,
        "lambda": lambda case: corrected_rate(case).judge_weight,
        "win_rate": lambda case: corrected_rate(case).statistic.value,
        ("prediction_powered_win_rate", "se"): lambda case: corrected_rate(case).se,
        "llr_correct": lambda case: exam(case).step_right,
        "llr_wrong": lambda case: exam(case).step_wrong,
        ("sprt_gold", "upper"): lambda case: exam(case).pass_at,
        "pass_after_k_straight_correct": lambda case: straight(case, right=True),
        "fail_after_k_straight_wrong": lambda case: straight(case, right=False),
    }
)
