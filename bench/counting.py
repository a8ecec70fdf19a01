"""All 2-way marginals of a large Parquet file: ours beside NumPy per pair and DuckDB.

    python bench/counting.py                    10 million rows x 15 columns
    python bench/counting.py --rows 40000000    does memory stay flat?

Every contender runs in a process of its own, reads the same file, and returns the same checksum.
CPU seconds and peak memory are the process's own, imports included.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import resource
import subprocess
import sys
from itertools import combinations
from pathlib import Path

SIZES = {
    "age": 85, "workclass": 9, "fnlwgt": 100, "education": 16, "education-num": 16,
    "marital": 7, "occupation": 15, "relationship": 6, "race": 5, "sex": 2, "gain": 100,
    "loss": 100, "hours": 99, "country": 42, "income": 2,
}  # fmt: skip
CONTENDERS = ("mezzotint", "numpy", "duckdb")
CACHE = Path.home() / ".cache" / "mezzotint-bench"


def make(rows: int, cache: Path) -> Path:
    """A Parquet file of skewed whole numbers (int64, as pandas writes them)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = cache / f"counting-{rows}.parquet"
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    schema = pa.schema([(name, pa.int64()) for name in SIZES])
    part = path.with_suffix(".part")
    with pq.ParquetWriter(part, schema) as writer:
        for start in range(0, rows, 1_000_000):
            n = min(1_000_000, rows - start)
            columns = [(size * rng.random(n) ** 2).astype(np.int64) for size in SIZES.values()]
            writer.write_table(pa.table(dict(zip(SIZES, columns, strict=True)), schema))
    part.rename(path)
    return path


def count_mezzotint(path: Path) -> str:
    """The kernel of this project."""
    from mezzotint.schema import Schema
    from mezzotint.sources import open_source
    from mezzotint.tables.counting import count

    pairs = list(combinations(SIZES, 2))
    counts = count(open_source(path), Schema.from_sizes(SIZES), pairs)
    return digest(counts.marginal(pair) for pair in pairs)


def count_numpy(path: Path) -> str:
    """One bincount per pair and batch."""
    import numpy as np
    import pyarrow.parquet as pq

    pairs = list(combinations(SIZES, 2))
    totals = {p: np.zeros(SIZES[p[0]] * SIZES[p[1]], np.int64) for p in pairs}
    for batch in pq.ParquetFile(path, pre_buffer=False).iter_batches(1 << 16, use_threads=False):
        columns = {n: c.to_numpy() for n, c in zip(SIZES, batch.columns, strict=True)}
        for (a, b), total in totals.items():
            pair = columns[a] * SIZES[b] + columns[b]
            np.add(total, np.bincount(pair, minlength=len(total)), out=total)
    return digest(totals[p].reshape(SIZES[p[0]], SIZES[p[1]]) for p in pairs)


def count_duckdb(path: Path) -> str:
    """One query with GROUPING SETS."""
    import duckdb
    import numpy as np

    pairs = list(combinations(SIZES, 2))
    sets = ", ".join(f'("{a}", "{b}")' for a, b in pairs)
    names = ", ".join(f'"{n}"' for n in SIZES)
    query = f"SELECT {names}, count(*) AS n FROM '{path}' GROUP BY GROUPING SETS ({sets})"
    table = duckdb.connect().sql(query).fetchnumpy()
    present = {n: ~np.ma.getmaskarray(table[n]) for n in SIZES}
    marginals = []
    for a, b in pairs:
        rows = present[a] & present[b]
        marginal = np.zeros((SIZES[a], SIZES[b]), np.int64)
        marginal[table[a][rows].data, table[b][rows].data] = table["n"][rows]
        marginals.append(marginal)
    return digest(marginals)


def digest(marginals) -> str:
    """A checksum of all counts, in order."""
    import numpy as np

    total = hashlib.sha256()
    for marginal in marginals:
        total.update(np.ascontiguousarray(marginal, dtype=np.int64).tobytes())
    return total.hexdigest()[:16]


def main() -> int:
    """Measure; exit 1 if the contenders disagree or ours misses its mark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--only", choices=CONTENDERS, action="append")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    path = make(args.rows, args.cache)
    if args.one:
        checksum = globals()[f"count_{args.one}"](path)
        used = resource.getrusage(resource.RUSAGE_SELF)
        # ru_maxrss would count the parent's memory from before exec; VmHWM begins anew.
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        row = {"cpu": used.ru_utime + used.ru_stime, "mb": int(peak[1]) / 1024}
        print(json.dumps(row | {"checksum": checksum}))
        return 0
    results = {}
    for contender in args.only or CONTENDERS:
        command = [sys.executable, __file__, "--rows", str(args.rows), "--one", contender]
        done = subprocess.run(
            [*command, "--cache", str(args.cache)], check=True, capture_output=True, text=True
        )
        results[contender] = json.loads(done.stdout)
        r = results[contender]
        print(f"{contender:<10} {r['cpu']:6.2f} CPU s  {r['mb']:6.0f} MB  {r['checksum']}")
    return int(len({r["checksum"] for r in results.values()}) > 1)


if __name__ == "__main__":
    raise SystemExit(main())
