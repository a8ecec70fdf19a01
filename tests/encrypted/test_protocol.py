"""The whole protocol in one process: exact, resumable, with the same mechanisms as plain counts."""

import json
import shutil
from math import sqrt

import numpy as np
import pytest

import mezzotint as mz
from mezzotint.encrypted import holder
from mezzotint.encrypted.blinding import blind, unblind
from mezzotint.encrypted.circuit import Circuit
from mezzotint.encrypted.job import Job
from mezzotint.encrypted.keyholder import KeyHolder
from mezzotint.encrypted.keys import KeyFolder
from mezzotint.encrypted.local import InProcess
from mezzotint.encrypted.plan import plan
from mezzotint.encrypted.pool import Draw
from mezzotint.encrypted.provider import ChannelError, Streams
from mezzotint.encrypted.secret import SecretKeys
from mezzotint.encrypted.statements import verified_statement
from mezzotint.errors import BudgetError, ParameterError
from tests.encrypted import roles


def decrypted(world, circuit):
    """What a circuit's ciphertexts decrypt to, by the key holder's own means."""
    streams = Streams(world.provider())
    sums = [streams.sum(term) for term in circuit.terms]
    blinded = blind(streams.public, circuit, sums)
    name = world.job.preset
    secret = SecretKeys.load(name, KeyFolder.open(world.keys).secret(name))
    decoded = [
        secret.decode(ct, term.coefficients)
        for ct, term in zip(blinded, circuit.terms, strict=True)
    ]
    return unblind(circuit, decoded, secret.preset), decoded


@pytest.mark.parametrize("clique", [("a",), ("a", "b"), ("b", "c")])
def test_decrypted_minus_noise_is_the_plain_count(world, clique):
    """Counts plus a stock's entries, minus the same entries alone, are the counts, bit for bit."""
    cells = world.job.domain.cells(clique)
    draw = Draw(1, 0, 32)
    outputs, _ = decrypted(world, Circuit.of(world.job, [clique], [(draw,)]))
    plain, _ = decrypted(world, Circuit.of(world.job, [clique], [()]))
    expected = roles.counts(roles.table(), clique).ravel()
    assert np.array_equal(plain[:cells], expected)
    noise = outputs[:cells] - plain[:cells]
    assert np.abs(noise).max() <= 17 * world.job.levels[1].sigma + 1
    # Only noise stands in what is left of the block.
    assert np.abs(outputs[cells:32]).max() <= 17 * world.job.levels[1].sigma + 1


def test_what_the_key_holder_decrypts_is_uniform_but_for_the_sums(world):
    """The curious key holder looks at single ciphertexts: uniform numbers.

    Cells and noise apart, for of two wires one tells the other. Chi-square over 16 classes of 1,440
    values: a false alarm of 6.4e-8 each, computed.
    """
    circuit = Circuit.of(world.job, [("b", "c")], [(Draw(1, 0, 32),)])
    wires = np.bincount(np.concatenate([term.outputs for term in circuit.terms]))
    seen = {"cells": [], "noise": []}
    for _ in range(60):
        _, decoded = decrypted(world, circuit)
        for term, values in zip(circuit.terms, decoded, strict=True):
            side = "noise" if term.stream.startswith("noise") else "cells"
            # The rest of a block is noise alone, about nobody.
            seen[side].append(values[wires[term.outputs] > 1] >> 24)
    for side in seen.values():
        classes = np.bincount(np.concatenate(side) + 8, minlength=16)
        assert len(classes) == 16
        assert ((classes - 90) ** 2 / 90).sum() < 64


@pytest.mark.parametrize(
    "mechanism",
    [
        mz.AIM(epsilon=2.0),
        mz.MST(epsilon=2.0),
        mz.Independent(epsilon=2.0),
        mz.Mezzotint(epsilon=2.0),
    ],
    ids=lambda m: m.name,
)
@pytest.mark.parametrize("keyholder", ["third-party", "holder"])
def test_every_mechanism_runs_and_stays_within_budget(
    tmp_path, key_folder, uploaded, mechanism, keyholder
):
    world = roles.World(tmp_path, key_folder, uploaded, mechanism, keyholder=keyholder)
    fitted = world.run()
    assert 0.9 * fitted.privacy.rho <= fitted.privacy.budget.rho
    assert fitted.privacy.epsilon_spent <= 2.0
    assert abs(fitted.model.total - 400) < 200
    public, provider, cheating, *others = fitted.privacy.views
    assert public.epsilon == provider.epsilon == fitted.privacy.epsilon_spent
    assert provider.rho <= cheating.rho <= 2.001 * provider.rho
    assert all(v.rho is None or v.rho <= 4.1 * public.rho for v in others)
    again = mz.load(world.folder / "model.mezzo")
    assert again.privacy.views == fitted.privacy.views
    assert again.sample(10, random_state=0).num_rows == 10
    signed = (world.folder / "statement.json").read_bytes()
    assert verified_statement(world.job, signed) == fitted.privacy


class Dropping(InProcess):
    """A connection that breaks once, before or after a request was answered."""

    def __init__(self, role, at, after):
        super().__init__(role)
        self.left, self.after = at, after

    def exchange(self, message):
        self.left -= 1
        if self.left == 0:
            if self.after:
                super().exchange(message)
            raise ChannelError("the line is dead")
        return super().exchange(message)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_lost_answer_costs_nothing(world, at, after):
    """The provider stops at a request, both roles restart, and the end is as without."""
    with world.keyholder() as role, pytest.raises(ChannelError):
        world.provider().run(Dropping(role, at, after))
    with KeyHolder.open(world.keys, world.place / "state") as role:
        spent = role.job(world.job.id)["releases"]
        fitted = world.provider().run(InProcess(role))
        assert len(fitted.privacy.releases) >= spent
    assert fitted.privacy.epsilon_spent <= 2.0


