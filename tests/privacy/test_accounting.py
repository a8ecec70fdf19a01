"""Budgets and privacy units."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys

import numpy as np
import pytest

from mezzotint.errors import ParameterError
from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit, zcdp_rho


@pytest.mark.parametrize(
    ("adjacency", "rows", "l1", "l2_squared"),
    [("add-remove", 1, 1, 1), ("add-remove", 3, 3, 9), ("replace-one", 1, 2, 2),
     ("replace-one", 3, 6, 18)],
)  # fmt: skip
def test_sensitivity_of_a_marginal_by_brute_force(adjacency, rows, l1, l2_squared):
    """The worst neighbour, found among all pairs of contributions to three cells."""
    unit = PrivacyUnit(Adjacency(adjacency), rows)
    contributions = [
        np.array([a, b, c])
        for a in range(rows + 1)
        for b in range(rows + 1)
        for c in range(rows + 1)
        if a + b + c <= rows
    ]
    full = [c for c in contributions if c.sum() == rows]
    pairs = (
        [(c, np.zeros(3)) for c in contributions]
        if unit.adjacency is Adjacency.ADD_REMOVE
        else [(c, d) for c in full for d in full]
    )
    assert max(np.abs(c - d).sum() for c, d in pairs) == l1 == unit.l1
    assert max(((c - d) ** 2).sum() for c, d in pairs) == l2_squared == unit.l2_squared


def test_budget_holds_the_tight_conversion():
    assert Budget(1.0).rho == zcdp_rho(1.0, 1e-9)
    assert Budget(1, 1e-5).epsilon == 1.0
    assert str(Budget(0.5)) == "epsilon 0.5, delta 1e-09"


def test_unit_reads_as_words():
    assert str(PrivacyUnit()) == "person (at most 1 row, add-remove)"
    assert str(PrivacyUnit(Adjacency.REPLACE_ONE, 4, "household")) == (
        "household (at most 4 rows, replace-one)"
    )


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, 5e-324, True, "1", None, 10**400])
def test_bad_epsilon_is_refused(bad):
    with pytest.raises(ParameterError, match=r"epsilon = .*give an epsilon such as 1\.0"):
        Budget(bad)


@pytest.mark.parametrize("bad", [0, 1, 1.5, -1e-9, math.nan, math.inf, 5e-324])
def test_bad_delta_is_refused(bad):
    with pytest.raises(ParameterError, match=r"delta = .*give a delta such as 1e-9"):
        Budget(1.0, bad)


@pytest.mark.parametrize("bad", [0, -1, 1.0, True, "2"])
def test_bad_rows_are_refused(bad):
    with pytest.raises(ParameterError, match=r"rows = .*at least 1: give the most rows"):
        PrivacyUnit(rows=bad)


def test_bad_adjacency_and_name_are_refused():
    with pytest.raises(ParameterError, match=r"adjacency = 'swap' is unknown: give 'add-remove'"):
        PrivacyUnit("swap")
    with pytest.raises(ParameterError, match=r"name = ' ' is empty: give a noun"):
        PrivacyUnit(name=" ")


def test_plain_text_and_numpy_integers_serve_as_well():
    unit = PrivacyUnit("replace-one", np.int64(2))
    assert unit == PrivacyUnit(Adjacency.REPLACE_ONE, 2)
    assert type(unit.rows) is int
    assert pickle.loads(pickle.dumps(Budget(1.0, unit=unit))) == Budget(1.0, unit=unit)


def test_the_privacy_rooms_start_without_heavy_imports():
    rooms = ["statement", "noise", "ledger", "composition", "accounting"]
    code = "import sys\n" + "".join(f"import mezzotint.privacy.{room}\n" for room in rooms)
    code += "heavy = {'scipy', 'dp_accounting', 'opendp', 'cryptography', 'pandas'}\n"
    code += "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    subprocess.run([sys.executable, "-c", code], check=True)
