"""The public face is what it is, and costs nothing to look at."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mezzotint

PUBLIC = [
    "AIM",
    "MST",
    "Adjacency",
    "Budget",
    "FittedTable",
    "Independent",
    "Ledger",
    "Mezzotint",
    "MezzotintError",
    "PrivacyUnit",
    "Schema",
    "Statement",
    "demo_table",
    "load",
]
HEAVY = {
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "scipy",
    "sklearn",
    "opendp",
    "dp_accounting",
    "torch",
    "tenseal",
}


def test_exported_members():
    assert mezzotint.__all__ == PUBLIC
    assert dir(mezzotint) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_is_there_and_documented(name):
    assert getattr(mezzotint, name).__doc__


def test_other_names_are_refused_like_any_modules():
    with pytest.raises(AttributeError, match="module 'mezzotint' has no attribute 'aim'"):
        mezzotint.aim  # noqa: B018


def test_import_stays_light():
    code = "import sys, mezzotint; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert not HEAVY & set(loaded.split())