def test_a_provider_that_starts_again_comes_to_the_same_model(world):
    fitted = world.run()
    (world.folder / "model.mezzo").unlink()
    with KeyHolder.open(world.keys, world.place / "state") as role:
        again = world.provider().run(InProcess(role))
    assert again.privacy == fitted.privacy
    assert np.array_equal(again.model.marginal(("a", "b")), fitted.model.marginal(("a", "b")))


def test_a_key_holder_that_dies_between_spending_and_answering(world):
    """The request comes again: same rows, same noise, nothing spent twice."""
    with world.keyholder() as role:
        world.provider().run(InProcess(role))
        spent = role.job(world.job.id)["rho"]
    state = world.place / "state" / "jobs" / world.job.id
    last = max((state / "answers").glob("*.bin"))
    said = last.read_bytes()
    last.unlink()
    (state / "statement.json").unlink()
    request = (state / "requests" / last.name).read_bytes()
    with KeyHolder.open(world.keys, world.place / "state") as role:
        assert role.answer(request) == said
        assert role.job(world.job.id)["rho"] == spent


def test_several_holders_of_other_rows(tmp_path, key_folder):
    rows = roles.table(500)
    parts = [rows.slice(0, 200), rows.slice(200)]
    uploads, folders = [], []
    for number, part in enumerate(parts):
        folders.append(tmp_path / f"h{number}")
        uploads.append(
            holder.encrypt_table(
                part,
                roles.schema(),
                key_folder / "public",
                "marginals",
                folders[-1],
                name=f"h{number}",
            )
        )
    job = Job.create(uploads, mz.AIM(epsilon=8.0))
    assert job.combine == "rows"
    from mezzotint.encrypted.local import send
    from mezzotint.encrypted.provider import ProviderJob

    with KeyHolder.open(key_folder, tmp_path / "state") as role:
        for number, folder in enumerate(folders):
            holder.make_pool(folder, job)
            receipt = role.open_job(holder.registration(folder, job))
            assert (b'"ready":true' in receipt) == (number == 1)
            send(folder, job, tmp_path / "provider")
        fitted = ProviderJob.open(tmp_path / "provider").run(InProcess(role))
    assert abs(fitted.model.total - 500) < 100
    roles_seen = [view.role for view in fitted.privacy.views]
    assert roles_seen.count("one holder") == 1
    assert fitted.privacy.epsilon_spent <= 8.0


def test_the_uploads_size_says_nothing_of_the_rows(tmp_path, key_folder):
    sizes = []
    for rows in (0, 3, 1000):
        out = tmp_path / str(rows)
        manifest = holder.encrypt_table(
            roles.table(rows), roles.schema(), key_folder / "public", "marginals", out
        )
        sizes.append([file.name for file in manifest.files])
        assert manifest.facts["rows_at_most"] == 1024
        # Compressed ciphertexts differ by chance, by well under a hundredth.
        assert manifest.size == pytest.approx(4 * 31_100 / 2, rel=0.05)
    assert sizes[0] == sizes[1] == sizes[2]


def test_more_rows_than_the_public_maximum_are_refused(tmp_path, key_folder):
    with pytest.raises(ParameterError, match="rows_at_most = 10"):
        holder.encrypt_table(
            roles.table(),
            roles.schema(),
            key_folder / "public",
            "marginals",
            tmp_path / "x",
            rows_at_most=10,
        )


def test_the_holders_ledger_books_the_job(tmp_path, key_folder, uploaded):
    upload = tmp_path / "holder"
    shutil.copytree(uploaded, upload)
    job = Job.create([holder.Manifest.read(upload)], mz.AIM(epsilon=1.0))
    with mz.Ledger.open(tmp_path / "ledger.db") as ledger:
        holder.make_pool(upload, job, ledger=ledger)
        holder.make_pool(upload, job, ledger=ledger)  # once for a job
        account = ledger.account("people", delta=1e-9)
        assert account.runs == 1
        assert 0.99 < account.epsilon <= 1.0


def test_a_budget_too_large_for_shares_is_refused(tmp_path, uploaded):
    with pytest.raises(ParameterError, match="Ask for a smaller epsilon"):
        Job.create([holder.Manifest.read(uploaded)], mz.AIM(epsilon=500.0))


def test_the_plan_is_kept(world):
    told = plan(roles.schema(), "marginals", mz.AIM(epsilon=2.0), rows_at_most=1024)
    sent = [p for p in holder.blobs(world.upload, world.job).values() if p.suffix == ".bin"]
    size = sum(p.stat().st_size for p in sent if "keys" not in p.parts)
    assert 0.5 * told.upload_bytes <= size <= told.upload_bytes
    fitted = world.run()
    by_role = {(view.role, view.corrupted): view for view in told.views}
    assert fitted.privacy.views[0].rho <= by_role["public", ""].rho
    assert json.dumps(told.to_json())
    assert len(told.lines()) >= 6


def test_an_exhausted_pool_ends_the_run_clearly(tmp_path, key_folder, uploaded):
    world = roles.World(tmp_path, key_folder, uploaded, pool_cells=1)
    levels = [level.entries for level in world.job.levels]
    assert sum(levels[1:]) <= 32 * len(levels)
    with pytest.raises(BudgetError, match="exhausted"):
        world.run()


def test_copies_cost_their_share(world):
    fitted = world.run()
    copies = fitted.privacy.releases[:3]
    cost = sum(release.rho for release in copies)
    assert cost == pytest.approx(world.job.share * world.job.rho, rel=1e-3)
    sigma = float(copies[0].parameters["sigma"])
    assert sigma == pytest.approx(sqrt(3 / (2 * world.job.share * world.job.rho)), rel=1e-3)
