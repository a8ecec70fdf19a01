"""From the records of `encrypted.py` to words on a terminal and tables in docs/benchmarks.md.

Blocks of the document have the form

    <!-- encrypted: cost -->
    ...
    <!-- end -->

and rendering replaces what stands between the two marks by the latest record of each problem.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

BLOCK = re.compile(r"(<!-- encrypted: (?P<what>[a-z]+) -->\n).*?(<!-- end -->)", re.S)
PRODUCTS = "multiplying"
"""The provider's stage that computes all two-way marginals of encrypted records."""

PUBLISHED = {
    # seconds: one-way, two-way, select a round, measure a round; rounds (FHAIM's timing table)
    "cancer": (30.6, 680.0, 140.0, 1.18, 5),
    "compas": (24.7, 293.0, 70.0, 0.70, 7),
    "diabetes": (32.0, 628.0, 112.0, 2.25, 5),
}
ORDER = ("cancer", "compas", "diabetes", "adult")


def published_total(table: str) -> float | None:
    """FHAIM's seconds from its steps; None where it reports none."""
    if table not in PUBLISHED:
        return None
    one, two, select, measure, rounds = PUBLISHED[table]
    return one + two + rounds * (select + measure)


def whole(record: dict, what: str = "wall") -> float:
    """Mean seconds of the whole protocol: keys, encryption and a submission.

    Args:
        record: Of a protocol.
        what: "wall"; or "cpu", of all roles together.
    """
    once = record["keys"][what] + record["encrypt"][what]
    if what == "wall":
        return once + _mean(record, "wall")
    parts = ("cpu", "provider_cpu", "keyholder_cpu")
    return once + sum(_mean(record, part) for part in parts)


def products(record: dict, what: str = "seconds") -> float | None:
    """Mean seconds of all two-way marginals under encryption; None where the holder counts."""
    stages = [one["stages"] for one in record["submissions"]]
    found = [stage[PRODUCTS][what] for stage in stages if PRODUCTS in stage]
    return fmean(found) if found else None


def summary(record: dict) -> str:
    """One record, for a terminal."""
    if record["kind"] == "selection":
        return _table(*_selection([record]))
    return "\n\n".join(_table(*table([record])) for table in (_cost, _traffic, _utility))


def render(records: Sequence[dict], document: Path) -> None:
    """Replaces every block of the document by what the latest records say."""
    latest = list({_key(record): record for record in records}.values())
    protocols = sorted((r for r in latest if r["kind"] == "protocol"), key=_place)
    selections = [r for r in latest if r["kind"] == "selection"]
    blocks = {
        "cost": _table(*_cost(protocols)),
        "traffic": _table(*_traffic(protocols)),
        "utility": _table(*_utility(protocols)),
        "views": _table(*_views(protocols)),
        "selection": _table(*_selection(selections)),
    }
    text = document.read_text()
    document.write_text(BLOCK.sub(lambda m: f"{m[1]}{blocks[m['what']]}\n{m[3]}", text))


def _key(record: dict) -> tuple:
    return tuple(
        record.get(name) for name in ("kind", "table", "layout", "selection", "rows", "epsilon")
    )


def _place(record: dict) -> tuple:
    return ORDER.index(record["table"]), record["layout"] != "records", record["selection"]


def _name(record: dict) -> list[str]:
    layout = record["layout"]
    if record["selection"] != "noisy-marginals":
        layout += f", {record['selection']}"
    return [f"{record['table']}, {record['rows']:,} x {record['attributes']}", layout]


def _cost(records: Sequence[dict]) -> tuple[list[str], list[list[str]]]:
    header = ["table", "layout", "runs", "keys s", "encrypt s", "all 2-way s", "FHAIM's",
              "whole s", "whole CPU s", "FHAIM's whole"]  # fmt: skip
    rows = []
    for record in records:
        two, theirs = products(record), published_total(record["table"])
        rows.append(
            [
                *_name(record),
                str(len(record["submissions"])),
                f"{record['keys']['wall']:.1f}",
                f"{record['encrypt']['wall']:.1f}",
                "" if two is None else f"{two:,.1f}",
                f"{PUBLISHED[record['table']][1]:,.0f}" if record["table"] in PUBLISHED else "",
                f"{whole(record):,.1f}",
                f"{whole(record, 'cpu'):,.1f}",
                "" if theirs is None else f"{theirs:,.0f}",
            ]
        )
    return header, rows


