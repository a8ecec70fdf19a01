"""L0: what a command leaves behind has one shape on all neighbours.

One row more, with a category that nobody declared, a value beyond the bounds, or nothing but
missing values: exit code, messages, files, the model's entries, keys and array shapes are the same.
Numbers differ, for noise is never the same twice; they are left out of the comparison.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mezzotint.cli import main
from mezzotint.cli.failures import explain

SCHEMA = """\
mezzotint-schema: 1
unit: {name: person, rows: 1}
attributes:
  age: {type: integer, bounds: [18, 81], bins: 4, missing: false}
  colour: {type: categorical, categories: [red, green, blue], missing: "?"}
  size: {type: continuous, bounds: [0, 10], bins: 4, decimals: 2}
"""
ROWS = [f"{20 + i % 60},{['red', 'green', 'blue'][i % 3]},{i % 10}.5" for i in range(60)]
NEIGHBOURS = {
    "a new category": "30,purple,1.0",
    "a new maximum": "99999,red,1e308",
    "nothing but missing": ",,",
    "words for numbers": "old,red,huge",
    "infinite": "30,red,inf",
}


def artefacts(folder: Path, rows: list[str], *words: str) -> dict[str, object]:
    """Everything that `synthesize` and `fit` leave behind, numbers left out."""
    folder.mkdir(parents=True)
    (folder / "data.csv").write_text("\n".join(["age,colour,size", *rows]) + "\n")
    (folder / "schema.yaml").write_text(SCHEMA)
    here = Path.cwd()
    out, err = io.StringIO(), io.StringIO()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(["fit", "data.csv", "-s", "schema.yaml", "-o", "model.zip", *words])
    finally:
        os.chdir(here)
    shape: dict[str, object] = {
        "code": code,
        "out": normal(out.getvalue()),
        "err": normal(err.getvalue()),
        "files": sorted(path.name for path in folder.iterdir()),
    }
    if code == 0:
        shape["model"] = model_shape(folder / "model.zip")
    return shape


def normal(text: str) -> str:
    text = re.sub(r"\b[0-9a-f]{64}\b", "#", text)
    return " ".join(re.sub(r"-?\d[\d.,:]*(e-?\d+)?", "#", text).split())


def model_shape(path: Path) -> dict[str, object]:
    """Entry names; keys and types of JSON; shapes and types of arrays."""
    shape: dict[str, object] = {}
    with zipfile.ZipFile(path) as model:
        for name in model.namelist():
            content = model.read(name)
            if name.endswith(".json"):
                shape[name] = skeleton(json.loads(content))
            elif name.endswith(".npz"):
                with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                    shape[name] = {k: (arrays[k].shape, str(arrays[k].dtype)) for k in arrays}
            else:
                shape[name] = "bytes"
    return shape


def skeleton(value: object) -> object:
    match value:
        case dict():
            return {key: skeleton(item) for key, item in value.items()}
        case list():
            return [skeleton(item) for item in value]
        case bool() | None:
            return value
        case str():
            return normal(value)
    return "number"


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
@pytest.mark.parametrize("mechanism", ["independent"])
def test_neighbours_leave_artefacts_of_one_shape(tmp_path, mechanism, neighbour):
    words = ("-m", mechanism, "--epsilon", "1", "--ledger", "ledger.db", "--dataset", "d")
    one = artefacts(tmp_path / "one", ROWS, *words)
    two = artefacts(tmp_path / "two", [*ROWS, NEIGHBOURS[neighbour]], *words)
    assert one["code"] == 0
    assert one == two


def test_an_unforeseen_error_quotes_no_row():
    code, message = explain(ValueError("could not convert 'Ada Lovelace' to a number"))
    assert code == 1
    assert "Ada" not in message
    assert "ValueError" in message
