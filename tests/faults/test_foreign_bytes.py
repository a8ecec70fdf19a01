"""Every parser of foreign bytes meets damage: refused in words, or accepted; never a crash."""

from __future__ import annotations

import json
import os
import random
import signal

import pytest

import mezzotint
from mezzotint.cli.inputs import read_schema
from mezzotint.demo import demo_schema, demo_table
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.certificate import Certificate
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.signing import SigningKey
from mezzotint.schema import Schema
from mezzotint.sources import open_source, write_table
from tests.faults.mutation import attack, mutate

MUTANTS = [300, pytest.param(10_000, marks=pytest.mark.slow)]


def read_rows(path):
    source = open_source(path)
    for _ in source.batches(source.columns):
        pass


def read_ledger(path):
    for leftover in ("-wal", "-shm"):
        path.with_name(path.name + leftover).unlink(missing_ok=True)
    with Ledger.open(path, read_only=True) as ledger:
        ledger.verify()
        ledger.export()
        for account in ledger.accounts():
            account.sentence()


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """One intact file of every kind, each with its parser."""
    folder = tmp_path_factory.mktemp("originals")
    table, schema = demo_table(300), demo_schema()
    write_table(table, folder / "rows.parquet")
    for name in ("rows.csv", "rows.csv.gz"):
        write_table(schema.format(table), folder / name)
    (folder / "schema.yaml").write_text(schema.to_text())
    (folder / "domain.json").write_text(json.dumps({"age": 85, "sex": 2, "region": 12}))
    with Ledger.open(folder / "ledger.db") as ledger:
        ledger.set_cap("demo", Budget(3.0, unit=schema.unit))
        fitted = mezzotint.MST(epsilon=1.0).fit(table, schema, ledger=ledger, dataset="demo")
    fitted.save(folder / "model.mezzo")
    certificate = Certificate.of(fitted.privacy_, folder / "rows.csv").signed(SigningKey.generate())
    (folder / "statement.json").write_text(certificate.to_text())
    (folder / "steward.key").write_bytes(SigningKey.generate().to_pem())
    return folder


PARSERS = {
    "rows.parquet": read_rows,
    "rows.csv": read_rows,
    "rows.csv.gz": read_rows,
    "schema.yaml": Schema.read,
    "domain.json": lambda path: read_schema(None, path),
    "model.mezzo": mezzotint.load,
    "ledger.db": read_ledger,
    "statement.json": Certificate.read,
    "steward.key": SigningKey.read,
}


@pytest.mark.parametrize("mutants", MUTANTS)
@pytest.mark.parametrize("name", PARSERS)
def test_damaged_bytes_are_refused_in_words_or_accepted(originals, tmp_path, name, mutants):
    PARSERS[name](originals / name)  # the intact one is read
    attack(PARSERS[name], (originals / name).read_bytes(), tmp_path, name, mutants)


@pytest.mark.parametrize("name", PARSERS)
def test_noise_of_any_length_is_refused_or_accepted(tmp_path, name):
    random_ = random.Random(name)
    for size in (1, 10, 1000, 100_000):
        attack(PARSERS[name], random_.randbytes(size), tmp_path, name, 2)


def test_the_attack_finds_what_it_is_to_find(tmp_path):
    """A parser that raises anything else, or dies, fails the test."""

    def careless(path):
        path.read_bytes().decode()

    with pytest.raises(AssertionError, match="UnicodeDecodeError"):
        attack(careless, b"text" * 100, tmp_path, "x", 100)

    def crashing(path):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(AssertionError, match="the process died"):
        attack(crashing, b"text", tmp_path, "x", 1)


def test_mutants_differ_from_the_original():
    random_, whole = random.Random(1), bytes(range(256)) * 4
    differ = sum(mutate(whole, random_) != whole for _ in range(1000))
    assert differ > 900
