"""Synthetic tables side by side: ours and the peers, one command.

    python bench/tables.py --quick           # ours on a small made-up table: no network, no data
    python bench/tables.py                   # Adult, eps 1, all 2-way and all 3-way marginals
    python bench/tables.py curve             # error against CPU seconds over model sizes
    python bench/tables.py budget            # eps 0.1, 1 and 10
    python bench/tables.py wide nltcs        # 100 columns; 16 binary columns
    python bench/tables.py --render          # results -> docs/benchmarks.md, README.md; nothing run

Every run is a process of its own, one at a time, measured from outside. All synthetic tables go
through one evaluator. Runs are appended to a results file as they end; averages are printed.
"""

import argparse
import fnmatch
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import _make
import _methods
from _fidelity import CodedTable, mean_error, read_coded
from _measure import machine, measure
from _methods import METHODS, PEERS, Method, Setting
from _records import Record, append, averages, drop, read
from _report import markdown, render

HERE = Path(__file__).parent
DEFAULT_DATA = HERE.parent.parent / "shared" / "data" / "tabular"
RESULTS = HERE / "results" / "tables.jsonl"
DOCUMENTS = (HERE.parent / "docs" / "benchmarks.md", HERE.parent / "README.md")
DELTA = 1e-9
# Three-way errors of a hundred columns would take 161,700 marginals; a fixed choice serves.
MARGINALS_AT_MOST = {2: 5_000, 3: 1_000}


@dataclass(frozen=True)
class Scenario:
    """One question: a table, and the settings to try on it.

    Attributes:
        table: Which table.
        methods: Patterns of method names.
        epsilons: Budgets.
        workloads: Degrees of the workload.
        sizes: Model limits in MB; None is a method's own default.
        own_sizes: The same for our own mechanism, whose models are an order smaller.
        runs: Repetitions.
    """

    table: str
    methods: tuple[str, ...] = ("*",)
    epsilons: tuple[float, ...] = (1.0,)
    workloads: tuple[int, ...] = (2,)
    sizes: tuple[float | None, ...] = (80.0,)
    own_sizes: tuple[float | None, ...] = (None,)
    runs: int = 3


SCENARIOS = {
    "adult": Scenario("adult", workloads=(2, 3)),
    "budget": Scenario(
        "adult", methods=("mezzotint-*", "mbi-aim", "mbi-mst"), epsilons=(0.1, 1.0, 10.0)
    ),
    "curve": Scenario(
        "adult",
        methods=("mezzotint-aim", "mezzotint-own"),
        sizes=(0.1, 0.2, 1.0, 5.0, 20.0, 80.0, None),
        own_sizes=(0.1, 0.2, 1.0, 5.0, 20.0, None),
    ),
    "wide": Scenario("wide", methods=("mezzotint-*",), sizes=(None,), runs=1),
    "nltcs": Scenario("nltcs", methods=("mezzotint-*", "mbi-aim", "mbi-mst")),
    "quick": Scenario("small", methods=("mezzotint-*",), sizes=(None,), runs=1),
}


def main() -> int:
    """Runs what the command line asks for."""
    args = _arguments()
    if args.render:
        for document in DOCUMENTS:
            render(read(args.results), document)
            print(f"rendered {document}")
        return 0
    names = ["quick"] if args.quick else args.scenario or ["adult"]
    results = args.results if not args.quick or args.results != RESULTS else None
    done: list[Record] = []
    with tempfile.TemporaryDirectory(prefix="mezzotint-bench-") as directory:
        for name in names:
            replaced: set[object] = set()
            for record in _run(name, args, Path(directory)):
                done.append(record)
                if results is not None:
                    if args.fresh and record.key not in replaced:
                        drop(results, [record.key])
                        replaced.add(record.key)
                    append(results, record)
    if args.json:
        print(json.dumps([asdict(average) for average in averages(done)], indent=2))
    else:
        print(markdown(averages(done)))
    failed = [r for r in done if r.status == "failed" and r.method.startswith("mezzotint")]
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenario", nargs="*", choices=[[], *SCENARIOS], metavar="scenario")
    parser.add_argument("--quick", action="store_true", help="small, offline, about a minute")
    parser.add_argument("--only", action="append", help="method name or pattern; may be repeated")
    parser.add_argument("--peers", default="all", help="'all', 'none', or names with commas")
    parser.add_argument("--epsilon", type=_floats, help="budgets, with commas")
    parser.add_argument("--workload", type=_ints, help="degrees, with commas")
    parser.add_argument("--max-model-mb", type=_floats, help="model limits in MB, with commas")
    parser.add_argument("--runs", type=int, help="repetitions (default: the scenario's)")
    parser.add_argument("--top-up", action="store_true", help="count runs already in the results")
    parser.add_argument("--fresh", action="store_true", help="replace runs already in the results")
    parser.add_argument("--timeout", type=float, default=1500, help="CPU seconds a run may use")
    parser.add_argument("--data-dir", type=Path, default=DEFAULT_DATA, help="adult_coded.csv here")
    parser.add_argument("--results", type=Path, default=RESULTS, help="results file (JSON lines)")
    parser.add_argument("--json", action="store_true", help="print averages as JSON")
    parser.add_argument("--render", action="store_true", help="write the documents' tables only")
    return parser.parse_args()


