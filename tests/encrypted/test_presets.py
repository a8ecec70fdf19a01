import re

import pytest

from mezzotint.encrypted.library import seal
from mezzotint.encrypted.presets import (
    FLOOD,
    LARGEST_MARGIN,
    PRESETS,
    fit_marginals,
    fit_records,
    fit_scores,
    preset,
)
from mezzotint.errors import ParameterError

RECORDS = {"noise": 1000, "fold": 8192, "weights": (1, 1), "chunks": 6}


@pytest.mark.parametrize("name", PRESETS)
def test_the_library_itself_accepts_each_preset_at_128_bits(name):
    bindings, chosen = seal(), PRESETS[name]
    level = bindings.SEC_LEVEL_TYPE.TC128
    assert sum(chosen.prime_bits) <= bindings.CoeffModulus.MaxBitCount(chosen.degree, level)
    # One ring smaller would not carry the modulus: the preset is the smallest that serves.
    assert sum(chosen.prime_bits) > bindings.CoeffModulus.MaxBitCount(chosen.degree // 2, level)


def test_names_are_the_keys_and_unknown_ones_are_refused():
    assert all(name == chosen.id for name, chosen in PRESETS.items())
    with pytest.raises(ParameterError, match="unknown to this version"):
        preset("bfv-1024-v0")


def test_an_accepted_error_leaves_room_to_round():
    fit = fit_records(rows=49152, **RECORDS)
    assert fit.error + FLOOD == fit.margin <= LARGEST_MARGIN < 0.5


@pytest.mark.parametrize("rows", [2**27, 2**40])
def test_additions_that_would_wrap_around_are_refused(rows):
    assert fit_marginals(rows=2**27 - 1002, noise=1000).largest >= 2**27 - 2
    with pytest.raises(ParameterError, match="wrap around unseen"):
        fit_marginals(rows=rows, noise=1000)


def test_products_that_would_wrap_around_are_refused():
    with pytest.raises(ParameterError, match="wrap around unseen"):
        fit_records(rows=2**20, **RECORDS)
    with pytest.raises(ParameterError, match="wrap around unseen"):
        fit_records(rows=1000, **(RECORDS | {"noise": 2**20}))
    with pytest.raises(ParameterError, match="wrap around unseen"):
        fit_scores(rows=2**18, noise=0, weight=1, blocks=1)


def test_products_whose_error_is_not_proved_small_are_refused():
    with pytest.raises(ParameterError, match="use the marginals layout"):
        fit_records(rows=10**6, **(RECORDS | {"weights": (64, 64)}))
    with pytest.raises(ParameterError, match="select by noisy marginals"):
        fit_scores(rows=5000, noise=0, weight=16, blocks=1)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True])
def test_numbers_that_are_no_counts_are_refused(wrong):
    with pytest.raises(ParameterError, match=re.escape(f"got {wrong!r}")):
        fit_marginals(rows=wrong, noise=0)


def test_more_holders_than_the_noise_bound_allows_are_refused():
    fit_marginals(rows=1000, noise=10, holders=128)
    with pytest.raises(ParameterError, match="at most 128"):
        fit_marginals(rows=1000, noise=10, holders=129)
