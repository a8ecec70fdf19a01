"""Checkpoints: kill -9 costs nothing, and what does not belong together is refused."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mezzotint.errors import ModelFileError, ParameterError
from mezzotint.images.dpsgd import Checkpoints, PrivateTraining, train
from mezzotint.images.dpsgd.saving import Saved
from mezzotint.privacy.ledger import Ledger
from tests.images.dpsgd.cases import source_of
from tests.images.dpsgd.resumable import EVENT, block_of, net_and_records, run

ROOT = Path(__file__).parents[3]


def start(ledger: Path, folder: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.images.dpsgd.resumable", ledger, folder, out]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(list(map(str, command)), cwd=ROOT, env=environment)


def step_of(folder: Path) -> int:
    try:
        return json.loads((folder / "checkpoint.json").read_text())["step"]
    except FileNotFoundError:  # A training that ends clears it, at any moment.
        return -1


def killed_until_done(tmp_path: Path, kills: int, wait) -> Path:
    """So many processes are killed while they train; the last one finishes."""
    ledger, folder, out = tmp_path / "l.db", tmp_path / "checkpoint", tmp_path / "killed"
    killed = 0
    while killed < kills:
        process = start(ledger, folder, out)
        wait(process, folder, killed)
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += process.returncode == -signal.SIGKILL
        assert process.returncode in (0, -signal.SIGKILL)
    assert start(ledger, folder, out).wait() == 0
    return out


def same_as_never_killed(tmp_path: Path, out: Path) -> None:
    """The same request from the beginning, at no cost, gives the same bytes."""
    whole = tmp_path / "whole"
    assert start(tmp_path / "l.db", Path("-"), whole).wait() == 0
    killed, never = load_file(out), load_file(whole)
    assert killed.keys() == never.keys()
    for name, value in never.items():
        assert torch.equal(killed[name], value), name
    with Ledger.open(tmp_path / "l.db") as book:
        assert len(book.releases(1)) == 1


def test_kill_9_resumes_bit_identically_and_spends_once(tmp_path):
    def wait(process: subprocess.Popen[bytes], folder: Path, attempt: int) -> None:
        """Until it has gone further than the attempt before."""
        while step_of(folder) < 5 + 25 * attempt and process.poll() is None:
            time.sleep(0.002)

    same_as_never_killed(tmp_path, killed_until_done(tmp_path, 2, wait))


@pytest.mark.slow
def test_a_hundred_kills(tmp_path):
    """Forked processes, killed at any moment of a training; whatever finishes is compared."""
    ledger, folder, out = tmp_path / "l.db", tmp_path / "checkpoint", tmp_path / "killed"
    whole = tmp_path / "whole"
    assert os.waitpid(forked(ledger, None, whole), 0)[1] == 0
    never, dice, longest = load_file(whole), random.Random(1), 1.0
    killed = finished = resumed = 0
    while killed < 100 or not finished:
        resumed += step_of(folder) > 0
        child = forked(ledger, folder, out)
        time.sleep(dice.uniform(0, longest) if killed < 100 else 0)
        if killed < 100:
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            # Each one runs a little longer than the last, until a training finishes.
            killed, longest = killed + 1, min(1.1 * longest, 60.0)
            continue
        assert status == 0
        finished, longest = finished + 1, 0.5 * longest
        for name, value in load_file(out).items():
            assert torch.equal(never[name], value), name
        Checkpoints(folder, {}).clear()
        out.unlink()
    assert resumed > 10
    with Ledger.open(ledger) as book:
        book.verify()
        assert len(book.releases(1)) == 1
    sys.stdout.write(
        f"{killed} kills of a training, {resumed} times resumed, {finished} times finished: "
        "the same bits each time, one release\n"
    )


def forked(ledger: Path, folder: Path | None, out: Path) -> int:
    child = os.fork()
    if not child:
        status = 1
        try:
            run(ledger, folder, out)
            status = 0
        finally:
            os._exit(status)
    return child


def training_and_checkpoints(folder: Path, identity: dict[str, object], every: int = 5):
    net, records = net_and_records()
    training = PrivateTraining(
        (block_of(net),), records, source_of(EVENT), EVENT, batch=20.0, methods={"net": {}}
    )
    return net, training, Checkpoints(folder, identity, every)


def stopped(folder: Path, identity: dict[str, object], steps: int = 12) -> None:
    """A training that an error ended after some steps."""

    def stop(step: int) -> None:
        if step == steps:
            raise KeyboardInterrupt

    net, training, checkpoints = training_and_checkpoints(folder, identity)
    with pytest.raises(KeyboardInterrupt):
        train(
            training,
            {"net": torch.optim.Adam(net.parameters(), 1e-2)},
            after=stop,
            checkpoints=checkpoints,
        )


IDENTITY = {"settings": "abc", "data": "123"}


def with_another_net(folder: Path, every: int, stop: int | None) -> list[torch.Tensor] | None:
    """Trains two nets, one of them between the steps; None where an error stopped it."""
    net, training, checkpoints = training_and_checkpoints(folder, IDENTITY, every)
    torch.manual_seed(3)
    other = nn.Linear(4, 2)
    optimiser = torch.optim.Adam(other.parameters(), 1e-2)

    def after(step: int) -> None:
        if step == stop:
            raise KeyboardInterrupt
        noise = torch.randn(5, 4, generator=training.generator(step, "after"))
        optimiser.zero_grad()
        other(noise).square().sum().backward()
        optimiser.step()

    try:
        train(
            training,
            {"net": torch.optim.Adam(net.parameters(), 1e-2)},
            after=after,
            parts={"other": other, "optimiser": optimiser},
            checkpoints=checkpoints,
        )
    except KeyboardInterrupt:
        return None
    return [p.detach() for p in (*net.parameters(), *other.parameters())]


def test_parts_beside_the_blocks_resume_too(tmp_path):
    """A generator that is trained between the steps, with randomness of its own."""
    whole = with_another_net(tmp_path / "whole", 1000, None)
    assert with_another_net(tmp_path / "stopped", 7, 33) is None
    resumed = with_another_net(tmp_path / "stopped", 7, None)
    assert whole is not None
    assert resumed is not None
    for first, second in zip(whole, resumed, strict=True):
        assert torch.equal(first, second)


def test_one_checkpoint_stands_and_its_private_half_is_the_owners(tmp_path):
    stopped(tmp_path, IDENTITY)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "checkpoint.json",
        "step-00000010.private.safetensors",
        "step-00000010.safetensors",
    ]
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0
    public = load_file(tmp_path / names[2])
    memory = load_file(tmp_path / names[1])["net"]
    assert memory.any()
    assert all(value.shape != memory.shape for value in public.values())
    Checkpoints(tmp_path, IDENTITY).clear()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ({"settings": "abd", "data": "123"}, "settings"),
        ({"settings": "abc", "data": "124"}, "data"),
        ({"settings": "abc", "data": "123", "more": 1}, "more"),
        ({"settings": "abc"}, "data"),
    ],
)
def test_a_checkpoint_of_other_data_or_settings_is_refused(tmp_path, identity, words):
    stopped(tmp_path, IDENTITY)
    with pytest.raises(ParameterError, match=rf"{words} = .*nothing was spent"):
        Checkpoints(tmp_path, identity).load()


def test_memories_of_other_blocks_are_refused():
    _, training, _ = training_and_checkpoints(Path("unused"), IDENTITY)
    with pytest.raises(ParameterError, match="memories of"):
        training.resume(3, {"other": np.zeros((1, 1), np.float32)})


def test_damage_is_told(tmp_path):
    stopped(tmp_path, IDENTITY)
    index = tmp_path / "checkpoint.json"
    whole = index.read_bytes()
    states = next(tmp_path.glob("step-*10.safetensors"))
    content = states.read_bytes()
    states.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelFileError, match="SHA-256"):
        Checkpoints(tmp_path, IDENTITY).load()
    states.unlink()
    with pytest.raises(ModelFileError, match="missing"):
        Checkpoints(tmp_path, IDENTITY).load()
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        index.write_bytes(whole[:cut])
        with pytest.raises(ModelFileError, match="damaged"):
            Checkpoints(tmp_path, IDENTITY).load()
    index.write_bytes(whole.replace(b'"step": 10', b'"step": 15'))
    with pytest.raises(ModelFileError, match="SHA-256"):
        Checkpoints(tmp_path, IDENTITY).load()
    index.write_bytes(whole.replace(b'"format": 2', b'"format": 3'))
    with pytest.raises(ModelFileError, match="format 3"):
        Checkpoints(tmp_path, IDENTITY).load()


def test_states_come_back_as_they_were(tmp_path):
    """Nested dicts with keys that are no text, lists, numbers, tensors of any type."""
    net, _ = net_and_records()
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    net(torch.ones(1, 1, 8, 8)).sum().backward()
    optimiser.step()
    states = {
        "optimiser": optimiser.state_dict(),
        "odd": {"a": [1, 2.5, None, True, "x", {"b": torch.tensor([1, 2])}], "empty": {}},
    }
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    memories = {"net": np.ones((2, 3), np.float32)}
    checkpoints.save(Saved(4, states, memories, {"net": {"0": "ghost"}}))
    saved = checkpoints.load()
    assert saved is not None
    assert saved.step == 4
    assert saved.methods == {"net": {"0": "ghost"}}
    np.testing.assert_array_equal(saved.memories["net"], memories["net"])
    assert saved.states["odd"]["a"][:5] == [1, 2.5, None, True, "x"]
    assert torch.equal(saved.states["odd"]["a"][5]["b"], torch.tensor([1, 2]))
    again = torch.optim.Adam(net.parameters(), 1e-2)
    again.load_state_dict(saved.states["optimiser"])
    first, second = optimiser.state_dict()["state"], again.state_dict()["state"]
    assert first.keys() == second.keys()
    for key, state in first.items():
        for name, value in state.items():
            assert torch.equal(value, second[key][name])
    assert Checkpoints(tmp_path / "none", IDENTITY).load() is None
    with pytest.raises(ParameterError, match="every = 0"):
        Checkpoints(tmp_path, IDENTITY, every=0)
    with pytest.raises(ParameterError, match="not set"):
        checkpoints.save(Saved(4, {"odd": {1, 2}}, {}, {}))
