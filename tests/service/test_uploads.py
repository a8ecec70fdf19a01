"""Uploads: whatever is lost on the way, what stands under its own name is what was declared."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.service.limits import Limits
from mezzotint.service.refusals import HinderedError, Obstacle, RefusedError
from mezzotint.service.uploads import Declared, Upload, check_declared


def declared(data: bytes) -> Declared:
    return Declared(len(data), hashlib.sha256(data).hexdigest())


def test_chunks_become_a_blob_and_the_marker_comes_last(tmp_path):
    data = bytes(range(256)) * 3
    upload = Upload(tmp_path / "up", {"rows/c-0.ct": declared(data)})
    assert upload.offset("rows/c-0.ct") == 0
    assert upload.append("rows/c-0.ct", 0, data[:100]) == 100
    with pytest.raises(HinderedError) as caught:
        upload.complete()
    assert caught.value.obstacle is Obstacle.NOT_COMPLETE
    # Another process goes on from where this one came.
    again = Upload(tmp_path / "up", upload.blobs)
    assert again.offset("rows/c-0.ct") == again.arrived == 100
    assert not (upload.folder / "rows/c-0.ct").exists()
    again.append("rows/c-0.ct", 100, data[100:])
    assert (upload.folder / "rows/c-0.ct").read_bytes() == data
    assert not again.is_complete
    again.complete()
    again.complete()
    assert again.is_complete
    with pytest.raises(HinderedError):
        again.append("rows/c-0.ct", len(data), b"")


@given(st.binary(min_size=1, max_size=200), st.data())
@settings(max_examples=12, deadline=None)
def test_any_order_of_repeats_and_gaps_ends_in_the_declared_bytes(tmp_path_factory, data, draw):
    """A client that repeats, skips or cuts chunks is told where it stands, and gets there."""
    upload = Upload(tmp_path_factory.mktemp("up"), {"a": declared(data)})
    while (at := upload.offset("a")) < len(data):
        offset = draw.draw(st.integers(0, len(data)) | st.just(at))
        piece = data[at : at + draw.draw(st.integers(20, 100))]
        if offset != at:
            with pytest.raises(HinderedError) as caught:
                upload.append("a", offset, piece)
            assert caught.value.obstacle is Obstacle.OFFSET
        else:
            assert upload.append("a", offset, piece) == at + len(piece)
    assert (upload.folder / "a").read_bytes() == data


def test_other_bytes_than_declared_are_thrown_away(tmp_path):
    upload = Upload(tmp_path / "up", {"a": declared(b"honest")})
    with pytest.raises(HinderedError) as caught:
        upload.append("a", 0, b"forged")
    assert caught.value.obstacle is Obstacle.DAMAGED
    assert upload.offset("a") == 0
    assert list(upload.folder.iterdir()) == []
    upload.append("a", 0, b"honest")
    assert (upload.folder / "a").read_bytes() == b"honest"


def test_more_than_declared_or_not_declared_is_refused(tmp_path):
    upload = Upload(tmp_path, {"a": declared(b"12345")})
    for name, data in (("a", b"123456"), ("b", b"1"), ("../a", b"1"), ("a.part", b"1")):
        with pytest.raises(RefusedError):
            upload.append(name, 0, data)
    assert [path for path in tmp_path.rglob("*") if path.stat().st_size] == []


def test_two_writers_of_one_blob_do_not_mix(tmp_path):
    import fcntl

    upload = Upload(tmp_path / "up", {"a": declared(b"12345")})
    upload.append("a", 0, b"12")
    with (tmp_path / "up" / ".a.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(HinderedError):
            upload.append("a", 2, b"345")
    upload.append("a", 2, b"345")
    assert (tmp_path / "up" / "a").read_bytes() == b"12345"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/../b",
        "a//b",
        "/a",
        "a/",
        ".a",
        "A",
        "a b",
        "a\n",
        "-a",
        "a.part.part",
        "a" * 99,
        "é",
    ],
)
def test_names_that_could_lead_elsewhere_are_refused(name):
    with pytest.raises(RefusedError):
        check_declared({name: declared(b"x")}, Limits())


def test_what_is_declared_stays_within_the_limits():
    limits = Limits(blob=10, blobs=2)
    assert check_declared({"a": declared(b"x" * 10), "b": declared(b"x")}, limits) == 11
    for blobs in (
        {"a": declared(b"x" * 11)},
        {name: declared(b"x") for name in "abc"},
    ):
        with pytest.raises(HinderedError):
            check_declared(blobs, limits)
    for blob in (Declared(0, "0" * 64), Declared(-1, "0" * 64), Declared(1, "g" * 64)):
        with pytest.raises(RefusedError):
            check_declared({"a": blob}, limits)
