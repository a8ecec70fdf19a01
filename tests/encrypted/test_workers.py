import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mezzotint.encrypted.packing import pack_records
from mezzotint.encrypted.products import units
from mezzotint.encrypted.record_layout import RecordsLayout
from mezzotint.encrypted.workers import Job, processes, run_units
from mezzotint.errors import DataError
from mezzotint.tables.domain import Domain
from tests.encrypted.kernel import CKKS, counts, key_pair, table


@pytest.fixture
def job(tmp_path):
    """Two holders of different columns, two of different rows; several units of work."""
    secret, public = key_pair(CKKS)
    sizes = {"a": 3, "b": 2, "c": 3}
    layout = RecordsLayout(Domain(sizes), rows=(4, 6), shares=[["a", "c"], ["b"]], packing=(64, 64))
    layout.tables = [table(np.random.default_rng(i), sizes, n) for i, n in enumerate((4, 5))]
    folders = {}
    for part, codes in enumerate(layout.tables):
        for share in range(2):
            folder = tmp_path / f"upload-{part}-{share}"
            folder.mkdir()
            folders[part, share] = folder
            alone = layout.alone(part, share)
            for file, polynomial in pack_records(alone, 0, 0, codes):
                data = public.encrypt_record(polynomial, alone.scale)
                (folder / f"{file.name}.ct").write_bytes(data)
    return Job(layout, secret.public(), folders, tmp_path / "cells")


def cells(job):
    secret, public = key_pair(CKKS)
    values = np.zeros(job.layout.positions, dtype=np.int64)
    width = job.layout.preset.width
    for number, path in enumerate(sorted(job.results.glob("cells-*.ct"))):
        wanted = job.layout.placed[job.layout.placed // width == number]
        values[wanted] = secret.decode(public.scheme.load(path), wanted % width)
    return values


def right(job):
    sizes = dict(job.layout.domain.sizes)
    whole = {a: np.concatenate([codes[a] for codes in job.layout.tables]) for a in sizes}
    found = cells(job)
    return all(
        np.array_equal(found[job.layout.place(c)], counts(sizes, c, whole))
        for c in job.layout.cliques
    )


def test_processes_do_all_units_and_a_second_call_does_none(job):
    told = []
    paths = run_units(job, workers=2, progress=lambda done, total: told.append((done, total)))
    assert len(paths) == job.layout.ciphertexts > 1
    assert right(job)
    assert all(total == job.layout.accumulators for _, total in told)
    assert sorted(told) == told
    before = [path.stat().st_mtime_ns for path in paths]
    assert run_units(job, workers=2) == paths
    assert [path.stat().st_mtime_ns for path in paths] == before
    assert not list(job.results.glob(".unfinished-*"))


def test_only_what_is_missing_is_done_again(job):
    paths = run_units(job, workers=1)
    kept = paths[0].stat().st_mtime_ns
    paths[1].unlink()
    assert [unit.number for unit in job.pending()] == [1]
    run_units(job, workers=1)
    assert paths[0].stat().st_mtime_ns == kept
    assert right(job)


def test_workers_are_limited_by_cores_units_and_memory():
    sizes = {f"a{i}": 50 for i in range(12)}
    work = list(units(RecordsLayout(Domain(sizes), rows=(49152,))))
    assert processes(work, workers=64, memory_bytes=10**12) == len(work) > 10
    assert processes(work, workers=3, memory_bytes=10**12) == 3
    assert 2 <= processes(work, workers=64) <= 4
    assert processes(work, workers=64, memory_bytes=1) == 1
    assert processes([]) == 0
    assert processes(work) >= 1


def test_a_damaged_upload_is_named_and_finished_units_are_kept(job):
    folder = job.folders[1, 1]
    victim = sorted(folder.iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:1000])
    with pytest.raises(DataError, match=rf"{victim.name}: .*Upload it again"):
        run_units(job, workers=2)
    victim.unlink()
    with pytest.raises(DataError, match=victim.name):
        run_units(job, workers=1)


RUN = """
import pickle, sys
from mezzotint.encrypted.workers import run_units
if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        job = pickle.load(file)
    run_units(job, workers=1, progress=lambda done, total: None)
"""


def test_a_killed_provider_goes_on_after_its_last_finished_unit(job, tmp_path):
    """kill -9 as soon as the first result is there; whatever is there is whole, and is kept."""
    import pickle

    (tmp_path / "run.py").write_text(RUN)
    (tmp_path / "job.pickle").write_bytes(pickle.dumps(job))
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "job.pickle")]
    )
    first = job.result(job.pending()[0])
    while not first.exists() and process.poll() is None:
        time.sleep(0.002)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert first.exists()
    kept = first.stat().st_ino
    run_units(job, workers=1)
    assert first.stat().st_ino == kept
    assert right(job)
