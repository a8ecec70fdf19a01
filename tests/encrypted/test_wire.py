"""Messages and manifests: whole or refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.encrypted.manifest import Identity, Manifest, signed_by, write_private
from mezzotint.encrypted.refusal import Refusal
from mezzotint.encrypted.wire import Message, pack_parts, unpack_parts

MESSAGE = Message("measure", {"job": "x", "sigma": 1.5}, (b"abc", b"", b"\x00" * 50))


def test_message_round_trip():
    assert Message.from_bytes(MESSAGE.to_bytes(), "measure") == MESSAGE
    assert unpack_parts(pack_parts([b"1", b"22"])) == (b"1", b"22")


@given(st.integers(0, len(MESSAGE.to_bytes()) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused_or_harmless(position, change):
    data = bytearray(MESSAGE.to_bytes())
    data[position] ^= change
    try:
        read = Message.from_bytes(bytes(data), "measure")
    except Refusal as refusal:
        assert str(refusal) == Refusal.TEXT
    else:
        # Only the head's own fields can change: blobs are bound by their digests.
        assert read.blobs == MESSAGE.blobs


@given(st.integers(0, len(MESSAGE.to_bytes()) - 1))
def test_truncated_messages_are_refused(size):
    with pytest.raises(Refusal):
        Message.from_bytes(MESSAGE.to_bytes()[:size])


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(data):
    with pytest.raises(Refusal):
        Message.from_bytes(data)
    with pytest.raises(Refusal):
        Manifest.from_bytes(data)


def test_too_long_and_wrong_kind_are_refused():
    with pytest.raises(Refusal):
        Message.from_bytes(MESSAGE.to_bytes(), limit=20)
    with pytest.raises(Refusal):
        Message.from_bytes(MESSAGE.to_bytes(), "answer")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"hello")
    return tmp_path


def test_manifest_names_what_was_signed(folder):
    identity = Identity.create()
    manifest = Manifest.sign("upload", identity, {"n": 1}, folder, ["a.bin"])
    manifest.write(folder)
    again = Manifest.read(folder, "upload")
    assert again == manifest
    assert again.bytes_of(folder, "a.bin") == b"hello"
    again.check_folder(folder)
    for spoiled in (b"hellp", b"hell", b"hello!"):
        (folder / "a.bin").write_bytes(spoiled)
        with pytest.raises(Refusal):
            again.bytes_of(folder, "a.bin")
        with pytest.raises(Refusal):
            again.check_folder(folder)


@pytest.mark.parametrize("change", ["facts", "kind", "identity", "files", "signature"])
def test_manifest_with_any_part_changed_is_refused(folder, change):
    manifest = Manifest.sign("upload", Identity.create(), {"n": 1}, folder, ["a.bin"])
    document = json.loads(manifest.to_bytes())
    match change:
        case "facts":
            document["signed"]["facts"]["n"] = 2
        case "kind":
            document["signed"]["kind"] = "pool"
        case "identity":
            document["signed"]["identity"] = Identity.create().public
        case "files":
            document["signed"]["files"][0][1] = 6
        case "signature":
            document["signature"] = "00" * 64
    with pytest.raises(Refusal):
        Manifest.from_bytes(json.dumps(document).encode())


@pytest.mark.parametrize("name", ["../a", "/a", "a/../b", "manifest.json", "a\\b", "./a"])
def test_manifest_names_no_place_outside(folder, name):
    identity = Identity.create()
    manifest = Manifest.sign("upload", identity, {}, folder, ["a.bin"])
    document = json.loads(manifest.to_bytes())
    document["signed"]["files"][0][0] = name
    body = json.dumps(document["signed"], sort_keys=True, separators=(",", ":")).encode()
    document["signature"] = identity.sign(body)
    assert signed_by(identity.public, document["signature"], body)
    with pytest.raises(Refusal):
        Manifest.from_bytes(json.dumps(document).encode())


def test_private_files_are_the_owners_and_never_replaced(tmp_path):
    write_private(tmp_path / "secret", b"x")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "secret", b"y")


def test_nan_is_no_message():
    with pytest.raises(ValueError, match="JSON"):
        Message("x", {"sigma": float(np.nan)}).to_bytes()
