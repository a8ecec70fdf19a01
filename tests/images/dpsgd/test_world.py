"""Several processes, started as torchrun starts them, give what one process gives."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from mezzotint.privacy.ledger import Ledger

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def trained(
    tmp_path: Path, processes: int, name: str, folder: str = "-"
) -> dict[str, torch.Tensor]:
    port, out = free_port(), tmp_path / name
    started = []
    for rank in range(processes):
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        command = [sys.executable, "-m", "tests.images.dpsgd.resumable"]
        command += [str(tmp_path / "l.db"), folder, str(out)]
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment))
    assert [process.wait() for process in started] == [0] * processes
    return load_file(out)


def test_two_processes_are_one(tmp_path):
    """Weights and memories agree but for rounding, and the ledger holds one row."""
    one = trained(tmp_path, 1, "one")
    two = trained(tmp_path, 2, "two", str(tmp_path / "checkpoint"))
    assert one["memory"].any()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-4)
    with Ledger.open(tmp_path / "l.db") as book:
        assert len(book.releases(1)) == 1
