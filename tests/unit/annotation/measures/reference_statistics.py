"""How each statistic of statistics_references.json is computed with our own functions."""

import numpy as np
import pytest

from annotation.measures import coefficients, pairs
from annotation.measures.agreement import Agreement, jackknife_se
from annotation.measures.coefficients import Level
from annotation.measures.moments import moments_of
from annotation.measures.statistic import normal_interval
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


def computes(case, stat):
    return (case["id"], stat) in COMPUTE or stat in COMPUTE


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
