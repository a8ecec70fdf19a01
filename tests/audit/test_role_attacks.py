"""L5 for the encrypted path: what each role sees, against what its view claims."""

from __future__ import annotations

import numpy as np
import pytest

from mezzotint.audit.attack import FALSE_ALARM
from mezzotint.audit.roles import RoleAttack, probe

DELTA = 1e-5


def audited(role, runs=4000):
    attack = RoleAttack(role, 4.0, DELTA)
    return attack.audit(runs, false_alarm=FALSE_ALARM, progress=lambda share: None)


def test_what_the_public_sees_holds():
    line = audited("public")
    assert line.holds
    assert line.claimed_epsilon == pytest.approx(4.0, rel=1e-3)
    assert line.lower_bound >= 0.4 * line.ceiling


def test_what_the_key_holder_sees_holds_and_is_twice_the_rho():
    line = audited("keyholder")
    assert line.holds
    assert line.claimed_epsilon > 5.0
    assert line.lower_bound >= 0.4 * line.ceiling


def test_each_role_takes_off_what_it_knows_and_nothing_else():
    seen = probe(4.0, DELTA)
    np.testing.assert_array_equal(seen.by("public"), seen.answers)
    np.testing.assert_array_equal(seen.by("keyholder") + seen.own, seen.answers)
    np.testing.assert_array_equal(seen.by("cheating-provider") - seen.counts, seen.own)
    assert seen.scale["public"] ** 2 == pytest.approx(
        seen.scale["keyholder"] ** 2 + seen.scale["cheating-provider"] ** 2
    )
    assert (seen.own != 0).any()
    assert (seen.answers - seen.own != seen.counts).any()


def test_a_key_holder_that_adds_nothing_is_found(monkeypatch):
    """The public then sees what the key holder sees, and not what was claimed."""
    from mezzotint.encrypted import keyholder

    nothing = staticmethod(lambda spend, size: np.zeros(size, np.int64))
    monkeypatch.setattr(keyholder._Desk, "_noise", nothing)
    assert not audited("public").holds
