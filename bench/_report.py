"""From results to Markdown: tables on the terminal, blocks of docs/benchmarks.md and the README.

The documents are written by hand around blocks of the form

    <!-- table: adult 2 -->
    ...
    <!-- end -->

and rendering replaces what stands between the two marks.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from _methods import METHODS
from _records import Average, Record, averages

BLOCK = re.compile(r"(<!-- table: (?P<what>[a-z]+)(?: (?P<of>\d+))? -->\n).*?(<!-- end -->)", re.S)
FLOORS = {
    "floor-independent": "independent marginals, no noise",
    "floor-bootstrap": "sampling floor (bootstrap of the real rows)",
}
LABELS = {**{method.name: method.label for method in METHODS}, **FLOORS}
ORDER = {name: place for place, name in enumerate(LABELS)}

Row = Sequence[str]


def markdown(found: Sequence[Average]) -> str:
    """One plain table of everything that was run."""
    header = ["method", "eps", "workload", "model MB", "runs", *_COST_HEADER, *_ERROR_HEADER]
    rows = [
        [
            _label(average),
            f"{average.first.epsilon:g}" if average.first.epsilon else "",
            f"{average.first.workload}-way" if average.first.workload else "",
            _size(average),
            str(average.runs),
            *_cost(average),
            *_errors(average),
        ]
        for average in found
    ]
    return _table(header, rows)


def render(records: Sequence[Record], document: Path) -> None:
    """Replaces every block of the document by what the results say now."""
    found = averages(records)

    def block(match: re.Match[str]) -> str:
        number = int(match["of"]) if match["of"] else 0
        return f"{match[1]}{_BLOCKS[match['what']](found, number)}\n{match[4]}"

    document.write_text(BLOCK.sub(block, document.read_text()))


def _adult(found: Sequence[Average], workload: int) -> str:
    """Everyone on one problem, with the CPU time as a multiple of ours."""
    chosen = [
        average
        for average in found
        if average.first.scenario == "adult" and average.first.workload in (workload, 0)
    ]
    return _side_by_side(chosen)


def _side_by_side(chosen: Sequence[Average]) -> str:
    rows = [
        [_label(average), _version(average), str(average.runs or ""), *_cost(average),
         *_errors(average)]
        for average in sorted(chosen, key=lambda average: ORDER[average.first.method])
    ]  # fmt: skip
    return _table(["method", "version", "runs", *_COST_HEADER, *_ERROR_HEADER], rows)


def _scenario(name: str) -> Callable[[Sequence[Average], int], str]:
    def table(found: Sequence[Average], _: int) -> str:
        return _side_by_side([average for average in found if average.first.scenario == name])

    return table


def _curve(found: Sequence[Average], workload: int) -> str:
    chosen = [
        average
        for average in found
        if average.first.scenario == "curve" and average.first.workload == workload
    ]
    return _by_size(chosen)


def _wide(found: Sequence[Average], _: int) -> str:
    return _by_size([average for average in found if average.first.scenario == "wide"])


def _by_size(chosen: Sequence[Average]) -> str:
    header = ["method", "limit MB", "model MB", "runs", *_COST_HEADER, *_ERROR_HEADER]
    rows = [
        [_label(a), _size(a), _used(a), str(a.runs), *_cost(a), *_errors(a)]
        for a in sorted(chosen, key=_by_method_and_size)
    ]
    return _table(header, rows)


def _by_method_and_size(average: Average) -> tuple[int, float]:
    limit = average.first.max_model_mb
    return ORDER[average.first.method], float("inf") if limit is None else limit


def _budget(found: Sequence[Average], _: int) -> str:
    chosen = [
        average
        for average in found
        if (average.first.scenario == "budget" or average.first.epsilon == 1.0)
        and average.first.table == "adult"
        and average.first.scenario in ("budget", "adult")
        and average.first.workload == 2
        and average.runs
    ]
    epsilons = sorted({average.first.epsilon for average in chosen})
    methods = sorted({average.first.method for average in chosen}, key=ORDER.__getitem__)
    cells = {(a.first.method, a.first.epsilon): a for a in reversed(chosen)}
    rows = []
    for method in methods:
        row = [LABELS[method]]
        for epsilon in epsilons:
            average = cells.get((method, epsilon))
            row.append(_error(average, "2") + f" ({average.cpu:,.0f} s)" if average else "")
        if sum(map(bool, row)) > 2:
            rows.append(row)
    return _table(["mean 2-way error (CPU s)", *[f"eps {e:g}" for e in epsilons]], rows)


def _machine(found: Sequence[Average], _: int) -> str:
    machines = [average.first.machine for average in found]
    dates = sorted({str(machine["date"]) for machine in machines})
    newest = machines[-1]
    return (
        f"{newest['cpu']}, {newest['cores']} cores, {newest['memory_gb']} GB, "
        f"{newest['system']}, Python {newest['python']}, NumPy {newest['numpy']}; "
        f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))}."
    )


_PEERS = (
    "mezzotint-own",
    "mezzotint-aim",
    "mbi-aim",
    "opendp-aim",
    "dpmm-aim",
    "smartnoise-aim",
    "mezzotint-mst",
    "mbi-mst",
    "dpmm-mst",
    "smartnoise-mst",
    "floor-independent",
    "floor-bootstrap",
)


def _peers(found: Sequence[Average], _: int) -> str:
    """The README's table: AIM with AIM, MST with MST."""
    chosen = {
        average.first.method: average
        for average in found
        if average.first.scenario == "adult" and average.first.workload in (2, 0)
    }
    rows = [
        [_label(average), *_cost(average)[1:], *_errors(average)]
        for average in (chosen[name] for name in _PEERS if name in chosen)
    ]
    return _table(["method", *_COST_HEADER[1:], *_ERROR_HEADER], rows)


