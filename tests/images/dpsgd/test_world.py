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
PATIENCE = 600
"""Seconds that a process may take: about fifteen are usual."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ended(command: list[str], processes: int) -> tuple[list[int], str]:
    """What the processes return, and what the first one complained of; the others end with it."""
    port, started = free_port(), []
    for rank in range(processes):
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        heard = None if rank else subprocess.PIPE
        started.append(
            subprocess.Popen(command, cwd=ROOT, env=environment, stderr=heard, text=True)
        )
    try:
        _, complaint = started[0].communicate(timeout=PATIENCE)
        for process in started[1:]:
            if started[0].returncode == 0:
                process.wait(timeout=PATIENCE)
    finally:
        for process in started:
            process.kill()
    return [process.wait() for process in started], complaint


def trained(
    tmp_path: Path, processes: int, name: str, folder: str = "-"
) -> dict[str, torch.Tensor]:
    """Somebody else may take a free port before the first process does: then with another one."""
    out = tmp_path / name
    command = [sys.executable, "-m", "tests.images.dpsgd.resumable"]
    command += [str(tmp_path / "l.db"), folder, str(out)]
    for _ in range(5):
        codes, complaint = ended(command, processes)
        if "EADDRINUSE" not in complaint:
            break
    assert codes == [0] * processes, complaint
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
