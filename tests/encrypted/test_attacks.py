"""Cheating providers, curious key holders, foreign files: what each gets, which is nothing more."""

import contextlib
import json
import os
import shutil

import numpy as np
import pytest

from mezzotint.encrypted import holder, keys
from mezzotint.encrypted.job import Job
from mezzotint.encrypted.keyholder import KeyHolder, Limits
from mezzotint.encrypted.parsing import Sandbox
from mezzotint.encrypted.provider import Desk
from mezzotint.encrypted.refusal import Refusal
from mezzotint.encrypted.requests import MEASURE, Measure
from mezzotint.encrypted.wire import Message
from mezzotint.errors import DataError
from mezzotint.tables.graphical import Query
from tests.encrypted import roles


class Recorder:
    """A provider's connection that keeps the first request and goes no further."""

    class Stop(Exception):
        pass

    def exchange(self, message):
        self.message = message
        raise self.Stop


@pytest.fixture
def first(world):
    """The provider's first request, honest."""
    recorder = Recorder()
    with pytest.raises(Recorder.Stop):
        world.provider().run(recorder)
    return recorder.message


@pytest.fixture
def keyholder(world):
    with world.keyholder() as role:
        yield role


def refused(role, message):
    with pytest.raises(Refusal) as caught:
        role.answer(message)
    assert str(caught.value) == Refusal.TEXT
    return caught.value.reason


def changed(data, **changes):
    message = Message.from_bytes(data)
    blobs = changes.pop("blobs", message.blobs)
    return Message(message.kind, {**message.fields, **changes}, tuple(blobs)).to_bytes()


def spent(role, world):
    return role.job(world.job.id)["rho"]


def test_the_same_request_again_gets_the_same_bytes(world, first, keyholder):
    answer, cost = keyholder.answer(first), spent(keyholder, world)
    assert keyholder.answer(first) == answer
    assert spent(keyholder, world) == cost


def test_another_request_under_a_number_that_was_used(world, first, keyholder):
    keyholder.answer(first)
    cost = spent(keyholder, world)
    for message in (
        changed(first, sigma=1000.0),
        changed(first, blobs=Message.from_bytes(first).blobs[::-1]),
    ):
        assert "again, and differs" in refused(keyholder, message)
    assert spent(keyholder, world) == cost


@pytest.mark.parametrize(
    "fields",
    [
        {"number": 1},
        {"number": -1},
        {"number": 10**9},
        {"number": True},
        {"sigma": 0.0},
        {"sigma": -1.0},
        {"sigma": 1e300},
        {"sigma": "1"},
        {"queries": []},
        {"queries": [{"clique": ["a", "z"], "groups": {}}]},
        {"queries": [{"clique": ["a", "b", "c"], "groups": {}}]},
        {"queries": [{"clique": ["a", "b"], "groups": {"a": [0, 0, 1]}}]},
        {"queries": [{"clique": ["a", "b"], "groups": {}}] * 2},
        {"job": "0" * 64},
        {"job": "../../x"},
    ],
    ids=str,
)
def test_requests_that_cannot_be_meant(world, first, keyholder, fields):
    refused(keyholder, changed(first, **fields))
    assert spent(keyholder, world) == 0


def test_ciphertexts_that_are_not_the_planned_ones(world, first, keyholder):
    blobs = Message.from_bytes(first).blobs
    half = len(blobs[0]) // 2
    for spoiled in (
        blobs[:-1],
        (*blobs, blobs[0]),
        (blobs[0][:half], *blobs[1:]),
        (b"", *blobs[1:]),
        (os.urandom(len(blobs[0])), *blobs[1:]),
        (blobs[0] + b"\0" * 10**6, *blobs[1:]),
        (b"\x5e\xa1" + blobs[0][2:8] + b"\xff" * 200, *blobs[1:]),
    ):
        refused(keyholder, changed(first, blobs=spoiled))
    assert spent(keyholder, world) == 0
    # The process has survived, and nothing was used up.
    keyholder.answer(first)


