"""Win rates that may be looked at after every vote: confidence sequences (Howard et al. 2021).

An ordinary interval looked at after each vote excludes the truth far more often than it promises.
"""

from math import log, sqrt

from scipy.special import betaln

from annotation.measures.statistic import Interval, Statistic, missing

EDGE = 1e-12


def normal_mixture_rho(variance: float, *, error: float = 0.05) -> float:
    """The mixture weight that makes the bound tightest at ``variance`` (their eq. 24)."""
    return variance / (2 * log(1 / error) + log(1 + 2 * log(1 / error)))


def normal_mixture_bound(variance: float, *, rho: float, error: float = 0.05) -> float:
    """Two-sided bound on a centered sum, valid at all times at once (their eq. 14)."""
    return sqrt((variance + rho) * log((variance + rho) / (rho * error**2)))


def win_rate_evidence(p: float, *, wins: float, votes: float, best_at: float) -> float:
    """Log evidence against win rate ``p``: a beta-binomial mixture centered on it.

    The prior Beta(a, b) has mean p and a + b chosen so that the sequence is tightest after
    ``best_at`` votes; the ratio of likelihoods is a martingale if p is the truth.
    """
    spread = p * (1 - p)
    mass = normal_mixture_rho(best_at * spread) / spread - 1
    a, b = mass * p, mass * (1 - p)
    mixture = float(betaln(a + wins, b + votes - wins) - betaln(a, b))
    return mixture - wins * log(p) - (votes - wins) * log(1 - p)


def win_rate_sequence(
    wins: float, votes: float, *, error: float = 0.05, best_at: float = 100.0
) -> Interval:
    """All win rates against which the evidence stays below 1 / error."""

    def excess(p: float) -> float:
        evidence = win_rate_evidence(p, wins=wins, votes=votes, best_at=best_at)
        return evidence - log(1 / error)

    rate = min(max(wins / votes, EDGE), 1 - EDGE)
    from scipy.optimize import brentq  # here: the web process need not hold it

    low = brentq(excess, EDGE, rate) if excess(EDGE) > 0 > excess(rate) else 0.0
    high = brentq(excess, rate, 1 - EDGE) if excess(1 - EDGE) > 0 > excess(rate) else 1.0
    return Interval(float(low), float(high))


def win_rate(wins: int, votes: int) -> Statistic:
    """The win rate among decided votes with its always-valid interval."""
    if votes == 0:
        return missing("There is no decided vote yet.")
    return Statistic(value=wins / votes, interval=win_rate_sequence(wins, votes), n=votes)
