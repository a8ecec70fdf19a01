import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mezzotint.evaluate.linear import Term, fit, independent
from mezzotint.evaluate.regression import Coefficient, compare_regressions
from mezzotint.evaluate.rows import read
from mezzotint.schema import Categorical, Continuous, Schema
from tests.evaluate.tables import MIXED, mixed, read_mixed

XY = Schema(
    (
        Continuous(name="x", bounds=(-5, 5), bins=5),
        Continuous(name="z", bounds=(-5, 5), bins=5),
        Categorical(name="y", categories=("no", "yes")),
    )
)


def rows_of(table, schema=XY):
    return read(table, schema, np.random.default_rng(0), role="real")


def logistic_rows(n=4000, seed=0, slope=1.5):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    p = 1 / (1 + np.exp(0.5 - slope * x + z))
    return rows_of(pa.table({"x": x, "z": z, "y": np.where(rng.random(n) < p, "yes", "no")}))


def interval(low, high):
    middle = (low + high) / 2
    return middle, low, high


def test_overlap_of_identical_half_and_disjoint_intervals():
    same = Coefficient("t", *interval(0, 2), *interval(0, 2))
    half = Coefficient("t", *interval(0, 2), *interval(1, 3))
    inside = Coefficient("t", *interval(0, 4), *interval(1, 2))
    apart = Coefficient("t", *interval(0, 1), *interval(2, 3))
    assert [c.overlap for c in (same, half, inside, apart)] == [1, 0.5, (1 / 4 + 1) / 2, 0]


@given(st.floats(-9, 9), st.floats(0.1, 9), st.floats(-9, 9), st.floats(0.1, 9))
def test_overlap_is_symmetric_and_between_zero_and_one(a, width_a, b, width_b):
    one, two = interval(a, a + width_a), interval(b, b + width_b)
    overlap = Coefficient("t", *one, *two).overlap
    assert 0 <= overlap <= 1
    assert overlap == Coefficient("t", *two, *one).overlap


def test_agreement_is_about_direction_and_clarity():
    up, down, unclear = interval(1, 2), interval(-2, -1), interval(-1, 1)
    assert Coefficient("t", *up, *interval(3, 4)).agrees
    assert Coefficient("t", *unclear, *interval(-2, 2)).agrees
    assert not Coefficient("t", *up, *down).agrees
    assert not Coefficient("t", *up, *unclear).agrees


def test_the_logistic_fit_is_the_maximum_likelihood():
    from sklearn.linear_model import LogisticRegression

    rows = logistic_rows()
    response = (rows.codes["y"] == 1).astype(float)
    terms = [Term("x", "x"), Term("z", "z")]
    found = fit(rows, response, terms, logistic=True)
    design = np.column_stack([rows.values["x"], rows.values["z"]])
    expected = LogisticRegression(C=np.inf, tol=1e-8).fit(design, response).coef_[0]
    assert found[:, 0] == pytest.approx(expected, rel=1e-4)
    assert (found[:, 1] < [1.5, -1.0]).all()
    assert (found[:, 2] > [1.5, -1.0]).all()


def test_the_linear_fit_and_its_interval_are_the_textbooks():
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    y = 2 * x + rng.normal(size=40)
    schema = Schema((Continuous(name="x", bounds=(-9, 9), bins=3),))
    found = fit(rows_of(pa.table({"x": x}), schema), y, [Term("x", "x")], logistic=False)[0]
    expected = stats.linregress(x, y)
    half = stats.t.ppf(0.975, 38) * expected.stderr
    assert found == pytest.approx([expected.slope, expected.slope - half, expected.slope + half])


def test_the_intervals_cover():
    """Of 300 intervals about 285 hold the true slope; fewer than 255 is 9 sd away."""
    hits = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=200)
        y = (rng.random(200) < 1 / (1 + np.exp(-x))).astype(float)
        schema = Schema((Continuous(name="x", bounds=(-9, 9), bins=3),))
        _, low, high = fit(rows_of(pa.table({"x": x}), schema), y, [Term("x", "x")], logistic=True)[
            0
        ]
        hits += low <= 1 <= high
    assert hits >= 255


def test_separation_has_no_estimate():
    x = np.linspace(-1, 1, 100)
    rows = rows_of(pa.table({"x": x, "z": x, "y": ["no"] * 100}))
    assert fit(rows, (x > 0).astype(float), [Term("x", "x")], logistic=True) is None


