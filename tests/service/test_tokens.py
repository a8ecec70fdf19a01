"""Tokens and invitations: what they open, and that nothing of them is kept."""

from __future__ import annotations

import stat

import pytest

from mezzotint.errors import MezzotintError, UsageError
from mezzotint.service.invitation import invite, proof, require_invitation
from mezzotint.service.refusals import RefusedError
from mezzotint.service.tokens import Scope, Tokens

ONE, OTHER = "1" * 32, "2" * 32


def test_a_token_opens_its_scope_and_its_job_until_it_ends(tmp_path):
    now = [1000.0]
    tokens = Tokens(tmp_path / "tokens.json", lambda: now[0])
    own = tokens.issue(Scope.OWN, ONE, hours=1)
    assert tokens.require(own, (Scope.OWN, Scope.ADD), ONE) is Scope.OWN
    for token, scopes, job in (
        (own, (Scope.ADD,), ONE),
        (own, (Scope.OWN,), OTHER),
        (own[:-1], (Scope.OWN,), ONE),
        (own + "A", (Scope.OWN,), ONE),
        ("", (Scope.OWN,), ONE),
        (None, (Scope.OWN,), ONE),
        ("é" * 43, (Scope.OWN,), ONE),
    ):
        with pytest.raises(RefusedError):
            tokens.require(token, scopes, job)
    now[0] += 3601
    with pytest.raises(RefusedError):
        tokens.require(own, (Scope.OWN,), ONE)


def test_only_hashes_are_kept_and_only_the_owner_reads_them(tmp_path):
    path = tmp_path / "tokens.json"
    token = Tokens(path).issue(Scope.DECRYPT, ONE, hours=1)
    assert token not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # A service that was restarted still knows it.
    assert Tokens(path).require(token, (Scope.DECRYPT,), ONE) is Scope.DECRYPT


def test_revoked_tokens_open_nothing(tmp_path):
    tokens = Tokens(tmp_path / "tokens.json")
    gone, kept = tokens.issue(Scope.OWN, ONE, 1), tokens.issue(Scope.OWN, OTHER, 1)
    tokens.revoke(ONE)
    tokens.require(kept, (Scope.OWN,), OTHER)
    with pytest.raises(RefusedError):
        tokens.require(gone, (Scope.OWN,), ONE)


def test_no_two_tokens_and_no_two_invitations_are_alike(tmp_path):
    tokens = Tokens(tmp_path / "tokens.json")
    assert len({tokens.issue(Scope.OWN, ONE, 1) for _ in range(50)}) == 50
    folders = [tmp_path / str(i) for i in range(3)]
    for folder in folders:
        folder.mkdir()
    assert len({invite(folder) for folder in folders}) == 3


def test_an_invitation_is_made_once_and_for_its_owner_only(tmp_path):
    text = invite(tmp_path)
    assert invite(tmp_path) == text
    path = tmp_path / "invitation"
    assert path.read_text() not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    require_invitation(text, text)
    for wrong in (None, "", text[:-1], text + " "):
        with pytest.raises(RefusedError):
            require_invitation(text, wrong)
    path.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        proof(path)
    path.write_text("short")
    path.chmod(0o600)
    with pytest.raises(UsageError, match="no invitation"):
        proof(path)
    with pytest.raises(MezzotintError, match="cannot be read"):
        proof(tmp_path / "nowhere")
