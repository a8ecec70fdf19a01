"""Random tables, shapes and splits, through the circuit that the key holder decrypts: exact.

What decrypts, less the entries of noise that were added, decrypted on their own, is the plain
count of all holders together, bit for bit; in both layouts.
"""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mezzotint as mz
from mezzotint.encrypted import holder, keys
from mezzotint.encrypted.blinding import blind, unblind
from mezzotint.encrypted.circuit import Circuit
from mezzotint.encrypted.job import Job
from mezzotint.encrypted.keyholder import KeyHolder
from mezzotint.encrypted.keys import KeyFolder
from mezzotint.encrypted.local import InProcess, send
from mezzotint.encrypted.pool import Book
from mezzotint.encrypted.provider import ProviderJob, Streams
from mezzotint.encrypted.public_folder import silent
from mezzotint.encrypted.secret import SecretKeys
from mezzotint.schema import Schema
from tests.encrypted import roles

SMALL = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SHAPES = st.lists(st.integers(1, 9), min_size=2, max_size=4)


@pytest.fixture(scope="module")
def both_keys(tmp_path_factory):
    out = tmp_path_factory.mktemp("exact") / "keys"
    keys.create(out, presets=["bfv-2048-v1", "ckks-8192-v1"])
    return out


def parts_of(rows, split, sizes, by_columns):
    """The holders' tables, and what each holds; by rows everybody holds everything."""
    if by_columns:
        names = list(sizes)
        shares = [names[: len(names) // 2], names[len(names) // 2 :]]
        return [rows.select(share) for share in shares], shares
    edges = sorted({0, rows.num_rows, *(min(cut, rows.num_rows) for cut in split)})
    pairs = list(itertools.pairwise(edges)) or [(0, 0)]
    return [rows.slice(start, stop - start) for start, stop in pairs], None


def check(place, key_folder, layout, sizes, rows, split, by_columns=False):
    """One job up to the first request, and what the key holder would decrypt of it."""
    tables, shares = parts_of(rows, split, sizes, by_columns)
    schema = Schema.from_sizes(sizes)
    folders = [place / f"h{number}" for number in range(len(tables))]
    uploads = [
        holder.encrypt_table(
            part,
            schema,
            key_folder / "public",
            layout,
            folder,
            attributes=None if shares is None else shares[number],
            shares=shares,
            rows_at_most=1024,
        )
        for number, (part, folder) in enumerate(zip(tables, folders, strict=True))
    ]
    job = Job.create(uploads, mz.MST(epsilon=0.5), pool_cells=64)
    for folder in folders:
        holder.make_pool(folder, job)
        send(folder, job, place / "provider")
    provider = ProviderJob.open(place / "provider", processes=1)
    provider._verify(silent)
    provider._multiply(silent)
    streams = Streams(provider)
    secret = SecretKeys.load(job.preset, KeyFolder.open(key_folder).secret(job.preset))
    cliques = [query for query in job.queries if len(query) == 2]
    book = Book(job.levels)
    draws = [book.take(job.copies_sigma, job.domain.cells(c)) for c in cliques]
    circuit = Circuit.of(job, cliques, draws)
    sums = [streams.sum(term) for term in circuit.terms]
    blinded = blind(streams.public, circuit, sums)
    margin = job.fit.margin
    decoded = [
        secret.decode(ct, term.coefficients, margin=margin)
        for ct, term in zip(blinded, circuit.terms, strict=True)
    ]
    outputs = unblind(circuit, decoded, secret.preset)
    noise = np.zeros(circuit.size, np.int64)
    for term, ciphertext in zip(circuit.terms, sums, strict=True):
        if term.stream.startswith("noise-") and not term.stream.endswith("-marks"):
            values = secret.decode(ciphertext, term.coefficients, margin=margin)
            np.add.at(noise, term.outputs, values)
    assert np.abs(noise).max() > 0
    for part in circuit.parts:
        mine = slice(part.start, part.start + part.cells)
        expected = roles.counts(rows, part.clique, sizes).ravel()
        assert np.array_equal(outputs[mine] - noise[mine], expected)


@settings(SMALL, max_examples=6)
@given(shape=SHAPES, rows=st.integers(0, 900), split=st.lists(st.integers(0, 900), max_size=2),
       seed=st.integers(0, 2**32))  # fmt: skip
def test_marginals_of_random_tables_and_splits(both_keys, shape, rows, split, seed):
    sizes = {f"a{number}": size for number, size in enumerate(shape)}
    with tempfile.TemporaryDirectory() as place:
        table = roles.table(rows, seed, sizes)
        check(Path(place), both_keys, "marginals", sizes, table, split)


@settings(SMALL, max_examples=2)
@given(shape=SHAPES, rows=st.integers(1, 900), split=st.lists(st.integers(0, 900), max_size=1),
       seed=st.integers(0, 2**32), by_columns=st.booleans())  # fmt: skip
def test_records_of_random_tables_and_splits(both_keys, shape, rows, split, seed, by_columns):
    sizes = {f"a{number}": size for number, size in enumerate(shape)}
    with tempfile.TemporaryDirectory() as place:
        table = roles.table(rows, seed, sizes)
        check(Path(place), both_keys, "records", sizes, table, split, by_columns)


@pytest.mark.parametrize("by_columns", [False, True])
def test_records_end_to_end(tmp_path, both_keys, by_columns):
    """The whole protocol over encrypted rows: one holder, or two of other columns."""
    rows, schema = roles.table(), roles.schema()
    tables, shares = parts_of(rows, [], roles.SIZES, by_columns)
    folders = [tmp_path / f"h{number}" for number in range(len(tables))]
    uploads = [
        holder.encrypt_table(
            part,
            schema,
            both_keys / "public",
            "records",
            folder,
            attributes=None if shares is None else shares[number],
            shares=shares,
        )
        for number, (part, folder) in enumerate(zip(tables, folders, strict=True))
    ]
    job = Job.create(uploads, mz.MST(epsilon=4.0))
    assert job.combine == ("columns" if by_columns else "rows")
    with KeyHolder.open(both_keys, tmp_path / "state") as role:
        for folder in folders:
            holder.make_pool(folder, job)
            role.open_job(holder.registration(folder, job))
            send(folder, job, tmp_path / "provider")
        provider = ProviderJob.open(tmp_path / "provider", processes=1)
        fitted = provider.run(InProcess(role))
    assert fitted.privacy.epsilon_spent <= 4.0
    # Noise of a few rows in each of 5 cells: far below 150 in all.
    exact = roles.counts(rows, ("c",))
    assert np.abs(fitted.model.marginal(("c",)) - exact).sum() < 150
    assert "products carry no marks" in " ".join(fitted.privacy.views[2].sees)
