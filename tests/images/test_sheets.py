"""Sheets show the images that they are made of."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mezzotint.images.data import ImageData
from mezzotint.images.sheets import png, sheet, text_sheet, write_sheet
from tests.images.conftest import made_up


@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_a_class(tmp_path, channels):
    data = made_up(9, channels=channels)
    picture = sheet(data, columns=4)
    assert picture.shape == (3 * 50 + 2, 4 * 50 + 2, channels)
    tile = picture[2 + 50 : 50 + 50, 2 + 2 * 50 : 50 + 2 * 50]
    assert np.array_equal(tile[::6, ::6], data.x[data.y == 1][2])
    assert np.all(picture[2:50, 152:] == 255)  # a class of three images leaves the fourth place
    write_sheet(data, tmp_path / "s.png", columns=4)
    again = np.asarray(Image.open(tmp_path / "s.png"))
    assert np.array_equal(again.reshape(picture.shape), picture)


def test_large_images_are_shown_as_they_are():
    data = made_up(4, classes=2, size=64)
    assert sheet(data, columns=2).shape == (2 * 66 + 2, 2 * 66 + 2, 1)


def test_many_classes_are_cut():
    x = np.zeros((50, 8, 8, 1), np.uint8)
    data = ImageData(x, np.arange(50), tuple(map(str, range(50))))
    assert sheet(data, columns=1, rows=20).shape[0] == 20 * 50 + 2


def test_png_is_png():
    assert Image.open(io.BytesIO(png(made_up().x[0]))).format == "PNG"


def test_text_for_terminals(digits):
    lines = text_sheet(digits.train, width=100)
    assert len(lines) == 4
    assert lines[0].count("▀") == 90
    assert text_sheet(digits.train, width=20) == []
    assert text_sheet(digits.train, width=100, colour=False) == []
