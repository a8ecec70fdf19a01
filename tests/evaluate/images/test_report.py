"""The whole evaluation, as figures and as a page."""

from __future__ import annotations

import json
import stat
from html.parser import HTMLParser

import numpy as np
import pytest

from mezzotint.errors import DataError
from mezzotint.evaluate.images import build, evaluate_images
from mezzotint.evaluate.images.page import verdict
from mezzotint.evaluate.images.transfer import Accuracy, Transfer
from mezzotint.images.data import ImageData, Images
from tests.images.toy import Toy


@pytest.fixture(scope="module")
def model(digits):
    return Toy(5.0).fit(digits.train).fitted_


@pytest.fixture(scope="module")
def report(digits, model):
    stages = []
    made = evaluate_images(
        model.sample(400, random_state=0),
        digits,
        statements=model.statements,
        quick=True,
        title="<script>alert(1)</script>",
        progress=lambda stage, share: stages.append(stage),
    )
    assert stages[0] == "logistic regression on synthetic images"
    return made


def test_every_part_is_there_and_marked_private(report):
    figures = json.loads(json.dumps(report.figures(), allow_nan=False))
    assert figures["private"]
    assert [t["classifier"] for t in figures["transfers"]] == ["logistic regression", "MLP", "CNN"]
    for part in ("transfers", "overlaps", "distances"):
        assert all(row["private"] for row in figures[part])
    assert figures["neighbours"]["private"]
    assert figures["synthetic_images"] == 400
    assert figures["transfers"][2]["real"]["mean"] > 0.9
    assert figures["distances"][0]["checksum"] == report.distances[0].checksum
    assert "Quick" in figures["notes"][0]
    assert figures["statements"][0]["epsilon"] == 5.0


def test_test_images_are_nearer_than_class_means(report):
    (lenet,) = report.distances
    assert lenet.frechet > 2 * lenet.frechet_floor
    for overlap in report.overlaps:
        assert overlap.floor.coverage > overlap.synthetic.coverage
        assert overlap.floor.recall > 0.8


class Outline(HTMLParser):
    """Tags that are opened and closed, and everything that a browser would fetch."""

    def __init__(self, text):
        super().__init__()
        self.open, self.fetched = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        assert tag != "script"
        for name, value in attributes:
            assert not name.startswith("on")
            if name in ("src", "href"):
                self.fetched.append(value)
        if tag not in ("meta", "img", "br", "col"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("meta", "img", "br", "col"):
            assert self.open.pop() == tag


def test_the_page(report, tmp_path):
    report.write(tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    outline = Outline(text)
    assert outline.open == []
    assert all(v.startswith(("data:image/png;base64,", "#")) for v in outline.fetched)
    assert sum(v.startswith("data:") for v in outline.fetched) == 2 + 2 * 20
    assert "&lt;script&gt;" in text
    assert "Private: do not publish" in text
    assert "class sums, round 0" in text
    assert "(5, 1e-05)-differential privacy" in text
    assert stat.S_IMODE((tmp_path / "r.html").stat().st_mode) == 0o600
    report.write(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["format"] == 1


def test_without_a_statement_the_page_says_so(report):
    from dataclasses import replace

    assert "No privacy statement came with these images" in replace(report, statements=()).html()


def test_without_a_test_part_every_fifth_is_taken(digits):
    parts = build._divided(Images(digits.train))
    assert len(parts.test) == len(digits.train) // 5
    assert len(parts.train) + len(parts.test) == len(digits.train)
    assert "every fifth" in parts.note
    assert len(parts.held_out) + len(parts.reference) == len(parts.train)


def test_sets_that_cannot_be_compared(digits, model):
    x = np.zeros((30, 9, 8, 1), np.uint8)
    with pytest.raises(DataError, match="images of 9 x 8 pixels"):
        evaluate_images(ImageData(x, np.zeros(30, np.int64), ("a",)), digits)
    with pytest.raises(DataError, match="too few to compare"):
        evaluate_images(model.sample(5), digits)
    x = np.zeros((30, 8, 8, 1), np.uint8)
    other = ImageData(x, np.arange(30) % 11, tuple("abcdefghijk"))
    with pytest.raises(DataError, match="11 classes"):
        evaluate_images(other, digits)


@pytest.mark.parametrize(
    ("ours", "real", "words"),
    [
        (0.97, 0.98, "nearly all"),
        (0.9, 0.98, "most"),
        (0.7, 0.98, "a part"),
        (0.3, 0.98, "little"),
        (0.3, None, "30.0 %"),
    ],
)
def test_verdicts(ours, real, words):
    ceiling = None if real is None else Accuracy((real,), ())
    assert words in verdict(Transfer("CNN", Accuracy((ours,), ()), ceiling))
