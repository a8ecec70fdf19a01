"""Small private tables, and curators over them through the door that is for tests only."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa

from mezzotint.privacy.accounting import Budget, PrivacyUnit
from mezzotint.privacy.ledger import Ledger
from mezzotint.schema import Schema
from mezzotint.sources import open_source
from mezzotint.tables.counting import count
from mezzotint.tables.curator import TrustedCurator

SIZES = {"a": 3, "b": 4, "c": 2, "d": 5}


def rows_of(sizes, n, seed=0, tie=0.7):
    """Coded rows, shape [n, attributes], each attribute leaning on the one before."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((n, len(sizes)), np.int64)
    for i, size in enumerate(sizes.values()):
        rows[:, i] = rng.choice(size, n, p=rng.dirichlet(np.ones(size)))
        if i:
            rows[:, i] = np.where(rng.random(n) < tie, rows[:, i - 1] % size, rows[:, i])
    return rows


def table_of(sizes, rows):
    rows = np.asarray(rows, np.int64).reshape(-1, len(sizes))
    return pa.table({a: rows[:, i] for i, a in enumerate(sizes)})


def counts_of(sizes, rows, width=3):
    cliques = [c for k in (1, 2, width) for c in combinations(sizes, min(k, len(sizes)))]
    return count(open_source(table_of(sizes, rows)), Schema.from_sizes(sizes), cliques)


def a_run(budget=None, noise=None, unit=None, epsilon=1.0, mechanism="test"):
    """A run in a ledger in memory; `noise` is "off", or a seed, or None for true noise."""
    budget = budget or Budget(epsilon, unit=unit or PrivacyUnit())
    ledger = Ledger.memory(insecure_noise=noise)
    return ledger.begin(budget, mechanism=mechanism, dataset="test")


def a_curator(rows, sizes=None, **run):
    sizes = sizes or SIZES
    return TrustedCurator(counts_of(sizes, rows), a_run(**run))


def releases_of(curator):
    return curator._run.releases
