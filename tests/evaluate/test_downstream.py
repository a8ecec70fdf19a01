import numpy as np
import pyarrow as pa
import pytest

from mezzotint.evaluate import downstream
from mezzotint.evaluate.downstream import compare_models, default_target
from mezzotint.evaluate.rows import columns_of, read
from mezzotint.schema import Categorical, Continuous, Schema
from tests.evaluate.tables import MIXED, mixed, read_mixed


def rows_of(table, schema):
    return read(table, schema, np.random.default_rng(0), role="real")


def score(result, model, metric):
    return next(s for s in result.scores if (s.model, s.metric) == (model, metric))


def test_the_default_target_is_the_last_class():
    columns = columns_of(MIXED)
    assert default_target(columns) == "member"
    del columns["member"]
    assert default_target(columns) == "city"
    del columns["city"]
    assert default_target(columns) == "joined"
    assert default_target({}) is None


def test_many_classes_are_no_default():
    schema = Schema(
        (
            Categorical(name="few", categories=("a", "b")),
            Categorical(name="many", categories=tuple(map(str, range(50)))),
        )
    )
    assert default_target(columns_of(schema)) == "few"


def test_related_rows_teach_and_unrelated_ones_do_not():
    real = read_mixed(3000, 1)
    good = compare_models(real, read_mixed(3000, 2), "member")
    bad = compare_models(real, read_mixed(3000, 3, related=False), "member")
    for model in ("Logistic regression", "Gradient boosting"):
        taught, untaught = score(good, model, "AUC"), score(bad, model, "AUC")
        assert taught.real > 0.85
        assert taught.synthetic > 0.85
        assert taught.guess == 0.5
        assert untaught.real == taught.real
        assert abs(untaught.synthetic - 0.5) < 0.2
    assert good.private
    assert (good.test_rows, good.real_rows, good.synthetic_rows) == (900, 2100, 3000)
    assert any("No separate test table" in note for note in good.notes)


def test_the_same_rows_teach_the_same():
    real = read_mixed(500, 1)
    result = compare_models(real, real, "member", holdout=read_mixed(400, 2))
    for s in result.scores:
        assert s.synthetic == s.real
    assert result.separate_test
    assert result.test_rows == 400
    assert result.notes == ()


def test_numbers_are_predicted_too():
    rng = np.random.default_rng(0)

    def table(n):
        x = rng.uniform(0, 1, n)
        return pa.table({"x": x, "y": 3 * x + rng.normal(0, 0.1, n)})

    schema = Schema(
        (Continuous(name="x", bounds=(0, 1), bins=5), Continuous(name="y", bounds=(-1, 4), bins=5))
    )
    result = compare_models(rows_of(table(800), schema), rows_of(table(800), schema), "y")
    assert result.task == "regression"
    r2 = score(result, "Linear regression", "R²")
    assert r2.real > 0.95
    assert r2.synthetic > 0.95
    assert r2.guess < 0.05
    error = score(result, "Gradient boosting", "Mean absolute error")
    assert error.smaller_is_better
    assert error.synthetic < 0.2 < error.guess


def test_rows_without_a_target_are_left_out():
    real = rows_of(mixed(300), MIXED)
    result = compare_models(real, real, "income")
    missing = int(np.isnan(real.values["income"]).sum())
    assert f"{missing} real rows without a value of income were left out." in result.notes
    assert result.real_rows + result.test_rows == 300 - missing


def test_one_class_in_the_synthetic_rows():
    real = read_mixed(300)
    table = mixed(300).set_column(4, "member", pa.array(["no"] * 300))
    result = compare_models(real, rows_of(table, MIXED), "member")
    assert any("one value only in the synthetic rows" in note for note in result.notes)
    assert {s.synthetic for s in result.scores if s.metric == "AUC"} == {0.5}


def test_one_class_in_the_real_rows():
    table = mixed(300).set_column(4, "member", pa.array(["no"] * 300))
    result = compare_models(rows_of(table, MIXED), read_mixed(300), "member")
    assert result.scores == ()
    assert any("nothing to learn" in note for note in result.notes)


def test_one_class_in_the_test_rows():
    table = mixed(100).set_column(4, "member", pa.array(["no"] * 100))
    result = compare_models(
        read_mixed(300), read_mixed(300, 1), "member", holdout=rows_of(table, MIXED)
    )
    assert any("one value only in the test rows" in note for note in result.notes)
    assert not any(s.metric == "AUC" for s in result.scores)


@pytest.mark.parametrize("n", [1, 2, 30])
def test_tiny_tables_get_a_note(n):
    result = compare_models(read_mixed(n), read_mixed(50), "member")
    assert result.scores == ()
    assert any("Too few rows" in note for note in result.notes)


def test_a_lone_attribute_predicts_nothing():
    schema = Schema((Categorical(name="c", categories=("a", "b")),))
    rows = rows_of({"c": ["a", "b"] * 100}, schema)
    result = compare_models(rows, rows, "c")
    assert result.scores == ()
    assert any("no other attribute" in note for note in result.notes)


def test_missing_and_constant_predictors_do_no_harm():
    schema = Schema(
        (
            Continuous(name="empty", bounds=(0, 1), bins=3),
            Continuous(name="fixed", bounds=(0, 1), bins=3),
            Categorical(name="one", categories=("x",)),
            Categorical(name="c", categories=("a", "b")),
        )
    )
    n = 200
    rows = rows_of(
        pa.table(
            {
                "empty": pa.nulls(n, pa.float64()),
                "fixed": np.full(n, 0.5),
                "one": ["x"] * n,
                "c": ["a", "b"] * (n // 2),
            }
        ),
        schema,
    )
    result = compare_models(rows, rows, "c")
    assert {s.model for s in result.scores} == {"Logistic regression", "Gradient boosting"}


def test_many_classes_are_not_boosted():
    rng = np.random.default_rng(0)
    schema = Schema(
        (
            Categorical(name="x", categories=tuple("abc")),
            Categorical(name="y", categories=tuple(map(str, range(30)))),
        )
    )
    table = {"x": rng.choice(list("abc"), 900), "y": rng.integers(30, size=900).astype(str)}
    rows = rows_of(pa.table(table), schema)
    result = compare_models(rows, rows, "y")
    assert {s.model for s in result.scores} == {"Logistic regression"}
    assert any("30 classes" in note for note in result.notes)


def test_a_cap_on_training_rows_is_stated(monkeypatch):
    monkeypatch.setattr(downstream, "MOST_TRAINING_ROWS", 100)
    result = compare_models(read_mixed(400), read_mixed(400, 1), "member")
    assert result.real_rows == result.synthetic_rows == result.test_rows == 100
    assert any("at most 100 rows" in note for note in result.notes)
