"""A statement is bound to its file, to its key and to its ledger, and any change is found."""

from __future__ import annotations

import copy
import json
import random
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.errors import MezzotintError, ParameterError, VerificationError
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.certificate import Certificate, read_audit, write_key
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.signing import SigningKey, parse_public_key
from mezzotint.privacy.statement import Statement

AUDIT = {
    "mechanism": "MST",
    "claimed_epsilon": 1.0,
    "delta": 1e-5,
    "lower_bound": 0.6,
    "ceiling": 0.73,
    "runs": 100000,
    "cpu_seconds": 20.0,
    "holds": True,
}


@pytest.fixture
def made(tmp_path):
    """A ledger, a file of synthetic rows, and their signed certificate."""
    path, rows = tmp_path / "l.db", tmp_path / "rows.csv"
    rows.write_text("a,b\n1,2\n")
    with Ledger.open(path) as ledger:
        with ledger.begin(Budget(1.0), mechanism="MST", dataset="patients") as run:
            noise.discrete_gaussian(run.gaussian("counts of a", 40.0), 2)
            noise.discrete_gaussian(run.gaussian("counts of b", 40.0), 2)
            statement = Statement.of(run)
        account = ledger.account("patients")
    key = SigningKey.generate()
    certificate = Certificate.of(statement, rows, account=account, audit=(AUDIT,)).signed(key)
    return path, rows, certificate, key


def check(certificate: Certificate, rows, by: str | None) -> None:
    certificate.require_guarantee()
    certificate.require_file(rows)
    certificate.require_signature(by)


def test_it_comes_back_from_its_file_and_holds(made, tmp_path):
    ledger, rows, certificate, key = made
    (tmp_path / "s.json").write_text(certificate.to_text())
    found = Certificate.read(tmp_path / "s.json")
    assert found == certificate
    assert found.lineage is not None
    assert found.lineage.names == ("patients",)
    assert found.audit == (AUDIT,)
    check(found, rows, key.public_key)
    with Ledger.open(ledger, read_only=True) as book:
        found.require_ledger(book)