def cheat(world, change):
    """A provider that works as it should but for what it sends in place of some sums."""
    provider = world.provider()
    recorder = Recorder()

    class Cheating(Desk):
        def __init__(self, *args):
            super().__init__(*args)
            streams, honest = self._streams, self._streams.sum
            streams.sum = lambda term: change(streams.public, term, honest(term))

    import mezzotint.encrypted.provider as module

    original, module.Desk = module.Desk, Cheating
    try:
        with pytest.raises(Recorder.Stop):
            provider.run(recorder)
    finally:
        module.Desk = original
    return recorder.message


def nothing(public, term, ciphertext):
    """Zero, where noise should be."""
    if term.stream.startswith("noise"):
        return public.scheme.load(public.encrypt(np.zeros(1, np.int64)))
    return ciphertext


def doubled(public, term, ciphertext):
    """Twice the counts, so that noise drowns half as much."""
    return public.scheme.add([ciphertext, ciphertext]) if term.stream == "cells" else ciphertext


def everything_doubled(public, term, ciphertext):
    return public.scheme.add([ciphertext, ciphertext])


def shifted(public, term, ciphertext):
    """One count more in one cell: a chosen difference."""
    if term.stream != "cells":
        return ciphertext
    one = np.zeros(public.preset.width, np.int64)
    one[term.coefficients[0]] = 1
    return public.scheme.add_plain(ciphertext, one)


@pytest.mark.parametrize("change", [nothing, doubled, everything_doubled, shifted])
def test_a_provider_that_computes_something_else_gets_nothing(world, keyholder, change):
    """Marks tell; the spend stays, the job is over, and an honest request comes too late."""
    message = cheat(world, change)
    reason = refused(keyholder, message)
    assert "marks" in reason or "range" in reason
    cost = spent(keyholder, world)
    assert cost > 0
    assert keyholder.job(world.job.id)["state"] == "broken"
    assert "broken" in refused(keyholder, message)
    assert spent(keyholder, world) == cost


def test_an_answer_without_the_holders_noise_would_still_be_noisy(world):
    """The cheating provider's view: the key holder's own share hides at least half."""
    fitted = world.run()
    for release in fitted.privacy.releases:
        sigma, own = float(release.parameters["sigma"]), float(release.parameters["own"])
        assert own**2 >= sigma**2 / 2 * (1 - 1e-9)


def test_the_end_of_the_budget_is_the_end(world, first, keyholder):
    """A provider that asks for exacter answers than are planned is refused by the ledger."""
    measure = Measure(0, (Query(("a", "b")),), 0.9)
    blobs = Message.from_bytes(first).blobs
    message = Message(MEASURE, measure.to_fields(world.job), blobs).to_bytes()
    refused(keyholder, message)
    assert spent(keyholder, world) == 0


def test_decryptions_are_counted(world, first):
    with world.keyholder(limits=Limits(decryptions=1)) as role:
        assert "over the key's limit" in refused(role, first)
        assert spent(role, world) == 0


def test_after_the_end_nothing_is_answered(world, first, keyholder):
    keyholder.answer(Message("close", {"job": world.job.id}).to_bytes())
    refused(keyholder, first)


def test_jobs_need_the_invitation_and_the_holders_signature(world, tmp_path):
    honest = holder.registration(world.upload, world.job)
    with KeyHolder.open(world.keys, tmp_path / "other-state") as role:
        message = Message.from_bytes(honest)
        for fields in ({"proof": "0" * 64}, {"signature": "0" * 128}, {"identity": "0" * 64}):
            spoiled = Message(message.kind, {**message.fields, **fields}, message.blobs)
            with pytest.raises(Refusal):
                role.open_job(spoiled.to_bytes())
        # Another invitation: a provider that makes up a job of its own.
        shutil.copytree(world.upload, tmp_path / "thief")
        (tmp_path / "thief/private/invitation").chmod(0o600)
        (tmp_path / "thief/private/invitation").write_bytes(os.urandom(32))
        with pytest.raises(Refusal):
            role.open_job(holder.registration(tmp_path / "thief", world.job))
        with pytest.raises(Refusal):
            role.job(world.job.id)


