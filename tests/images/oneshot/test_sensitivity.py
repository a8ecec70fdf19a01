"""Noise off: one record changes every released vector by its own part, exactly, and within bounds.

Two things are tested for every release. The sum over a data set with one record more differs from
the sum without it by the sum over that record alone, to the last bit: no other record's part moves.
And that part is within the declared bounds, in whole numbers.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.images import dp_merf, integers
from mezzotint.images.integers import BALL, UNIT, Block, into_ball, l2_bound, product, rounded
from mezzotint.images.oneshot import axes, embedding, features, gaussians, parts, teacher
from mezzotint.images.oneshot.axes import Level
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.oneshot.embedding import Frequencies
from mezzotint.images.oneshot.features import Whitening
from mezzotint.images.oneshot.gaussians import Basis, ClassMoments
from mezzotint.images.oneshot.parts import Cut
from mezzotint.images.oneshot.scattering import Scattering
from tests.images.oneshot.worlds import neighbours, norm_squared


def check(blocks, without, with_one, alone) -> None:
    changes = [more - less for less, more in zip(without, with_one, strict=True)]
    for block, change, own in zip(blocks, changes, alone, strict=True):
        assert change.dtype == np.int64
        assert change.shape == block.shape
        assert np.array_equal(change, own), block.name
        assert norm_squared([change]) <= block.bound**2, block.name
    assert norm_squared(changes) <= l2_bound(blocks) ** 2


@settings(max_examples=40, deadline=None)
@given(neighbours())
def test_pixels_and_class_moments(worlds):
    canvas = Canvas.of(worlds[0].facts)
    check(
        gaussians.pixel_blocks(canvas.size),
        *(gaussians.pixel_sums(canvas, world) for world in worlds),
    )
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(canvas.size, 5)))[0]
    basis = Basis(10.0, rng.random(canvas.size), axes, np.ones(5), 0.7)
    check(
        gaussians.class_blocks(len(worlds[0].classes), 5),
        *(gaussians.class_moment_sums(canvas, basis, world) for world in worlds),
    )


@settings(max_examples=40, deadline=None)
@given(neighbours(), st.floats(0.01, 10.0))
def test_centred_pixels_and_parts(worlds, radius):
    canvas, classes = Canvas.of(worlds[0].facts), len(worlds[0].classes)
    check(
        axes.level_blocks(canvas.size),
        *(axes.level_sums(canvas, world) for world in worlds),
    )
    rng = np.random.default_rng(0)
    level = Level(10.0, rng.normal(size=canvas.size), 1.0, radius)
    check(
        axes.moment_blocks(canvas.size),
        *(axes.moment_sums(canvas, level, world) for world in worlds),
    )
    basis = Basis(
        10.0, level.mean, np.linalg.qr(rng.normal(size=(canvas.size, 5)))[0], np.ones(5), radius
    )
    moments = ClassMoments(
        np.ones(classes), rng.normal(size=(classes, 5)), np.ones((classes, 5, 5))
    )
    kinds = (4, 2, 2), (2, 2), (), (2,)
    cuts = [
        Cut(pieces, rng.normal(size=(5, len(pieces))) * 3, radius) for pieces in kinds[:classes]
    ]
    check(
        gaussians.class_blocks(sum(cut.parts for cut in cuts), 5),
        *(parts.part_sums(canvas, basis, moments, cuts, world) for world in worlds),
    )


@settings(max_examples=25, deadline=None)
@given(neighbours(), st.floats(0.0, 1e6))
def test_features_embeddings_and_gradients(worlds, scale):
    facts = worlds[0].facts
    canvas, scattering, classes = Canvas.of(facts), Scattering(facts), len(facts.classes)
    size, rng = scattering.size, np.random.default_rng(1)
    private = [features.raw_features(scattering, world) for world in worlds]
    check([features.mean_block(size)], *([features.feature_sum(part)] for part in private))
    mean = rng.normal(size=size) / size**0.5
    for part in private:
        features.centre(part, mean)
    check(features.moment_blocks(size), *(features.moment_sums(part) for part in private))
    waves = Frequencies.draw(canvas.size, size, 20, 0.5, 3)
    check(
        embedding.embedding_blocks(classes, 20, size),
        *(
            embedding.embedding_sums(canvas, waves, world, part)
            for world, part in zip(worlds, private, strict=True)
        ),
    )
    whitening = Whitening(mean, rng.normal(size=(size, size)) * 30)
    for part in private:
        features.whiten(part, whitening)
    weights = rng.normal(size=(size, classes)) * scale
    check(
        teacher.gradient_blocks(size, classes),
        *(
            [teacher.gradient_sums(part, world.y, weights)]
            for world, part in zip(worlds, private, strict=True)
        ),
    )


@settings(max_examples=40, deadline=None)
@given(neighbours())
def test_dp_merf(worlds):
    frequencies = np.random.default_rng(2).normal(size=(worlds[0].facts.pixels, 30))
    check(
        dp_merf.embedding_blocks(len(worlds[0].classes), 30),
        *(dp_merf.embedding_sums(frequencies, world) for world in worlds),
    )


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.lists(st.floats(-1e100, 1e100, allow_subnormal=True), min_size=3, max_size=3),
        min_size=1,
        max_size=5,
    ),
    st.floats(1e-6, 1e6),
)
def test_the_ball_holds_every_row(rows, radius):
    cut = into_ball(np.array(rows), radius)
    assert all(sum(int(v) ** 2 for v in row) <= BALL**2 for row in cut)
    assert np.array_equal(cut, np.trunc(cut))


def test_rows_within_the_radius_are_kept_to_a_step():
    rows = np.random.default_rng(0).normal(size=(50, 4))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.abs(into_ball(rows, 1.0) / BALL - rows).max() <= 1.001 / BALL


def test_products_are_exact_and_close():
    rng = np.random.default_rng(0)
    rows = into_ball(rng.normal(size=(30, 50)), 1e-9)
    matrix = rng.normal(size=(50, 7)) * 1e3
    whole, step = rounded(matrix, BALL)
    exact = [
        [sum(int(a) * int(b) for a, b in zip(row, column, strict=True)) for column in whole.T]
        for row in rows
    ]
    assert np.array_equal(product(rows, whole, 1.0), np.array(exact, np.float64))
    assert max(abs(v) for row in exact for v in row) < 2**53
    close = rows @ matrix
    assert np.abs(product(rows, whole, step) - close).max() <= 1e-9 * np.abs(close).max()


def test_bound_is_rounded_up():
    blocks = [Block("a", (1,), 1), Block("b", (1,), 1)]
    assert l2_bound(blocks) == 2
    assert l2_bound([Block("a", (2, 3), UNIT)]) == UNIT
    for bounds in [(3, 4), (1, 2), (UNIT, UNIT, UNIT // 4)]:
        bound = l2_bound([Block("x", (1,), b) for b in bounds])
        assert (bound - 1) ** 2 < sum(b * b for b in bounds) <= bound**2


@pytest.mark.parametrize("n", [0, 1, integers.CHUNK, integers.CHUNK + 1])
def test_chunks_cover_everything_once(n):
    covered = [i for part in integers.chunks(n) for i in range(part.start, part.stop)]
    assert covered == list(range(n))


def test_features_do_not_depend_on_company():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (37, 28, 28, 1), dtype=np.uint8)
    facts = neighbours_facts(x)
    scattering = Scattering(facts)
    together = scattering.exact(x)
    alone = np.concatenate([scattering.exact(x[i : i + 1]) for i in range(len(x))])
    assert np.array_equal(together, alone)


def neighbours_facts(x):
    from mezzotint.images.data import ImageFacts

    return ImageFacts(*x.shape[1:], ("a",))
