"""Empirical Bayes: shares of few observations are drawn to the common share, those of many stay."""

import numpy as np
import numpy.typing as npt

from annotation.measures.statistic import FloatArray

MASS_MAX = 1e6  # prior observations beyond which all shares are one


def beta_prior(hits: npt.ArrayLike, n: npt.ArrayLike) -> tuple[float, float] | None:
    """The Beta prior from which the shares were drawn, by moments (Kleinman 1973, JASA 68).

    mean m = sum hits / sum n; the variance of shares beyond the binomial one gives a + b. None
    where fewer than two have observations.
    """
    right, size = np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64)
    right, size = right[size > 0], size[size > 0]
    if len(size) < 2:
        return None
    total = size.sum()
    mean = right.sum() / total
    scatter = float((size * (right / size - mean) ** 2).sum())
    expected = mean * (1 - mean) * (len(size) - 1)
    spread = max(total - (size**2).sum() / total, 1e-12)
    between = max(scatter - expected, 0.0) / spread  # of the true shares
    variance = mean * (1 - mean)
    mass = MASS_MAX if between <= variance / MASS_MAX else variance / between - 1
    mass = float(np.clip(mass, 1e-3, MASS_MAX))
    return float(mean * mass), float((1 - mean) * mass)


def shrunken_shares(hits: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """(hits + a) / (n + a + b) with the prior of `beta_prior`; ``nan`` where there is no prior."""
    right, size = np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64)
    prior = beta_prior(right, size)
    if prior is None:
        return np.divide(right, size, out=np.full_like(size, np.nan), where=size > 0)
    a, b = prior
    return np.asarray((right + a) / (size + a + b))
