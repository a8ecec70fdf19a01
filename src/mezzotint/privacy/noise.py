"""The only room that draws noise. It takes committed ledger rows, never a bare sigma.

Two samplers stand behind the same functions, with the same exact laws:

* OpenDP: the proven oracle. Fresh entropy of the operating system for every draw, and no
  assumption beyond it; about 40,000 draws per second.
* Keyed: our own (`gaussian_table`, `selection`), a pure function of the row's 32-byte key;
  above 20 million draws per second. Within 2^-200 of the true law, charged to delta by the
  ledger, and as random as AES-256 in counter mode, keyed by `os.urandom`, is.

By default (`Backend.AUTO`) OpenDP draws where the numbers are few (`FEW_DRAWS`) and nobody may
ask for them again. A run with a request id must be able to repeat a release after a crash without
paying twice, so its noise has to be a function of the row: it is keyed, whatever the size. So are
draws in bulk, and tests that fix the noise.

References:
    Canonne, Kamath, Steinke. The Discrete Gaussian for Differential Privacy. NeurIPS 2020.
    McSherry, Talwar. Mechanism Design via Differential Privacy. FOCS 2007.
    Warner. Randomized Response. JASA 1965.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ParameterError
from mezzotint.privacy.fine_gaussian import fine_gaussian
from mezzotint.privacy.gaussian_table import keyed_discrete_gaussian
from mezzotint.privacy.keyed_bits import KEY_BYTES, KeyedBits, derive_key
from mezzotint.privacy.programme import MOST_VALUES
from mezzotint.privacy.selection import keyed_exponential, keyed_randomised_response
from mezzotint.privacy.spend import Backend, NoiseSource, Spend
from mezzotint.privacy.training import TrainingNoise

FEW_DRAWS = 1000


def discrete_gaussian(spend: Spend, size: int) -> NDArray[np.int64]:
    """Independent draws from the discrete Gaussian that `spend` recorded.

    Guarantee: counts of squared L2 sensitivity s plus this noise are s / (2 sigma^2)-zCDP.
    Sensitivity: the recorded `l2_squared`; the caller answers for it.
    Private and public: the noise is secret, the sum with the counts is public.
    Units: of the counts. Source: Canonne, Kamath, Steinke 2020, Theorem 4.

    Args:
        spend: A row recorded by `Run.gaussian`, not drawn yet.
        size: How many draws.

    Returns:
        int64 array of shape (size,).
    """
    if size < 0:
        raise ParameterError(f"size = {size} is negative: give the number of cells")
    return _gaussian(spend.open("gaussian"), float(spend.release.parameters["sigma"]), size)


def integer_gaussian(spend: Spend, size: int) -> NDArray[np.int64]:
    """Independent draws from the discrete Gaussian of a programme's vector.

    Guarantee: what the programme says of a Gaussian with its noise multiplier (see `programme`).
    Sensitivity: the recorded `l2`, in grid steps; the caller answers for it, rounding included.
    Private and public: the noise is secret, the sum with the vector is public.
    Units: grid steps. Source: Canonne, Kamath, Steinke 2020.

    Args:
        spend: A row recorded by `Run.vector`, not drawn yet.
        size: The vector's length, at most 2^24.

    Returns:
        int64 array of shape (size,).
    """
    if not 0 <= size <= MOST_VALUES:
        raise ParameterError(
            f"size = {size} is outside of 0 to 2^24, the most that one release may hold: "
            "release less, or plan several events"
        )
    sigma = float(spend.release.parameters.get("sigma", 0.0))
    source = spend.open("vector")
    if source.silent:
        return np.zeros(size, np.int64)
    if _by_opendp(source, size):
        return _opendp_gaussian(sigma, size)
    return fine_gaussian(_key(source), sigma, size)


def shuffled(
    spend: Spend, vectors: NDArray[np.integer], labels: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every row's vector and label with noise, in a secret random order.

    The order is that of 256 random bits a row; two rows share them with probability below
    n^2 2^-257 <= 2^-209, which the tails that delta pays for (`programme`) cover.

    Guarantee: what the programme says of `Shuffled` (see `shuffling`).
    Sensitivity: the recorded `l2` bounds the distance of any two rows' vectors, in grid steps; the
        caller answers for it.
    Private and public: vectors and labels are private; how many there are, and the result, public.
    Units: grid steps. Source: see `shuffling`.

    Args:
        spend: A row recorded by `Run.shuffled`, not drawn yet.
        vectors: Integers of shape (n, d), at most 2^24 of them.
        labels: Integers of shape (n,), each in [0, categories).
    """
    labels = _int64(labels, "labels")
    vectors = np.asarray(vectors)
    flat = _int64(vectors.reshape(-1), "vectors")
    parameters = spend.release.parameters
    rows, categories = parameters.get("rows"), int(parameters.get("categories", 0))
    if vectors.ndim != 2 or not len(vectors) == len(labels) == rows or flat.size > MOST_VALUES:
        raise ParameterError(
            f"vectors of shape {vectors.shape} and {len(labels)} labels were given, and the "
            f"recorded number of rows is {rows}: give a vector and a label for each, and at most "
            "2^24 numbers in all"
        )
    _require_categories(labels, categories)
    source = spend.open("shuffled")
    if source.silent:
        return flat.reshape(vectors.shape), labels.copy()
    key = _key(source)
    sigma, epsilon = float(parameters["sigma"]), Fraction(float(parameters["epsilon"]))
    noisy = flat + fine_gaussian(derive_key(key, "vectors"), sigma, flat.size)
    told = keyed_randomised_response(derive_key(key, "labels"), epsilon, categories, labels)
    bits = KeyedBits(key, "order").words(4 * len(labels)).reshape(4, -1)
    order = np.lexsort(tuple(bits))
    return noisy.reshape(vectors.shape)[order], told[order]