def test_a_job_with_any_fact_changed_is_another_job(world):
    document = json.loads(world.job.to_bytes())
    for fact, value in {"epsilon": 10.0, "keys": "0" * 64, "mechanism": "mst"}.items():
        other = json.dumps(document | {fact: value}, sort_keys=True, separators=(",", ":"))
        with contextlib.suppress(Refusal):
            assert Job.from_bytes(other.encode()).id != world.job.id
    with pytest.raises(Refusal):
        Job.from_bytes(json.dumps(document | {"share": 2.0}).encode())


@pytest.mark.parametrize("place", ["uploads", "pools"])
@pytest.mark.parametrize("how", ["flip", "truncate", "grow", "remove", "swap"])
def test_uploads_that_changed_on_the_way_are_refused(world, place, how):
    folder = next((world.folder / place).iterdir())
    path = folder / ("cells.bin" if place == "uploads" else "noise-1.bin")
    data = bytearray(path.read_bytes())
    match how:
        case "flip":
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
        case "truncate":
            path.write_bytes(data[:-1])
        case "grow":
            path.write_bytes(data + b"x")
        case "remove":
            path.unlink()
        case "swap":
            other = folder / ("cell-marks.bin" if place == "uploads" else "noise-2.bin")
            path.write_bytes(other.read_bytes())
    with pytest.raises(Refusal):
        world.provider().run(Recorder())


def test_files_of_another_job_or_other_keys_are_refused(world, tmp_path, key_folder, uploaded):
    other = roles.World(tmp_path / "other", key_folder, uploaded)
    who = world.job.parties[0].identity[:16]
    shutil.rmtree(world.folder / "pools" / who)
    shutil.copytree(other.folder / "pools" / who, world.folder / "pools" / who)
    with pytest.raises(Refusal):
        world.provider().run(Recorder())
    keys.create(tmp_path / "keys2", presets=["bfv-2048-v1"])
    shutil.rmtree(other.folder / "keys")
    shutil.copytree(tmp_path / "keys2/public", other.folder / "keys")
    with pytest.raises(Refusal):
        other.provider().run(Recorder())


def test_a_secret_that_others_may_read_is_not_used(tmp_path):
    folder = keys.create(tmp_path / "keys", presets=["bfv-2048-v1"])
    secret = folder.path / "secret" / "bfv-2048-v1.key"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert (folder.path / "invitation").stat().st_mode & 0o777 == 0o600
    secret.chmod(0o644)
    with pytest.raises(DataError, match="chmod"):
        keys.KeyFolder.open(folder.path)
    secret.chmod(0o600)
    keys.KeyFolder.open(folder.path)


def test_nothing_private_goes_to_the_provider(world):
    sent = holder.blobs(world.upload, world.job)
    assert not any("private" in path.parts for path in sent.values())
    secrets = [p.read_bytes() for p in (world.upload / "private").iterdir()]
    for path in sent.values():
        data = path.read_bytes()
        assert not any(secret in data or secret.hex().encode() in data for secret in secrets)


def test_the_parser_survives_what_it_is_given():
    rng = np.random.default_rng(0)
    with Sandbox(seconds=30) as sandbox:
        for size in (0, 1, 16, 100, 5000):
            with pytest.raises(Refusal):
                sandbox.check("bfv-2048-v1", [rng.bytes(size)])
        with pytest.raises(Refusal):
            sandbox.check("no such preset", [b""])
    with Sandbox(seconds=0.0) as sandbox, pytest.raises(Refusal):
        sandbox.check("bfv-2048-v1", [b""])


def test_logs_and_refusals_hold_no_values(world, keyholder):
    """Every reason names ids and sizes; none of the counts appears in it."""
    reason = refused(keyholder, cheat(world, doubled))
    reason = reason.replace(world.job.id[:16], "")  # an id may be all digits
    numbers = {
        int(word.strip(",.:;()")) for word in reason.split() if word.strip(",.:;()").isdigit()
    }
    assert numbers <= {0}