def _floats(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _ints(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _run(name: str, args: argparse.Namespace, directory: Path) -> Iterator[Record]:
    scenario = SCENARIOS[name]
    real = _table(scenario.table, args.data_dir)
    data, domain = directory / f"{scenario.table}.csv", directory / f"{scenario.table}.json"
    real.write(data, domain)
    earlier = read(args.results) if args.top_up and args.results.exists() else []
    here = machine()
    if not any(r.scenario == name and r.method.startswith("floor") for r in earlier):
        yield from _floors(name, scenario.table, real, here)

    for method in _chosen(scenario, args):
        shaped = method.uses_workload
        sizes = scenario.own_sizes if method.mechanism == "mezzotint" else scenario.sizes
        for epsilon in args.epsilon or scenario.epsilons:
            for workload in (args.workload or scenario.workloads) if shaped else (2,):
                for size in (args.max_model_mb or sizes) if shaped else (None,):
                    setting = Setting(data, domain, epsilon, DELTA, workload, size)
                    key = (name, scenario.table, method.name, epsilon, workload, size)
                    have = sum(record.key == key for record in earlier)
                    for _ in range((args.runs or scenario.runs) - have):
                        record = _once(key, method, setting, real, args.timeout, here)
                        yield record
                        if record.status != "ok":
                            break


def _chosen(scenario: Scenario, args: argparse.Namespace) -> list[Method]:
    peers = {"all": PEERS, "none": ()}.get(args.peers, tuple(args.peers.split(",")))
    patterns = args.only or scenario.methods
    chosen = []
    for method in METHODS:
        if not any(fnmatch.fnmatch(method.name, pattern) for pattern in patterns):
            continue
        if method.environment is not None:
            if method.environment not in peers:
                continue
            try:
                _methods.install(method.environment)
            except subprocess.CalledProcessError as error:
                print(f"{method.name} left out: {error}", file=sys.stderr)
                continue
        chosen.append(method)
    return chosen


def _once(
    key: tuple[str, str, str, float, int, float | None],
    method: Method,
    setting: Setting,
    real: CodedTable,
    timeout: float,
    here: dict[str, object],
) -> Record:
    out = setting.data.with_name("synthetic.csv")
    out.unlink(missing_ok=True)
    measured = measure(method.command(setting, out), cpu_limit=timeout)
    errors: dict[str, float] = {}
    status, note = "ok", ""
    if measured.timed_out:
        status = "timeout"
    elif measured.returncode != 0 or not out.exists():
        status = "failed"
        note = "\n".join(measured.stderr.strip().splitlines()[-3:])[-600:]
    else:
        synthetic = read_coded(out, real.sizes)
        errors = {
            str(ways): mean_error(real, synthetic, ways, at_most=at_most)
            for ways, at_most in MARGINALS_AT_MOST.items()
        }
    record = Record(
        scenario=key[0],
        table=key[1],
        method=method.name,
        version=_methods.package_version(method),
        epsilon=setting.epsilon,
        delta=setting.delta,
        workload=setting.workload,
        max_model_mb=setting.max_model_mb,
        status=status,
        wall=measured.wall,
        cpu=measured.cpu,
        peak_mb=measured.peak_mb,
        errors=errors,
        note=note,
        details=_details(measured.stdout) if method.ours and status == "ok" else {},
        machine=here,
    )
    shown = "  ".join(f"{ways}-way {error:.4f}" for ways, error in errors.items())
    print(
        f"{method.name:22} eps {setting.epsilon:<5g} {setting.workload}-way workload  "
        f"{status:8} {measured.cpu:8.1f} CPU s {measured.peak_mb:7.0f} MB  {shown}",
        file=sys.stderr,
        flush=True,
    )
    return record


def _details(stdout: str) -> dict[str, object]:
    """What our own `--json` says about the model, without its lists."""
    try:
        told = json.loads(stdout)
    except json.JSONDecodeError:
        return {}
    return {key: value for key, value in told.items() if isinstance(value, int | float)}


def _floors(name: str, table: str, real: CodedTable, here: dict[str, object]) -> Iterator[Record]:
    """What no method can beat, and what every method should: no budget, no cost."""
    rng = np.random.default_rng()
    stand_ins = {
        "floor-independent": lambda: real.shuffled(rng),
        "floor-bootstrap": lambda: real.take(rng.integers(real.rows, size=real.rows)),
    }
    for method, draw in stand_ins.items():
        stand_in = draw()
        errors = {
            str(ways): mean_error(real, stand_in, ways, at_most=at_most)
            for ways, at_most in MARGINALS_AT_MOST.items()
        }
        yield Record(
            name, table, method, None, 0.0, 0.0, 0, None, "ok", 0.0, 0.0, 0.0, errors, "", {}, here
        )


def _table(name: str, data_dir: Path) -> CodedTable:
    if name == "small":
        return _make.small_table()
    if name == "wide":
        return _make.wide_table()
    path = data_dir / ("adult_coded.csv" if name == "adult" else f"{name}.csv")
    if not path.exists():
        raise SystemExit(
            f"{path} is missing. Give the directory that holds it with --data-dir, or run the "
            "scenarios that make their own tables: --quick, wide."
        )
    if name == "adult":
        sizes = json.loads((data_dir / "adult_coded-domain.json").read_text())
    else:
        with path.open() as stream:
            sizes = dict.fromkeys(stream.readline().strip().split(","), 2)
    return read_coded(path, sizes)


if __name__ == "__main__":
    sys.exit(main())