def _traffic(records: Sequence[dict]) -> tuple[list[str], list[list[str]]]:
    header = ["table", "layout", "up MB", "down MB", "to key holder MB", "from key holder MB",
              "rounds", "provider MB", "key holder MB", "holder MB"]  # fmt: skip
    rows = [
        [
            *_name(record),
            *(
                _megabytes(_mean(record, name))
                for name in ("up", "down", "to_keyholder", "from_keyholder")
            ),
            f"{_mean(record, 'rounds'):.0f}",
            f"{record['provider_peak_mb']:,.0f}",
            f"{record['keyholder_peak_mb']:,.0f}",
            f"{max(record['encrypt']['peak_mb'], *_all(record, 'peak_mb')):,.0f}",
        ]
        for record in records
    ]
    return header, rows


def _utility(records: Sequence[dict]) -> tuple[list[str], list[list[str]]]:
    header = ["table", "layout", "2-way error", "plain AIM's", "F1", "plain AIM's", "real rows'"]
    rows = [
        [
            *_name(record),
            _spread([one["error"] for one in record["submissions"]], 4),
            _spread([one["error"] for one in record["plain"]], 4),
            _spread([one["f1"] for one in record["submissions"]], 3),
            _spread([one["f1"] for one in record["plain"]], 3),
            f"{record['real']['f1']:.3f}",
        ]
        for record in records
    ]
    return header, rows


def _views(records: Sequence[dict]) -> tuple[list[str], list[list[str]]]:
    header = ["table", "layout", "who looks", "who cheats", "rho", "epsilon"]
    rows = []
    for record in records:
        views = [one["views"] for one in record["submissions"]]
        for together in zip(*views, strict=True):
            first = together[0]
            if first["epsilon"] is not None:
                rows.append(
                    [
                        *_name(record),
                        first["role"],
                        first["corrupted"] or "nobody",
                        f"{fmean(view['rho'] for view in together):.4f}",
                        f"{fmean(view['epsilon'] for view in together):.3f}",
                    ]
                )
    return header, rows


def _selection(records: Sequence[dict]) -> tuple[list[str], list[list[str]]]:
    header = ["rows", "eps", "trials", "uniform", "squared L2 (FHAIM)", "plain AIM",
              "noisy marginals (ours)", "right of chosen, plain AIM", "right of chosen, ours",
              "2-way error, plain AIM", "2-way error, ours"]  # fmt: skip
    rows = []
    for record in sorted(records, key=lambda r: r["epsilon"]):
        trials, mass = record["trials"], record["mass"]
        rows.append(
            [
                f"{record['rows']:,}",
                f"{record['epsilon']:g}",
                str(len(trials)),
                *(f"{mass[n]:.3f}" for n in ("uniform", "squared L2", "plain AIM",
                                             "noisy marginals")),
                *(_right([trial[who] for trial in trials]) for who in ("plain", "encrypted")),
                *(_spread([trial[who]["error"] for trial in trials], 4)
                  for who in ("plain", "encrypted")),
            ]
        )  # fmt: skip
    return header, rows


def _right(runs: Sequence[dict]) -> str:
    return f"{sum(r['right'] for r in runs)} of {sum(r['chosen'] for r in runs)}"


def _all(record: dict, name: str) -> list[float]:
    return [one[name] for one in record["submissions"]]


def _mean(record: dict, name: str) -> float:
    return fmean(_all(record, name))


def _megabytes(size: float) -> str:
    digits = 2 if size < 1e6 else 1 if size < 1e8 else 0
    return f"{size / 1e6:,.{digits}f}"


def _spread(values: Sequence[float], digits: int) -> str:
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{spread}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    marks = ["---" if place < 2 else "--:" for place in range(len(header))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, marks, *rows])
