"""DP-SGD engines side by side: ours, Opacus and plain SGD on the same nets, one thread.

    python bench/dpsgd.py [--json] [--seconds 5] [--rounds 3] [--net critic unet] [--out FILE]
    python bench/dpsgd.py --render         # results -> docs/benchmarks.md

Each cell is a process of its own (`peers/dpsgd_run.py`), Opacus in an environment of its own under
`.envs/`, made on demand from `peers/opacus.txt`. The engines take turns, round after round, and the
best round stands: other programs on the machine can only slow a round down. Samples per CPU second
count whole steps, noise and optimiser included; the peak is the process's largest resident set,
PyTorch itself (some 250 MB) included.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import _methods
from _measure import machine

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "dpsgd.jsonl"
DOCUMENT = HERE.parent / "docs" / "benchmarks.md"
BLOCK = re.compile(r"(<!-- engine -->\n).*?(<!-- end -->)", re.S)
CELLS = (("critic", 256), ("critic", 64), ("unet", 64))
ENGINES = ("plain", "mezzotint", "opacus-hooks", "opacus-ghost", "opacus-expanded")


@dataclass(frozen=True)
class Result:
    """The best round of one engine on one net.

    Attributes:
        net: `critic` or `unet`.
        batch: Records a step.
        engine: Its name.
        status: `ok`, or what the engine said last.
        samples_per_cpu_second: Of the best round.
        step_ms: CPU milliseconds a step.
        peak_mb: MB (10**6 bytes), least over the rounds.
        version: Of the engine's package; None for ours and plain SGD.
        machine: Where and when.
    """

    net: str
    batch: int
    engine: str
    status: str
    samples_per_cpu_second: float
    step_ms: float
    peak_mb: float
    version: str | None
    machine: dict[str, object]


def run(engine: str, net: str, batch: int, seconds: float) -> dict[str, object]:
    """One round; `error` in place of figures where the engine failed."""
    python = sys.executable
    if engine.startswith("opacus"):
        python = str(_methods.environment_python("opacus"))
    command = [python, "-W", "ignore", str(HERE / "peers" / "dpsgd_run.py"), "--engine", engine]
    command += ["--net", net, "--batch", str(batch), "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def compare(net: str, batch: int, seconds: float, rounds: int) -> list[Result]:
    """All engines on one net, in turns."""
    found: dict[str, list[dict[str, object]]] = {engine: [] for engine in ENGINES}
    for _ in range(rounds):
        for engine in ENGINES:
            # What failed once fails again.
            if not any("error" in one for one in found[engine]):
                found[engine].append(run(engine, net, batch, seconds))
                print(net, batch, engine, json.dumps(found[engine][-1]), file=sys.stderr)
    return [_best(net, batch, engine, found[engine]) for engine in ENGINES]


def _best(net: str, batch: int, engine: str, found: list[dict[str, object]]) -> Result:
    good = [one for one in found if "error" not in one]
    if not good:
        return Result(net, batch, engine, str(found[-1]["error"]), 0, 0, 0, None, machine())
    best = max(good, key=lambda one: float(str(one["samples_per_cpu_second"])))
    return Result(
        net=net,
        batch=batch,
        engine=engine,
        status="ok",
        samples_per_cpu_second=float(str(best["samples_per_cpu_second"])),
        step_ms=float(str(best["step_ms"])),
        peak_mb=min(float(str(one["peak_mb"])) for one in good),
        version=None if best["version"] is None else str(best["version"]),
        machine=machine(),
    )


def show(results: list[Result]) -> None:
    """One line an engine."""
    plain = {(r.net, r.batch): r.step_ms for r in results if r.engine == "plain"}
    print(f"{'net':<8}{'batch':>6}  {'engine':<16}{'samples/s':>10}{'x plain':>9}{'peak MB':>9}")
    for r in results:
        if r.status != "ok":
            print(f"{r.net:<8}{r.batch:>6}  {r.engine:<16}{r.status}")
            continue
        ratio = r.step_ms / plain[r.net, r.batch]
        print(
            f"{r.net:<8}{r.batch:>6}  {r.engine:<16}{r.samples_per_cpu_second:>10,.0f}"
            f"{ratio:>9.2f}{r.peak_mb:>9,.0f}"
        )


def markdown(results: Sequence[Result]) -> str:
    """The table of the documents."""
    plain = {(r.net, r.batch): r.step_ms for r in results if r.engine == "plain"}
    rows = ["| net, batch | engine | samples a CPU second | time, plain SGD = 1 | peak MB |",
            "| --- | --- | --: | --: | --: |"]  # fmt: skip
    for r in results:
        name = f"{r.engine} {r.version}" if r.version else r.engine
        figures = [f"{r.samples_per_cpu_second:,.0f}", "", f"{r.peak_mb:,.0f}"]
        if r.status != "ok":
            figures = ["fails", "", ""]
        elif (r.net, r.batch) in plain:
            figures[1] = f"{r.step_ms / plain[r.net, r.batch]:.2f}"
        rows.append(f"| {r.net}, {r.batch} | {name} | {' | '.join(figures)} |")
    return "\n".join(rows)


def render(results: Sequence[Result], document: Path) -> None:
    """Puts the table between its marks."""
    text = BLOCK.sub(lambda m: f"{m[1]}{markdown(results)}\n{m[2]}", document.read_text())
    document.write_text(text)


def read(path: Path) -> list[Result]:
    """The newest result of every cell, in the order of the cells."""
    newest = {}
    for line in path.read_text().splitlines():
        result = Result(**json.loads(line))
        newest[result.net, result.batch, result.engine] = result
    return [newest[*cell, e] for cell in CELLS for e in ENGINES if (*cell, e) in newest]


def main() -> None:
    """Prints the table, or JSON, and appends to a file if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=5.0, help="CPU seconds a cell and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--net", nargs="+", choices=("critic", "unet"), default=["critic", "unet"])
    parser.add_argument("--out", type=Path, help="append one JSON object a line")
    parser.add_argument("--render", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    if options.render:
        render(read(options.out or RESULTS), DOCUMENT)
        return
    _methods.install("opacus")
    results: list[Result] = []
    for net, batch in CELLS:
        if net not in options.net:
            continue
        found = compare(net, batch, options.seconds, options.rounds)
        results += found
        if options.out is not None:
            with options.out.open("a") as stream:
                stream.writelines(f"{json.dumps(asdict(result))}\n" for result in found)
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    else:
        show(results)


if __name__ == "__main__":
    main()
