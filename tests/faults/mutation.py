"""Damage to foreign bytes, and the verdict on a parser that meets it.

A parser may accept what it is given, or refuse it with one of our errors. Anything else is a bug:
another exception, a crash of the process, or memory without bound. Mutants are parsed in forked
children with a limit on memory, so that a crash is a finding and not the end of the test.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

from mezzotint.errors import MezzotintError

BATCH = 50
_MEMORY = 8 << 30
_SECONDS = 120


def mutate(whole: bytes, random_: random.Random) -> bytes:
    """A damaged copy: truncated, bits flipped, bytes changed, cut out, put in or moved."""
    if random_.random() < 0.15:
        return whole[: random_.randrange(len(whole))]
    damaged = bytearray(whole)
    for _ in range(random_.choice([1, 1, 2, 4, 16])):
        if not damaged:
            break
        place = random_.randrange(len(damaged))
        match random_.randrange(5):
            case 0:
                damaged[place] = random_.randrange(256)
            case 1:
                damaged[place] ^= 1 << random_.randrange(8)
            case 2:
                del damaged[place : place + random_.randrange(1, 20)]
            case 3:
                damaged[place:place] = random_.randbytes(random_.randrange(1, 9))
            case _:
                other = random_.randrange(len(damaged))
                damaged[place : place + 16] = damaged[other : other + 16]
    return bytes(damaged)


def attack(
    parse: Callable[[Path], object], whole: bytes, folder: Path, name: str, mutants: int
) -> None:
    """Parses that many mutants of a file.

    Args:
        parse: reads a file.
        whole: the intact file's bytes.
        folder: where mutants are written.
        name: the file's name; its ending may decide how it is parsed. It seeds the mutants.
        mutants: how many; in batches of `BATCH`, one child each.
    """
    place = folder / name
    for batch in range(0, mutants, BATCH):
        random_ = random.Random(f"{name} {batch}")
        read, write = os.pipe()
        child = os.fork()
        if not child:
            _parse_all(parse, whole, place, random_, min(BATCH, mutants - batch), write)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            findings = pipe.read().decode()
        status = os.waitpid(child, 0)[1]
        assert status == 0, f"{name}, batch {batch}: the process died ({status})\n{findings}"
        assert not findings, f"{name}, batch {batch}: {findings}"


def _parse_all(
    parse: Callable[[Path], object],
    whole: bytes,
    place: Path,
    random_: random.Random,
    mutants: int,
    write: int,
) -> None:
    """In the child: parse, and report what is neither accepted nor refused."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        signal.alarm(_SECONDS)
        for _ in range(mutants):
            place.write_bytes(mutate(whole, random_))
            try:
                parse(place)
            except MezzotintError as refusal:
                if not str(refusal).strip():
                    os.write(write, b"a refusal without words\n")
            except BaseException:
                os.write(write, traceback.format_exc().encode())
                break
        status = 0
    finally:
        os._exit(status)
