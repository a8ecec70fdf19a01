"""The benchmark's evaluator and its made-up tables."""

import itertools
from collections import Counter

import numpy as np
import pytest

from _fidelity import CodedTable, mean_error, read_coded
from _make import dependent_table, small_table


def table(rng, rows, sizes):
    columns = {f"c{i}": rng.integers(size, size=rows) for i, size in enumerate(sizes)}
    return CodedTable({f"c{i}": size for i, size in enumerate(sizes)}, columns)


def slow_error(real, synthetic, ways):
    distances = []
    for clique in itertools.combinations(real.sizes, ways):
        shares = [
            Counter(zip(*(t.columns[name].tolist() for name in clique), strict=True))
            for t in (real, synthetic)
        ]
        cells = set(shares[0]) | set(shares[1])
        distances.append(
            sum(
                abs(shares[0][cell] / real.rows - shares[1][cell] / synthetic.rows)
                for cell in cells
            )
            / 2
        )
    return sum(distances) / len(distances)


@pytest.mark.parametrize("ways", [1, 2, 3])
def test_error_equals_brute_force(ways):
    rng = np.random.default_rng(5)
    sizes = [2, 3, 5, 4]
    real, synthetic = table(rng, 50, sizes), table(rng, 70, sizes)
    assert mean_error(real, synthetic, ways) == pytest.approx(slow_error(real, synthetic, ways))


def test_error_of_the_table_itself_is_zero_and_of_disjoint_codes_one():
    real = CodedTable({"a": 2, "b": 2}, {"a": np.zeros(3, int), "b": np.zeros(3, int)})
    other = CodedTable({"a": 2, "b": 2}, {"a": np.ones(9, int), "b": np.zeros(9, int)})
    assert mean_error(real, real, 2) == 0
    assert mean_error(real, other, 2) == 1


def test_values_that_are_no_code_count_as_wrong(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("b,a\n0,0\n0,-1\n0,7\n0,\n")
    read = read_coded(path, {"a": 2, "b": 1})
    assert read.columns["a"].tolist() == [0, 2, 2, 2]
    real = CodedTable({"a": 2, "b": 1}, {"a": np.zeros(4, int), "b": np.zeros(4, int)})
    assert mean_error(real, read, 2) == 0.75


def test_written_tables_are_read_back(tmp_path):
    made = small_table()
    made.write(tmp_path / "t.csv", tmp_path / "t.json")
    read = read_coded(tmp_path / "t.csv", made.sizes)
    assert list(read.sizes) == list(made.sizes)
    assert all((read.columns[name] == made.columns[name]).all() for name in made.sizes)


def test_made_tables_are_the_same_for_everyone_and_dependent():
    first, second = (dependent_table(2_000, [4, 5, 6], seed=9) for _ in range(2))
    assert all((first.columns[name] == second.columns[name]).all() for name in first.sizes)
    rng = np.random.default_rng(0)
    bootstrap = first.take(rng.integers(first.rows, size=first.rows))
    assert mean_error(first, first.shuffled(rng), 2) > 4 * mean_error(first, bootstrap, 2)
