"""Slow and certain: models as arrays over all cells of the full domain.

Statistical tests in this directory state `FALSE_ALARM` unless they say otherwise; with fewer than
thirty of them the family-wise rate stays below 3e-6 a run.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import strategies as st

from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import GraphicalModel, Query
from mezzotint.tables.graphical.model import Potential

FALSE_ALARM = 1e-7


def spread_out(domain, clique, array):
    """An array over a clique, broadcastable against the full joint."""
    return np.reshape(array, [domain.sizes[a] if a in clique else 1 for a in domain])


def log_joint(domain, factors):
    """Sum of log factors over all cells; `factors` are pairs of a clique and its log array."""
    total = np.zeros(domain.shape(domain))
    for clique, array in factors:
        total = total + spread_out(domain, clique, array)
    return total


def normalised(log_density, total):
    """Expected counts of all cells, and the log partition function."""
    peak = log_density.max()
    density = np.exp(log_density - peak)
    return total * density / density.sum(), peak + np.log(density.sum())


def marginal(joint, domain, clique):
    """A marginal of the full joint, axes in the domain's order."""
    return joint.sum(axis=tuple(i for i, a in enumerate(domain) if a not in clique))


def all_cliques(domain, most=3):
    """Every set of up to `most` attributes."""
    return [c for k in range(1, most + 1) for c in combinations(domain.attributes, k)]


def model_of(domain, thetas, total=100.0, zeros=()):
    """A graphical model with the given log factors."""
    potentials = {
        Query(clique): Potential(np.asarray(theta, float), np.ones(np.shape(theta)))
        for clique, theta in thetas
    }
    return GraphicalModel(domain, potentials, total, (), tuple(zeros))


def random_factors(rng, domain, cliques, scale=2.0):
    """Log factors of random strength."""
    return [(c, scale * rng.standard_normal(domain.shape(c))) for c in dict.fromkeys(cliques)]


@st.composite
def domains(draw, most=6, largest=4):
    """Small domains, attributes of size 1 included."""
    sizes = draw(st.lists(st.integers(1, largest), min_size=1, max_size=most))
    return Domain({f"a{i}": size for i, size in enumerate(sizes)})


@st.composite
def clique_sets(draw, domain, most=7, widest=3):
    """Cliques in the domain's order; repeats and nesting allowed, attributes may be left out."""
    one = st.lists(st.sampled_from(domain.attributes), min_size=1, max_size=widest)
    return [domain.clique(c) for c in draw(st.lists(one, max_size=most))]
