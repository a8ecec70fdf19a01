"""Model files: exact round trips; damage is always one error, never another model."""

import io
import json
import zipfile

import numpy as np
import pytest

import mezzotint as mz
from mezzotint.errors import DataError, ModelFileError
from mezzotint.privacy.ledger import Ledger

from .brute import all_cliques
from .private import SIZES, rows_of, table_of


@pytest.fixture(scope="module")
def fitted():
    table = table_of(SIZES, rows_of(SIZES, 400))
    ledger = Ledger.memory(insecure_noise=1)
    return mz.MST(epsilon=3.0).fit(table, SIZES, ledger=ledger).fitted_


@pytest.fixture(scope="module")
def file(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.mezzo"
    fitted.save(path)
    return path


def same(one, two):
    assert one.schema == two.schema
    assert one.privacy == two.privacy
    assert one.model.total == two.model.total
    assert one.model.domain == two.model.domain
    for clique in all_cliques(one.model.domain, 2):
        np.testing.assert_array_equal(one.model.marginal(clique), two.model.marginal(clique))
    for a, b in zip(one.model.measurements, two.model.measurements, strict=True):
        assert (a.query, a.sigma) == (b.query, b.sigma)
        np.testing.assert_array_equal(a.values, b.values)
    return True


def test_a_round_trip_is_exact(fitted, file, tmp_path):
    read = mz.load(file)
    assert same(fitted, read)
    assert read.sample(50, random_state=1).equals(fitted.sample(50, random_state=1))
    read.save(tmp_path / "again.mezzo")
    assert same(fitted, mz.load(tmp_path / "again.mezzo"))


def test_groups_and_structural_zeros_survive(tmp_path):
    schema = mz.Schema.from_text(
        "attributes:\n"
        "  start: {type: integer, bounds: [0, 9], missing: false}\n"
        "  end: {type: integer, bounds: [0, 9], missing: false}\n"
        "always:\n"
        "  - start <= end\n"
    )
    ends = np.sort(np.random.default_rng(0).integers(0, 10, (300, 2)), axis=1)
    table = table_of({"start": 10, "end": 10}, ends)
    fitted = mz.MST(epsilon=0.5).fit(table, schema, ledger=Ledger.memory(insecure_noise=2)).fitted_
    assert any(m.groups for m in fitted.model.measurements)
    assert fitted.model.zeros
    fitted.save(tmp_path / "model.mezzo")
    read = mz.load(tmp_path / "model.mezzo")
    assert same(fitted, read)
    below = np.tril(np.ones((10, 10), bool), -1)
    assert (read.model.marginal(["start", "end"])[below] == 0).all()


def refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.mezzo: "):
        mz.load(path)


def test_truncated_files_are_refused(file, tmp_path):
    content = file.read_bytes()
    for part in range(50):
        refused(tmp_path / "model.mezzo", content[: len(content) * part // 50])
    refused(tmp_path / "model.mezzo", content[:-1])


def test_flipped_bits_never_go_unnoticed(fitted, file, tmp_path):
    """Either a model file error, or (in time stamps and the like) the very same model."""
    content = bytearray(file.read_bytes())
    path = tmp_path / "model.mezzo"
    rng = np.random.default_rng(0)
    tail = len(content) - 260
    spans = [(0, 120, 40), (0, len(content), 140), (tail, len(content), 60)]
    places = np.concatenate([rng.integers(*span) for span in spans])
    noticed = 0
    for place in places:
        bit = 1 << int(rng.integers(8))
        content[place] ^= bit
        path.write_bytes(content)
        try:
            read = mz.load(path)
        except ModelFileError as error:
            assert "model.mezzo" in str(error)
            noticed += 1
        else:
            assert same(fitted, read)
        content[place] ^= bit
    assert noticed > 150


def rewritten(file, path, change=None, arrays=None):
    """The file with another head or other arrays, its checksums in order."""
    with zipfile.ZipFile(file) as archive:
        head = json.loads(archive.read("model.json"))
        packed = archive.read("arrays.npz")
    if change:
        change(head)
    if arrays:
        with np.load(io.BytesIO(packed)) as old:
            kept = dict(old)
        arrays(kept)
        out = io.BytesIO()
        np.savez(out, **kept)
        packed = out.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", json.dumps(head))
        archive.writestr("arrays.npz", packed)


def test_newer_formats_are_refused_with_the_mend(file, tmp_path):
    rewritten(file, tmp_path / "new.mezzo", lambda head: head.update(format=99))
    with pytest.raises(ModelFileError, match=r"new\.mezzo: its format is 99.*Update Mezzotint"):
        mz.load(tmp_path / "new.mezzo")


CHANGES = {
    "kind": lambda head: head.update(kind="image model"),
    "no kind": lambda head: head.pop("kind"),
    "format text": lambda head: head.update(format="one"),
    "no total": lambda head: head.pop("total"),
    "negative total": lambda head: head.update(total=-1),
    "total nan": lambda head: head.update(total=float("nan")),
    "no schema": lambda head: head.update(schema="attributes: []"),
    "schema text": lambda head: head.update(schema="\t{"),
    "domain": lambda head: head["domain"].update(a=99),
    "domain size": lambda head: head["domain"].update(a="x"),
    "clique": lambda head: head["potentials"][0].update(clique=["nobody"]),
    "lists": lambda head: head.update(potentials=3),
    "privacy": lambda head: head["privacy"].update(epsilon=1e-3),
    "no privacy": lambda head: head.pop("privacy"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_damaged_heads_are_refused(file, tmp_path, change):
    rewritten(file, tmp_path / "model.mezzo", change)
    with pytest.raises(ModelFileError, match=r"model\.mezzo: "):
        mz.load(tmp_path / "model.mezzo")


def put(name, value):
    return lambda arrays: arrays.update({name: value})


ARRAYS = {
    "pickle": put("p0.theta", np.array([{"a": 1}], dtype=object)),
    "shape": put("p0.theta", np.zeros(99)),
    "nan": put("p0.theta", np.array([0.0, np.nan, 0.0])),
    "text": put("p0.theta", np.array(["a", "b", "c"])),
    "gone": lambda arrays: arrays.pop("p0.theta"),
}


@pytest.mark.parametrize("change", ARRAYS.values(), ids=ARRAYS)
def test_damaged_arrays_are_refused(file, tmp_path, change):
    rewritten(file, tmp_path / "model.mezzo", arrays=change)
    with pytest.raises(ModelFileError, match=r"model\.mezzo: "):
        mz.load(tmp_path / "model.mezzo")


@pytest.mark.parametrize("content", [b"", b"PK", b"age,sex\n1,2\n", bytes(1000)])
def test_foreign_files_are_refused(tmp_path, content):
    refused(tmp_path / "model.mezzo", content)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(ModelFileError, match=r"nowhere\.mezzo: there is no such file"):
        mz.load(tmp_path / "nowhere.mezzo")
    with pytest.raises(ModelFileError, match="no intact Mezzotint model"):
        mz.load(tmp_path)


def test_a_failed_write_leaves_the_old_file(fitted, file, monkeypatch, tmp_path):
    path = tmp_path / "model.mezzo"
    fitted.save(path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(DataError, match=r"model\.mezzo: cannot be written .No space left.*Give"):
        fitted.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.mezzo"]