def leaves(value, path=()):
    """Every path to a plain value in a JSON document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path


def changed(value):
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 1.5 + 1e-3
    if isinstance(value, str):
        return ("1" if value[:1] != "1" else "2") + value[1:]
    return "something"


def test_every_single_value_is_under_the_signature(made):
    """Change any one value of the document: it is refused, by parsing or by the signature."""
    _, rows, certificate, key = made
    document = certificate.to_json()
    paths = list(leaves(document))
    assert len(paths) > 50
    for path in paths:
        forged = copy.deepcopy(document)
        place = forged
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = changed(place[path[-1]])
        with pytest.raises(MezzotintError):
            check(Certificate.from_json(forged), rows, key.public_key)


def test_what_is_added_or_left_out_is_refused(made):
    _, _, certificate, _ = made
    document = certificate.to_json()
    with pytest.raises(VerificationError, match="holds more"):
        Certificate.from_json({**document, "comment": "harmless"})
    for name in document:
        less = {key: value for key, value in document.items() if key != name}
        with pytest.raises(VerificationError, match="damaged or incomplete"):
            Certificate.from_json(less)


def test_another_signer_is_not_the_one_that_is_trusted(made):
    _, rows, certificate, key = made
    forged = certificate.signed(SigningKey.generate())
    forged.require_signature()
    with pytest.raises(VerificationError, match="not by the key you trust"):
        check(forged, rows, key.public_key)


def test_an_unsigned_one_is_vouched_for_by_nobody(made):
    _, rows, certificate, _ = made
    with pytest.raises(VerificationError, match="nobody vouches"):
        Certificate.of(certificate.statement, rows).require_signature()


def test_a_changed_file_is_found(made):
    _, rows, certificate, _ = made
    rows.write_text("a,b\n1,3\n")
    with pytest.raises(VerificationError, match=r"is not the file .* SHA-256"):
        certificate.require_file(rows)
    rows.write_text("a,b\n1,2\n")
    certificate.require_file(rows.rename(rows.with_name("renamed.csv")))


def test_another_ledger_does_not_bear_it_out(made, tmp_path):
    _, _, certificate, _ = made
    with Ledger.open(tmp_path / "other.db") as other:
        with other.begin(Budget(1.0), mechanism="MST", dataset="patients") as run:
            run.gaussian("counts of a", 40.0)
        with pytest.raises(VerificationError, match="does not bear the statement out"):
            certificate.require_ledger(other)


def test_releases_that_the_statement_keeps_back_are_found_in_the_ledger(made):
    path, rows, certificate, key = made
    document = certificate.to_json()
    document["statement"]["releases"].pop()
    cheaper = Statement.from_json(document["statement"])
    forged = Certificate.of(cheaper, rows).signed(key)
    check(forged, rows, key.public_key)  # the author signed it: only the ledger can tell
    with (
        Ledger.open(path, read_only=True) as book,
        pytest.raises(VerificationError, match="releases that are not"),
    ):
        forged.require_ledger(book)


def test_noise_switched_off_promises_nothing(tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("a\n")
    ledger = Ledger.memory(insecure_noise="off")
    with ledger.begin(Budget(1.0), mechanism="MST", dataset="t") as run:
        run.gaussian("counts", 40.0)
        certificate = Certificate.of(Statement.of(run), rows)
    with pytest.raises(VerificationError, match="switched off"):
        certificate.require_guarantee()


@pytest.mark.parametrize("mutations", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_and_truncated_files_are_refused_and_never_crash(made, tmp_path, mutations):
    _, rows, certificate, key = made
    whole = certificate.to_text().encode()
    place, moments = tmp_path / "s.json", random.Random(5)
    for _ in range(mutations):
        damaged = bytearray(whole[: moments.randrange(len(whole))])
        if moments.random() < 0.8:
            damaged = bytearray(whole)
            for _ in range(moments.randint(1, 4)):
                damaged[moments.randrange(len(damaged))] = moments.randrange(256)
        if bytes(damaged) == whole:
            continue
        place.write_bytes(damaged)
        try:
            found = Certificate.read(place)
        except MezzotintError:
            continue
        if found == certificate:
            continue  # white space, or one character spelt in another way
        with pytest.raises(MezzotintError):
            check(found, rows, key.public_key)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_no_statement(value):
    data = value if isinstance(value, dict) else {"kind": value}
    with pytest.raises(VerificationError):
        Certificate.from_json(data)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"kind": 1, "kind": 2}', "[" * 100_000, "\x00", "NaN"]
)
def test_what_is_no_json_object_is_refused(tmp_path, text):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(VerificationError, match=r"s\.json"):
        Certificate.read(tmp_path / "s.json")


def test_keys_are_for_their_owner_only_and_never_overwritten(tmp_path):
    path = tmp_path / "steward.key"
    key = write_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.read(path).public_key == key.public_key
    with pytest.raises(ParameterError, match="something is there already"):
        write_key(path)
    assert "PRIVATE" not in repr(key)


def test_keys_that_are_none_are_refused(tmp_path):
    path = tmp_path / "k"
    with pytest.raises(ParameterError, match="No such file"):
        SigningKey.read(path)
    path.write_text("no key")
    with pytest.raises(ParameterError, match="no private key"):
        SigningKey.read(path)
    for text in ("", "12", "zz" * 32, "AB" * 31, str(path)):
        with pytest.raises(ParameterError, match="no public key"):
            parse_public_key(text)
    assert parse_public_key("AB" * 32) == "ab" * 32


def test_an_audit_is_what_the_referee_wrote(tmp_path):
    path = tmp_path / "audit.json"
    for text, found in (
        (json.dumps(AUDIT), 1),
        (json.dumps({"audits": [AUDIT, AUDIT]}), 2),
        (json.dumps([AUDIT]), 1),
    ):
        path.write_text(text)
        assert len(read_audit(path)) == found
    for text in ("{}", "3", "[3]", '{"audits": 3}', "{"):
        path.write_text(text)
        with pytest.raises(ParameterError, match=r"audit\.json"):
            read_audit(path)
