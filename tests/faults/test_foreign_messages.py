"""What the roles of encrypted tables read from each other, damaged: refused in words, or harmless.

The same rule as for files, and one more: bytes that a manifest names are never accepted when they
differ, so no damaged ciphertext, key or stock of noise comes to be used.
"""

from __future__ import annotations

import shutil

import pytest

from mezzotint.errors import MezzotintError
from tests.faults.mutation import attack

pytest.importorskip("tenseal")

import mezzotint as mz
from mezzotint.encrypted import holder, keys
from mezzotint.encrypted.choices import CHOOSE, Choice
from mezzotint.encrypted.job import Job
from mezzotint.encrypted.keyholder import KeyHolder
from mezzotint.encrypted.local import InProcess
from mezzotint.encrypted.manifest import Identity, Manifest
from mezzotint.encrypted.public_folder import PublicFolder
from mezzotint.encrypted.requests import ANSWER, Measure, unpack_answers
from mezzotint.encrypted.scoring import index_of
from mezzotint.encrypted.statements import verified_statement
from mezzotint.encrypted.wire import Message, unpack_parts
from tests.encrypted import roles

MUTANTS = [300, pytest.param(10_000, marks=pytest.mark.slow)]
BFV = "bfv-2048-v1"


class Changed(Exception):
    """Damage that was accepted where a digest should have told."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """One finished job, with everything that was sent."""
    place = tmp_path_factory.mktemp("foreign")
    keys.create(place / "keys", presets=[BFV])
    holder.encrypt_table(
        roles.table(), roles.schema(), place / "keys/public", "marginals", place / "upload"
    )
    (place / "world").mkdir()
    world = roles.World(place / "world", place / "keys", place / "upload", mz.MST(epsilon=2.0))
    with world.keyholder() as role:
        world.provider().run(InProcess(role))
    return world


def signed_file(folder, kind, name):
    """Reads a file of a manifest; accepts no other bytes than the signed ones."""
    manifest, original = Manifest.read(folder, kind), (folder / name).read_bytes()

    def parse(path):
        place = path.parent / "signed"
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place / name)
        data = manifest.bytes_of(place, name)
        if data != original:
            raise Changed(name)
        unpack_parts(data) if name.endswith(".bin") and kind != "keys" else None

    return original, parse


def whole(original, read):
    """A parser of a signed document: what it accepts is what was signed."""

    def parse(path):
        read(data := path.read_bytes())
        if data != original:
            raise Changed(path.name)

    return original, parse


def foreign(scene, name):
    """The intact bytes and the parser of one kind of foreign thing."""
    who, job = scene.job.parties[0].identity[:16], scene.job
    uploads, pools = scene.folder / "uploads" / who, scene.folder / "pools" / who
    request = (scene.folder / "outbox/000000.bin").read_bytes()
    answer = (scene.folder / "answers/000000.bin").read_bytes()
    asked = Measure.from_fields(job, Message.from_bytes(request).fields)
    if name.startswith("manifest-"):
        kind = name.removeprefix("manifest-")
        folder = {"upload": uploads, "pool": pools, "keys": scene.folder / "keys"}[kind]
        original = (folder / "manifest.json").read_bytes()

        def named(data):
            """Another document may be read, and has another name: the job knows it by that."""
            found = Manifest.from_bytes(data, kind)
            if found.id == Manifest.from_bytes(original, kind).id and data != original:
                again = Manifest.from_bytes(original, kind)
                if found != again:
                    raise Changed(kind)

        return original, lambda path: named(path.read_bytes())
    if name == "job":
        return whole((scene.folder / "job.json").read_bytes(), job_of(job))
    if name == "cells":
        return signed_file(uploads, "upload", "cells.bin")
    if name == "noise":
        return signed_file(pools, "pool", "noise-0.bin")
    if name == "public-key":
        return signed_file(scene.folder / "keys", "keys", f"{BFV}/public.bin")
    if name == "statement":
        original = (scene.folder / "statement.json").read_bytes()
        return original, lambda path: verified_statement(job, path.read_bytes())
    if name == "identity":
        original = (scene.upload / "private/identity").read_bytes()
        return original, Identity.load
    if name == "request":
        return request, lambda path: Measure.from_fields(
            job, Message.from_bytes(path.read_bytes(), "measure").fields
        )
    if name == "answer":
        return answer, lambda path: unpack_answers(
            job, asked, Message.from_bytes(path.read_bytes(), ANSWER).blobs
        )
    if name == "choice":
        draft = Job.draft(
            roles.schema(), "marginals", mz.MST(epsilon=2.0), [1024], selection="squared-l2"
        )
        choice = Choice(0, (("a", "b"), ("b", "c")), (1, 2), (0, 5), 9.0)
        data = Message(CHOOSE, choice.to_fields(draft)).to_bytes()
        return data, lambda path: Choice.from_fields(
            draft, Message.from_bytes(path.read_bytes(), CHOOSE).fields
        )
    if name == "index":
        choice = Choice(0, (("a",), ("b",)), (1, 2), (0, 5), 9.0)
        data = Message(ANSWER, {"job": job.id, "number": 0, "index": 1}).to_bytes()
        return data, lambda path: index_of(path.read_bytes(), choice)
    assert name == "registration"
    role = KeyHolder.open(scene.keys, scene.place / "fuzzed")
    return holder.registration(scene.upload, job), lambda path: role.open_job(path.read_bytes())


def job_of(job):
    """Reads a job; one with other content has another id, which no holder has signed."""

    def read(data):
        found = Job.from_bytes(data)
        if found.id != job.id:
            raise MezzotintError("another job, by its id")

    return read


THINGS = [
    "manifest-upload", "manifest-pool", "manifest-keys", "job", "cells", "noise", "public-key",
    "statement", "identity", "request", "answer", "choice", "index", "registration",
]  # fmt: skip


@pytest.mark.parametrize("mutants", MUTANTS)
@pytest.mark.parametrize("name", THINGS)
def test_damaged_bytes_from_another_role(scene, tmp_path, name, mutants):
    original, parse = foreign(scene, name)
    (tmp_path / name).write_bytes(original)
    parse(tmp_path / name)  # the intact one is read
    attack(parse, original, tmp_path, name, mutants)


def test_a_request_that_comes_again_damaged_is_refused_and_spends_nothing(scene, tmp_path):
    """The key holder itself, with its ledger."""
    request = (scene.folder / "outbox/000000.bin").read_bytes()
    with KeyHolder.open(scene.keys, scene.place / "state") as role:
        before = role.job(scene.job.id)["releases"]
        attack(lambda path: role.answer(path.read_bytes()), request, tmp_path, "asked", 100)
        assert role.job(scene.job.id)["releases"] == before
    assert PublicFolder.open(scene.folder / "keys").id == scene.job.keys
