"""Model files come back as they were, or not at all."""

from __future__ import annotations

import json
import random
import zipfile

import numpy as np
import pytest

import mezzotint
from mezzotint.errors import ModelFileError
from mezzotint.images.model_file import read_images_model
from tests.images.conftest import made_up
from tests.images.toy import Sampled, Toy


@pytest.fixture
def file(tmp_path, toys):
    path = tmp_path / "m.mezzo"
    Toy(3.0, remark="ça").fit(made_up()).save(path)
    return path


def rewritten(path, change):
    """The same file with another head."""
    with zipfile.ZipFile(path) as archive:
        head = json.loads(archive.read("model.json"))
        arrays = archive.read("arrays.safetensors")
    change(head)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", json.dumps(head))
        archive.writestr("arrays.safetensors", arrays)
    return path


def test_what_is_written_is_read(tmp_path, toys):
    for maker in (Toy(3.0), Sampled(3.0)):
        fitted = maker.fit(made_up(300)).fitted_
        fitted.save(tmp_path / "m.mezzo")
        again = mezzotint.load(tmp_path / "m.mezzo")
        assert again.facts == fitted.facts
        assert again.settings == fitted.settings
        assert again.statements == fitted.statements
        assert np.array_equal(again.shares, fitted.shares)
        assert np.array_equal(
            again.sample(20, random_state=3).x, fitted.sample(20, random_state=3).x
        )


def test_tables_are_still_read(tmp_path):
    table = mezzotint.demo_table(200, random_state=0)
    schema = mezzotint.Schema.draft(table).confirm(all_public=True)
    mezzotint.Independent(epsilon=1.0).fit(table, schema).save(tmp_path / "t.mezzo")
    assert mezzotint.load(tmp_path / "t.mezzo").sample(3).num_rows == 3
    with pytest.raises(ModelFileError, match="'mezzotint table model', not an image model"):
        read_images_model(tmp_path / "t.mezzo")


def test_nothing_is_pickled(file):
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["model.json", "arrays.safetensors"]


def test_weights_that_are_no_numbers(tmp_path, toys):
    fitted = Toy(3.0).fit(made_up()).fitted_
    fitted.generator.means[0, 0] = np.nan
    with pytest.raises(ModelFileError, match="hold NaN"):
        fitted.save(tmp_path / "n.mezzo")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("format", 99, "its format is 99"),
        ("kind", "other", "not an? (image|table) model"),
        ("generator", "unheard of", "does not know"),
        ("shares", [0.5, 0.5], "no distribution"),
        ("shares", [0.5, 0.6, -0.1], "no distribution"),
        ("shares", [0.5, 0.6, 0.1], "no distribution"),
        ("config", {}, "no intact"),
        ("facts", {}, "no intact"),
        ("privacy", {}, "damaged"),
    ],
)
def test_heads_that_are_wrong(file, key, value, words):
    with pytest.raises(ModelFileError, match=words):
        mezzotint.load(rewritten(file, lambda head: head.update({key: value})))


def test_a_statement_cannot_claim_less(file):
    def change(head):
        head["privacy"]["epsilon"] = 0.5

    with pytest.raises(ModelFileError, match=r"more than the 0\.5 it claims"):
        mezzotint.load(rewritten(file, change))


def test_missing_and_truncated_files(file, tmp_path):
    whole = file.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            mezzotint.load(file)
    with pytest.raises(ModelFileError, match="no such file"):
        mezzotint.load(tmp_path / "none.mezzo")
    with pytest.raises(ModelFileError, match="no such file"):
        read_images_model(tmp_path / "none.mezzo")


def mutate(file, times):
    """Files with damaged bytes are refused, or give what the intact one gave."""
    whole = file.read_bytes()
    expected = read_images_model(file).sample(5, random_state=0).x
    rng = random.Random(11)
    refused = 0
    for _ in range(times):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 1, 3))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        file.write_bytes(bytes(damaged))
        try:
            fitted = read_images_model(file)
        except ModelFileError as error:
            assert str(file) in str(error)
            refused += 1
        else:
            # Bytes that no reader looks at: time stamps and the like.
            assert np.array_equal(fitted.sample(5, random_state=0).x, expected)
    assert refused > times // 2


def test_300_mutations(file):
    mutate(file, 300)


@pytest.mark.slow
def test_10000_mutations(file):
    mutate(file, 10_000)
