"""Small tables and a schema for them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mezzotint.schema import Boolean, Categorical, Continuous, Integer, Schema
from mezzotint.schema.moments import Date

MIXED = Schema(
    (
        Integer(name="age", bounds=(0, 99), bins=10),
        Continuous(name="income", bounds=(0.0, 100.0), bins=8),
        Categorical(name="city", categories=("Bath", "Cork", "Graz")),
        Date(name="joined", bounds=(18_000, 19_000), bins=6),
        Boolean(name="member", categories=("no", "yes"), missing=None, storage="string"),
    )
)


def mixed(n: int, seed: int = 0, *, related: bool = True) -> pa.Table:
    """Rows of `MIXED`; the last column follows age and income unless unrelated."""
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 100, n)
    income = np.round(rng.uniform(0, 100, n), 2)
    signal = (age - 50) / 20 + (income - 50) / 40 + rng.normal(0, 0.7, n)
    member = signal > 0 if related else rng.random(n) < 0.5
    gap = rng.random(n) < 0.1
    return pa.table(
        {
            "age": pa.array(age),
            "income": pa.array(income, mask=gap),
            "city": pa.array(rng.choice(["Bath", "Cork", "Graz"], n, p=[0.6, 0.3, 0.1])),
            "joined": pa.array(rng.integers(18_000, 19_001, n).astype("datetime64[D]")),
            "member": pa.array(np.where(member, "yes", "no")),
        }
    )


def coded(n: int, sizes: dict[str, int], seed: int = 0) -> dict[str, np.ndarray]:
    """Codes drawn uniformly."""
    rng = np.random.default_rng(seed)
    return {name: rng.integers(size, size=n).astype(np.uint8) for name, size in sizes.items()}


def read_mixed(n: int, seed: int = 0, *, related: bool = True):
    """`mixed` as evaluation reads it."""
    from mezzotint.evaluate.rows import read

    table = mixed(n, seed, related=related)
    return read(table, MIXED, np.random.default_rng(0), role="real")