_BLOCKS: dict[str, Callable[[Sequence[Average], int], str]] = {
    "adult": _adult,
    "budget": _budget,
    "curve": _curve,
    "machine": _machine,
    "nltcs": _scenario("nltcs"),
    "peers": _peers,
    "wide": _wide,
}
_COST_HEADER = ["wall s", "CPU s", "peak MB"]
_ERROR_HEADER = ["2-way error", "3-way error"]


def _label(average: Average) -> str:
    return LABELS[average.first.method]


def _version(average: Average) -> str:
    return average.first.version or ""


def _size(average: Average) -> str:
    if average.first.max_model_mb is not None:
        return f"{average.first.max_model_mb:g}"
    return "default" if average.first.method.startswith("mezzotint") else ""


def _used(average: Average) -> str:
    megabytes = average.first.details.get("model_mb")
    return "" if megabytes is None else f"{megabytes:.2f}"


def _cost(average: Average) -> list[str]:
    if average.first.method in FLOORS:
        return ["", "", ""]
    if average.first.status == "timeout":
        return ["", f"not finished after {average.cpu:,.0f}", f"{average.peak_mb:,.0f}"]
    if average.first.status == "failed":
        return ["", f"failed after {average.cpu:,.0f}", f"{average.peak_mb:,.0f}"]
    digits = 1 if average.cpu < 100 else 0
    wall, cpu = f"{average.wall:,.{digits}f}", f"{average.cpu:,.{digits}f}"
    return [wall, cpu, f"{average.peak_mb:,.0f}"]


def _errors(average: Average) -> list[str]:
    return [_error(average, ways) for ways in ("2", "3")]


def _error(average: Average, ways: str) -> str:
    if ways not in average.errors:
        return ""
    mean, deviation = average.errors[ways]
    spread = f" ± {deviation:.4f}" if average.runs > 1 else ""
    return f"{mean:.4f}{spread}"


def _table(header: Row, rows: Sequence[Row]) -> str:
    marks = ["---" if place == 0 else "--:" for place in range(len(header))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, marks, *rows])
