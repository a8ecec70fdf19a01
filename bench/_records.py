"""Results on disk: one JSON object a run, appended as it ends; and their averages."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean, stdev
from typing import Any


@dataclass(frozen=True)
class Record:
    """One run of one method.

    Attributes:
        scenario: Which question it answers: `adult`, `curve`, `budget`, `wide`, `nltcs`, `quick`.
        table: Name of the private table.
        method: Name of the method.
        version: Version of its package.
        epsilon: Budget.
        delta: Budget.
        workload: All marginals of this many attributes.
        max_model_mb: Junction-tree limit; None for the method's own default.
        status: `ok`, `timeout` or `failed`.
        wall: Seconds.
        cpu: CPU seconds, or those used when a limit ended it.
        peak_mb: Memory in MB.
        errors: Number of ways to mean marginal error, of a run that ended well.
        note: What a failed run said last.
        details: What the method says about itself (ours: the size of its model).
        machine: Where and when.
    """

    scenario: str
    table: str
    method: str
    version: str | None
    epsilon: float
    delta: float
    workload: int
    max_model_mb: float | None
    status: str
    wall: float
    cpu: float
    peak_mb: float
    errors: dict[str, float]
    note: str
    details: dict[str, Any]
    machine: dict[str, Any]

    @property
    def key(self) -> tuple[str, str, str, float, int, float | None]:
        """What two runs share that may be averaged."""
        return (
            self.scenario,
            self.table,
            self.method,
            self.epsilon,
            self.workload,
            self.max_model_mb,
        )


@dataclass(frozen=True)
class Average:
    """The runs of one method on one problem, together.

    Attributes:
        first: One of the runs, for what they share.
        runs: How many ended well.
        unfinished: How many did not.
        wall: Mean seconds.
        cpu: Mean CPU seconds.
        peak_mb: Largest memory of any run.
        errors: Number of ways to (mean, standard deviation).
    """

    first: Record
    runs: int
    unfinished: int
    wall: float
    cpu: float
    peak_mb: float
    errors: dict[str, tuple[float, float]]


def append(path: Path, record: Record) -> None:
    """Adds one run to a results file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        stream.write(json.dumps(asdict(record)) + "\n")


def drop(path: Path, keys: Iterable[tuple[object, ...]]) -> None:
    """Removes the runs with these keys from a results file, if it exists."""
    unwanted = set(keys)
    if path.exists():
        lines = path.read_text().splitlines()
        kept = [
            line for line, run in zip(lines, read(path), strict=True) if run.key not in unwanted
        ]
        path.write_text("".join(f"{line}\n" for line in kept))


def read(path: Path) -> list[Record]:
    """Reads a results file."""
    known = {field.name for field in fields(Record)}
    lines = path.read_text().splitlines()
    return [
        Record(**{key: value for key, value in json.loads(line).items() if key in known})
        for line in lines
        if line.strip()
    ]


def averages(records: Iterable[Record]) -> list[Average]:
    """Averages the runs of the same method on the same problem, in order of appearance."""
    groups: dict[object, list[Record]] = {}
    for record in records:
        groups.setdefault(record.key, []).append(record)
    return [_average(group) for group in groups.values()]


def _average(group: Sequence[Record]) -> Average:
    good = [record for record in group if record.status == "ok"]
    costed = good or group
    ways = sorted({way for record in good for way in record.errors})
    values = {way: [r.errors[way] for r in good if way in r.errors] for way in ways}
    return Average(
        first=costed[0],
        runs=len(good),
        unfinished=len(group) - len(good),
        wall=fmean(record.wall for record in costed),
        cpu=fmean(record.cpu for record in costed),
        peak_mb=max(record.peak_mb for record in costed),
        errors={
            way: (fmean(found), stdev(found) if len(found) > 1 else 0.0)
            for way, found in values.items()
        },
    )