def training(spend: Spend) -> TrainingNoise:
    """The coins and the noise of all steps of a programme's training.

    Guarantee, Sensitivity, Private and public, Units, Source: see `TrainingNoise`.

    Args:
        spend: A row recorded by `Run.training`, not drawn yet.
    """
    source = spend.open("training")
    return TrainingNoise(spend.release, _key(source), silent=source.silent)


def counts_above_threshold(spend: Spend, counts: Mapping[str, int]) -> dict[str, int]:
    """Noisy counts of the names that reach the threshold that `spend` recorded.

    Guarantee: delta-approximate s / (2 sigma^2)-zCDP, for the recorded s = `l2_squared` and delta.
    Sensitivity: every row counts for one name at most, so that one unit adds up to `rows` names
        that nobody else has, and changes the other counts within `l2_squared`.
    Private and public: names and counts are private, and so is how many names there are; what is
        returned is public.
    Units: of the counts. Source: `thresholds`.

    Args:
        spend: A row recorded by `Run.threshold`, not drawn yet.
        counts: The names that occur, each with its count.
    """
    source = spend.open("threshold")
    parameters = spend.release.parameters
    names = sorted(counts)
    noise = _gaussian(source, float(parameters["sigma"]), len(names)).tolist()
    noisy = {name: counts[name] + n for name, n in zip(names, noise, strict=True)}
    return {name: n for name, n in noisy.items() if n >= parameters["threshold"]}