def test_the_same_rows_agree_entirely():
    rows = logistic_rows()
    result = compare_regressions(rows, rows, "y")
    assert result.family == "logistic"
    assert result.outcome == "y is yes"
    assert {c.term for c in result.coefficients} == {"x (+1 sd)", "z (+1 sd)"}
    assert result.mean_overlap == 1.0
    assert result.agreement == 1.0
    assert result.private


def test_a_turned_effect_disagrees():
    result = compare_regressions(logistic_rows(), logistic_rows(slope=-1.5), "y")
    x = next(c for c in result.coefficients if c.term.startswith("x"))
    assert not x.agrees
    assert x.overlap == 0


def test_mixed_predictors_and_missing_values():
    result = compare_regressions(read_mixed(3000, 1), read_mixed(3000, 2), "member")
    terms = {c.term for c in result.coefficients}
    assert {"age (+1 sd)", "income (+1 sd)", "city: Graz (vs Bath)"} <= terms
    age = next(c for c in result.coefficients if c.term == "age (+1 sd)")
    assert age.agrees
    assert age.overlap > 0.2


def test_a_number_is_explained_linearly():
    result = compare_regressions(read_mixed(2000, 1), read_mixed(2000, 2), "income")
    assert result.family == "linear"
    assert any(c.term == "member: yes (vs no)" for c in result.coefficients) or any(
        c.term == "member: no (vs yes)" for c in result.coefficients
    )


def test_chosen_predictors():
    rows = read_mixed(500)
    result = compare_regressions(rows, rows, "member", predictors=("age",))
    assert {c.term for c in result.coefficients} == {"age (+1 sd)"}


def test_near_copies_of_the_target_are_left_out():
    table = mixed(500)
    copy = Categorical(name="copy", categories=("no", "yes"))
    schema = Schema((*MIXED.attributes, copy))
    rows = rows_of(table.append_column("copy", table["member"]), schema)
    result = compare_regressions(rows, rows, "member")
    assert "copy was left out: it all but determines member." in result.notes
    assert not any(c.term.startswith("copy") for c in result.coefficients)


def test_a_separating_predictor_is_left_out():
    rows = logistic_rows()
    table = pa.table(
        {
            "x": rows.values["x"],
            "z": rows.values["z"],
            "y": np.where(rows.values["x"] > 0, "yes", "no"),
        }
    )
    rows = rows_of(table)
    result = compare_regressions(rows, rows, "y", predictors=("x", "z"))
    assert "x was left out: with it, the regression does not converge." in result.notes
    assert [c.term for c in result.coefficients] == ["z (+1 sd)"]


def test_a_dependent_term_is_left_out():
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    rows = rows_of(pa.table({"x": x, "z": 2 * x, "y": rng.choice(["no", "yes"], 300)}))
    dropped = []
    kept = independent([Term("x", "x"), Term("z", "z")], [rows, rows], dropped)
    assert [t.name for t in kept] == ["x"]
    assert dropped == ["z"]
    result = compare_regressions(rows, rows, "y", predictors=("x", "z"))
    assert "z (+1 sd) was left out: the terms before it determine it." in result.notes


@pytest.mark.parametrize(("real", "synthetic"), [(5, 300), (300, 5), (1, 1)])
def test_small_tables_get_a_note(real, synthetic):
    result = compare_regressions(read_mixed(real), read_mixed(synthetic, 1), "member")
    assert result.coefficients == ()
    assert np.isnan(result.mean_overlap)
    assert result.notes == ("Too few rows for a regression: at least 20 are needed.",)


def test_more_terms_than_rows_allow():
    rng = np.random.default_rng(0)
    names = (*(f"x{i}" for i in range(9)), "y")
    schema = Schema(tuple(Continuous(name=name, bounds=(-9, 9), bins=3) for name in names))
    rows = rows_of(pa.table({a.name: rng.normal(size=21) for a in schema}), schema)
    result = compare_regressions(rows, rows, "y", predictors=schema.names[:-1])
    assert result.notes == ("Too few rows for a regression with 9 terms.",)


def test_a_constant_outcome_gets_a_note():
    constant = mixed(300).set_column(4, "member", pa.array(["no"] * 300))
    result = compare_regressions(read_mixed(300), rows_of(constant, MIXED), "member")
    assert result.coefficients == ()
    assert any("nothing to explain" in note for note in result.notes)
