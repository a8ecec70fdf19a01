"""A disk that is full and memory that does not suffice: one error in words, and nothing is lost."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import mezzotint
from mezzotint.demo import demo_schema, demo_table
from mezzotint.errors import DataError, LedgerError, MezzotintError
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger
from tests.images.oneshot.worlds import striped

SIZE = 1 << 20


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of one megabyte of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only an administrator may mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path, leave: int = 0) -> Path:
    """Takes all of the disk but so much."""
    ballast = place / "ballast"
    free = os.statvfs(place)
    ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - leave)))
    return ballast


def test_a_full_disk_releases_nothing_and_loses_nothing(small_disk):
    file = small_disk / "l.db"
    with Ledger.open(file) as ledger:
        run = ledger.begin(Budget(1.0), mechanism="AIM", dataset="adult")
        run.gaussian("before", 1000.0)
        ballast, made = fill(small_disk, 64 << 10), 1
        with pytest.raises(LedgerError, match="space on its disk"):
            for i in range(1000):
                run.gaussian(f"marginal {i}", 1000.0)
                made += 1
        assert 1 < made < 1000
        ballast.unlink()
        assert len(run.releases) == made
        run.gaussian("after", 1000.0)
        assert ledger.verify() == made + 5


def test_a_model_on_a_full_disk_leaves_the_one_before(small_disk):
    fitted = mezzotint.MST(epsilon=1.0).fit(demo_table(300), demo_schema())
    model = small_disk / "m.mezzo"
    fitted.save(model)
    before = model.read_bytes()
    fill(small_disk, 1000)
    with pytest.raises((MezzotintError, OSError), match=r"[Ss]pace"):
        fitted.save(model)
    assert model.read_bytes() == before
    assert sorted(path.name for path in small_disk.iterdir()) == ["ballast", "m.mezzo"]


def test_a_checkpoint_on_a_full_disk_leaves_the_one_before(small_disk):
    pytest.importorskip("torch")
    from mezzotint.images.dpsgd import Checkpoints
    from mezzotint.images.dpsgd.saving import Saved
    from tests.images.dpsgd.test_saving import IDENTITY, stopped

    stopped(small_disk / "training", IDENTITY)
    checkpoints = Checkpoints(small_disk / "training", IDENTITY)
    saved = checkpoints.load()
    assert saved is not None
    fill(small_disk, 1000)
    with pytest.raises(DataError, match=r"No space left.*the last whole checkpoint stands"):
        checkpoints.save(Saved(11, saved.states, saved.memories, saved.methods))
    again = checkpoints.load()
    assert again is not None
    assert again.step == saved.step == 10
    assert not list((small_disk / "training").glob("*.part"))


def fit_within(spare: int, book: Path, folder: Path, out: Path) -> str:
    """What a fit with so many bytes to spare says at its end; for a process of its own.

    A process that did other work before has memory of its own to fall back on, which no limit sees.
    """
    from mezzotint.images.class_gaussians import ClassGaussians

    data = striped(2000, (32, 32, 1), 2)
    # Whatever is imported or kept is there then.
    ClassGaussians(4.0).fit(striped(60, (8, 8, 1), 2))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, used + spare))
    try:
        ClassGaussians(4.0).fit(data, ledger=book, checkpoint=folder, dataset="d").save(out)
    except MezzotintError as error:
        return f"{type(error).__name__}: {error}"
    except BaseException as error:
        return f"a bug: {error!r}"
    return "nothing was wrong"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux for its memory")
def test_too_little_memory_is_said_and_the_request_goes_on_at_no_cost(tmp_path):
    """Images whose features do not fit; the ledger stands, and the same command completes."""
    pytest.importorskip("torch")
    book, folder, out = tmp_path / "l.db", tmp_path / "fit", tmp_path / "m.mezzo"
    told = []
    for spare in (4, 12, 24, 40, 4000):
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            told.append(pool.submit(fit_within, spare << 20, book, folder, out).result())
    assert told[-1] == "nothing was wrong"
    assert any("there is not enough memory" in words for words in told[:-1]), told
    assert not any(words.startswith("a bug") for words in told), told
    assert mezzotint.load(out).privacy.private
    with Ledger.open(book) as ledger:
        ledger.verify()
        assert len(ledger.runs()) == 1
        assert len(ledger.releases(1)) == 2
        assert ledger.account("d").epsilon <= 4.0