def exponential_mechanism(spend: Spend, scores: NDArray[np.integer]) -> int:
    """An index i with probability proportional to exp(epsilon scores[i] / (2 sensitivity)).

    The recorded scale is the double next above 2 sensitivity / epsilon, so that all samplers
    share one law to the last bit.

    Guarantee: bounded range epsilon, hence epsilon-DP and epsilon^2 / 8 zCDP.
    Sensitivity: the recorded `sensitivity` bounds the change of every score; the scores need
    not move in one direction.
    Private and public: the scores are private, the index is public.
    Source: McSherry, Talwar 2007; Cesar, Rogers 2021, Lemma 3.2 (zCDP from bounded range).

    Args:
        spend: A row recorded by `Run.exponential`, not drawn yet.
        scores: Integers of shape (candidates,) that fit int64.
    """
    scores = _int64(scores, "scores")
    if len(scores) == 0:
        raise ParameterError("scores is empty: give at least one candidate to choose from")
    source = spend.open("exponential")
    scale = float(spend.release.parameters["scale"])
    if source.silent:
        return int(np.argmax(scores))
    if _by_opendp(source, len(scores)):
        return _opendp_exponential(scale, scores)
    return keyed_exponential(_key(source), 1 / Fraction(scale), scores)


def randomised_response(spend: Spend, values: NDArray[np.integer]) -> NDArray[np.int64]:
    """Each value kept with probability e^eps / (e^eps + k - 1), else another one, uniformly.

    Guarantee: epsilon-DP per value, where one person's row is replaced by another.
    Sensitivity: one value a row. Private and public: values private, results public.
    Source: Warner 1965; Kairouz, Bonawitz, Ramage 2016 (k-ary).

    Args:
        spend: A row recorded by `Run.randomised_response`, not drawn yet.
        values: Integers of shape (n,), each in [0, categories).
    """
    values = _int64(values, "values")
    categories = int(spend.release.parameters["categories"])
    _require_categories(values, categories)
    source = spend.open("randomised-response")
    if source.silent:
        return values.copy()
    epsilon = Fraction(float(spend.release.parameters["epsilon"]))
    return keyed_randomised_response(_key(source), epsilon, categories, values)


def _require_categories(values: NDArray[np.int64], categories: int) -> None:
    if len(values) and not (values.min() >= 0 and values.max() < categories):
        raise ParameterError(
            f"values must lie in [0, {categories}), the recorded number of categories: "
            "encode them by the schema first"
        )


def _gaussian(source: NoiseSource, sigma: float, size: int) -> NDArray[np.int64]:
    if source.silent:
        return np.zeros(size, np.int64)
    if _by_opendp(source, size):
        return _opendp_gaussian(sigma, size)
    return keyed_discrete_gaussian(_key(source), sigma, size)


def _by_opendp(source: NoiseSource, draws: int) -> bool:
    if source.key is not None:
        return False
    return source.backend is Backend.OPENDP or (
        source.backend is Backend.AUTO and draws <= FEW_DRAWS
    )


def _key(source: NoiseSource) -> bytes:
    return os.urandom(KEY_BYTES) if source.key is None else source.key


def _int64(array: NDArray[np.integer], name: str) -> NDArray[np.int64]:
    array = np.asarray(array)
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.dtype == np.uint64:
        raise ParameterError(
            f"{name} is {array.dtype} of shape {array.shape}: give integers of one dimension "
            "that fit int64 (round and scale real numbers first, and count it in the sensitivity)"
        )
    return array.astype(np.int64, copy=False)


def _opendp_gaussian(sigma: float, size: int) -> NDArray[np.int64]:
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_gaussian
    from opendp.metrics import l2_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    draw = make_gaussian(vector_domain(atom_domain(T="i64")), l2_distance(T="f64"), scale=sigma)
    return np.array(draw([0] * size), np.int64)


def _opendp_exponential(scale: float, scores: NDArray[np.int64]) -> int:
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_noisy_max
    from opendp.measures import zero_concentrated_divergence
    from opendp.metrics import linf_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    # Under zCDP OpenDP adds Gumbel noise: the exponential mechanism, not permute-and-flip.
    choose = make_noisy_max(
        vector_domain(atom_domain(T="i64")),
        linf_distance(T="i64"),
        zero_concentrated_divergence(),
        scale=scale,
    )
    return int(choose(scores.tolist()))
