"""The only room that draws noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mezzotint.privacy.releases import Spend


def discrete_gaussian(spend: Spend, size: int) -> NDArray[np.int64]:
    """`size` independent draws of the discrete Gaussian that `spend` recorded."""
    sigma = float(spend.release.parameters["sigma"])
    if spend.noise == "off":
        return np.zeros(size, np.int64)
    if spend.noise != "os":
        rng = np.random.default_rng([int(spend.noise), spend.release.seq])
        return np.rint(rng.normal(0, sigma, size)).astype(np.int64)
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_gaussian
    from opendp.metrics import l2_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    draw = make_gaussian(vector_domain(atom_domain(T="i64")), l2_distance(T="f64"), scale=sigma)
    return np.array(draw([0] * size), np.int64)


def exponential_mechanism(spend: Spend, scores: NDArray[np.int64]) -> int:
    """An index i with probability proportional to exp(epsilon scores[i] / (2 sensitivity))."""
    epsilon = float(spend.release.parameters["epsilon"])
    sensitivity = int(spend.release.parameters["sensitivity"])
    if spend.noise == "off":
        return int(np.argmax(scores))
    if spend.noise != "os":
        rng = np.random.default_rng([int(spend.noise), spend.release.seq])
        noisy = scores * (epsilon / (2 * sensitivity)) + rng.gumbel(size=len(scores))
        return int(np.argmax(noisy))
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_noisy_max
    from opendp.measures import zero_concentrated_divergence
    from opendp.metrics import linf_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    choose = make_noisy_max(
        vector_domain(atom_domain(T="i64")),
        linf_distance(T="i64"),
        zero_concentrated_divergence(),
        scale=2 * sensitivity / epsilon,
    )
    return int(choose([int(score) for score in scores]))
