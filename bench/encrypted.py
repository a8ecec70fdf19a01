"""Encrypted tables against plain AIM and against FHAIM's published figures.

    python bench/encrypted.py --table compas --layout records --json
    python bench/encrypted.py --table adult --layout marginals --runs 5
    python bench/encrypted.py --selection               # which pairs are chosen, n = 600, eps 1
    python bench/encrypted.py --render                  # results -> docs/benchmarks.md; nothing run

Every role is a program of its own, as users run it: `mezzotint keys create`, `encrypt`, `provider
serve`, `keyholder serve` on loopback, `submit`, `sample`. Plain AIM is `mezzotint fit` on the same
table in the same session. Utility is that of one evaluator for both. Seconds are on the clock and
of CPU, children included; memory is that of a role's whole process tree.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import _choices
from _coding import DEFAULT_DATA, problem
from _encrypted_report import render, summary
from _measure import machine
from _services import Service, run
from _usefulness import predicts, usefulness
from mezzotint.schema import Schema

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "encrypted.jsonl"
DOCUMENT = HERE.parent / "docs" / "benchmarks.md"
TABLES = ("cancer", "compas", "diabetes", "adult")


def main() -> int:
    """Runs what the command line asks for."""
    args = _arguments()
    if args.render:
        render(_read(args.results), DOCUMENT)
        print(f"rendered {DOCUMENT}")
        return 0
    if args.selection:
        record = _choices.choices(args.data_dir, args.epsilon, args.delta, args.runs)
    else:
        record = protocol(args)
    record["machine"] = machine()
    if not args.dry:
        args.results.parent.mkdir(parents=True, exist_ok=True)
        with args.results.open("a") as stream:
            stream.write(json.dumps(record) + "\n")
    print(json.dumps(record, indent=2) if args.json else summary(record))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", choices=TABLES, default="compas")
    parser.add_argument("--layout", choices=("records", "marginals"), default="records")
    parser.add_argument("--method", default="noisy-marginals", help="or squared-l2, FHAIM's own")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-9)
    parser.add_argument("--runs", type=int, default=5, help="submissions, and fits of plain AIM")
    parser.add_argument("--selection", action="store_true", help="which pairs are chosen")
    parser.add_argument("--data-dir", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--results", type=Path, default=RESULTS, help="results file (JSON lines)")
    parser.add_argument("--dry", action="store_true", help="append nothing to the results")
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    parser.add_argument("--render", action="store_true", help="write the document's tables only")
    return parser.parse_args()


def protocol(args: argparse.Namespace) -> dict:
    """The whole protocol on one table, and plain AIM beside it."""
    task = problem(args.table, args.data_dir)
    budget = ["--epsilon", args.epsilon, "--delta", args.delta, "--mechanism", "aim"]
    with tempfile.TemporaryDirectory(prefix="mezzotint-bench-") as name:
        folder = Path(name)
        data, schema, rows = folder / "data.csv", folder / "schema.yaml", folder / "synthetic.csv"
        task.train.write(data, folder / "domain.json")
        Schema.from_sizes(task.train.sizes).write(schema)
        keys, upload, model = folder / "keys", folder / "upload", folder / "model.mezzo"
        _, made = run("keys", "create", "--out", keys)
        told, encrypted = run(
            "encrypt", data, "--schema", schema, "--keys", f"{keys}/public",
            "--layout", args.layout, "-o", upload,
        )  # fmt: skip
        submissions = []
        with (
            Service("provider", "serve", "--store", folder / "provider") as provider,
            Service("keyholder", "serve", "--keys", keys) as keyholder,
        ):
            for _ in range(args.runs):
                before = provider.cpu, keyholder.cpu
                said, cost = run(
                    "submit", upload, "--provider", provider.url, "--keyholder", keyholder.url,
                    *budget, "--selection", args.method, "-o", model,
                )  # fmt: skip
                run("sample", model, "-o", rows, "--rows", task.train.rows)
                after = provider.look(), keyholder.look()
                submissions.append(
                    _submission(said, cost, usefulness(task, rows))
                    | {
                        "provider_cpu": round(after[0] - before[0], 3),
                        "keyholder_cpu": round(after[1] - before[1], 3),
                    }
                )
                _tell(args, submissions[-1])
        plain = []
        for _ in range(args.runs):
            _, cost = run("fit", data, "--schema", schema, *budget, "-o", model)
            run("sample", model, "-o", rows, "--rows", task.train.rows)
            plain.append({"cpu": cost["cpu"], "wall": cost["wall"]} | usefulness(task, rows))
    real_f1, real_accuracy = predicts(task, task.train)
    return {
        "kind": "protocol",
        "table": args.table,
        "rows": task.train.rows,
        "attributes": len(task.train.sizes),
        "columns": task.columns,
        "cells": task.cells,
        "held_out": task.held_out,
        "layout": args.layout,
        "selection": args.method,
        "epsilon": args.epsilon,
        "delta": args.delta,
        "keys": {"wall": made["wall"], "cpu": made["cpu"], "peak_mb": made["peak_mb"]},
        "encrypt": {
            "wall": encrypted["wall"],
            "cpu": encrypted["cpu"],
            "peak_mb": encrypted["peak_mb"],
            "bytes": told["bytes"],
        },
        "submissions": submissions,
        "provider_peak_mb": provider.peak_mb,
        "keyholder_peak_mb": keyholder.peak_mb,
        "plain": plain,
        "real": {"f1": real_f1, "accuracy": real_accuracy},
    }


def _submission(said: dict, cost: dict, useful: dict) -> dict:
    work = said["cost"]
    return {
        "wall": cost["wall"],
        "cpu": cost["cpu"],
        "peak_mb": cost["peak_mb"],
        "stages": work["stages"],
        "up": work["bytes_to_provider"],
        "down": work["bytes_from_provider"],
        "to_keyholder": work["bytes_to_keyholder"],
        "from_keyholder": work["bytes_from_keyholder"],
        "rounds": work["exchanges"],
        "releases": said["releases"],
        "views": said["views"],
        **useful,
    }


def _tell(args: argparse.Namespace, one: dict) -> None:
    print(
        f"{args.table} {args.layout}: {one['wall']:.1f} s, {one['rounds']} rounds, 2-way error "
        f"{one['error']:.4f}, F1 {one['f1']:.3f}",
        file=sys.stderr,
        flush=True,
    )


def _read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


if __name__ == "__main__":
    sys.exit(main())
