"""An example table that nobody has to keep secret: invented visits to an invented hospital.

    >>> from mezzotint.demo import demo_schema, demo_table
    >>> demo_table(3, random_state=0).column_names[:4]
    ['visit_date', 'age', 'sex', 'region']

It has what real tables have: columns of every type, missing values that are not missing at random,
costs with a spike at zero and a long tail, and columns that hang together in twos and threes. Its
rows are made from the formulas below, so that it may be shown, changed and shared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from mezzotint.schema import Schema

REGIONS = ("north", "east", "south", "west", "abroad")
WARDS = ("internal", "surgery", "cardiology", "paediatrics", "maternity")
TRIAGE = ("routine", "standard", "urgent", "immediate")
_FIRST_DAY = np.datetime64("2023-01-01")
_DAYS = 731

SCHEMA = """\
mezzotint-schema: 1
unit: {name: patient, rows: 1, adjacency: add-remove}
attributes:
  visit_date: {type: date, bounds: [2023-01-01, 2024-12-31], bins: 24, missing: false}
  age: {type: integer, bounds: [0, 104], bins: exact, missing: false}
  sex: {type: categorical, categories: [female, male], missing: false}
  region: {type: categorical, categories: [north, east, south, west, abroad], missing: false}
  ward:
    type: categorical
    categories: [internal, surgery, cardiology, paediatrics, maternity]
    missing: false
  triage: {type: ordered, categories: [routine, standard, urgent, immediate], missing: false}
  systolic: {type: integer, bounds: [60, 240], bins: 36}
  bmi: {type: continuous, bounds: [10, 60], decimals: 1}
  smoker: {type: boolean, false: no, true: yes}
  nights: {type: integer, bounds: [0, 60], missing: false}
  cost:
    type: continuous
    bounds: [0, 60000]
    spacing: log
    special: 0
    decimals: 2
    missing: false
  readmitted: {type: boolean, false: no, true: yes, missing: false}
never:
  - {ward: maternity, sex: male}
  - {ward: maternity, age: {max: 13}}
  - {ward: paediatrics, age: {min: 18}}
"""
"""The table's public facts, as its owner would declare them."""


def demo_schema() -> Schema:
    """The public facts of the table, every one of them declared."""
    from mezzotint.schema import Schema

    return Schema.from_text(SCHEMA, place="the demonstration's schema")


def demo_table(n: int = 5000, random_state: int = 0) -> pa.Table:
    """Visits to a hospital that does not exist: 12 columns of every type.

    Args:
        n: how many rows.
        random_state: the same number gives the same rows. The table is public: no noise that
            protects anybody is drawn here.
    """
    import pyarrow as pa

    rng = np.random.default_rng(random_state)
    age = _ages(n, rng)
    sex = rng.random(n) < 0.53  # True: female
    ward = _wards(age, sex, rng)
    triage = _triage(age, ward, rng)
    bmi = np.where(age < 18, 15 + 0.4 * age, 24.5 + 3 * np.sin(age / 22)) + rng.gamma(4, 0.9, n) - 3
    bmi = np.clip(bmi, 10, 60).round(1)
    smoker = rng.random(n) < np.where(age < 16, 0.0, 0.32 - 0.08 * sex - 0.002 * (age - 16))
    heart = ward == WARDS.index("cardiology")
    systolic = rng.normal(98 + 0.45 * age + 0.5 * (bmi - 24) + 11 * heart + 4 * smoker, 13)
    systolic = np.clip(np.rint(systolic), 60, 240).astype(np.int64)
    nights = _nights(age, ward, triage, rng)
    cost = _costs(ward, triage, nights, rng)
    odds = -3.1 + 0.016 * age + 0.5 * smoker + 0.09 * np.minimum(nights, 14) + 0.6 * heart
    readmitted = rng.random(n) < 1 / (1 + np.exp(-odds))
    # What is missing tells something: quick visits are measured less, children are not asked.
    no_pressure = rng.random(n) < np.where(nights == 0, 0.2, 0.04) + 0.3 * (age < 12)
    no_bmi = rng.random(n) < np.where(triage == 3, 0.3, 0.07)
    not_asked = (age < 14) | (rng.random(n) < 0.06)
    return pa.table(
        {
            "visit_date": pa.array(_dates(ward, rng), pa.date32()),
            "age": age,
            "sex": np.where(sex, "female", "male").tolist(),
            "region": _words(REGIONS, rng.choice(5, n, p=[0.31, 0.26, 0.22, 0.18, 0.03])),
            "ward": _words(WARDS, ward),
            "triage": _words(TRIAGE, triage),
            "systolic": pa.array(systolic, mask=no_pressure),
            "bmi": pa.array(bmi, mask=no_bmi),
            "smoker": pa.array(smoker, mask=not_asked),
            "nights": nights,
            "cost": cost,
            "readmitted": readmitted,
        }
    )


def _ages(n: int, rng: np.random.Generator) -> np.ndarray:
    """Children, adults and the old: a mixture of three humps."""
    hump = rng.choice(3, n, p=[0.17, 0.38, 0.45])
    centre, spread = np.array([5, 38, 71])[hump], np.array([4, 11, 12])[hump]
    return np.clip(np.rint(rng.normal(centre, spread)), 0, 104).astype(np.int64)


def _wards(age: np.ndarray, female: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    maternity = female & (age >= 16) & (age <= 46)
    weights = np.stack(
        [
            np.where(age < 18, 0.0, 0.40),
            np.where(age < 18, 0.25, 0.28),
            np.where(age < 40, 0.02, 0.006 * age),
            np.where(age < 18, 1.0, 0.0),
            np.where(maternity, 0.55, 0.0),
        ]
    )
    return _choice(weights, rng)


def _triage(age: np.ndarray, ward: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pressing = 0.4 + 0.006 * age + 0.7 * (ward == 2) - 0.25 * (ward == 4)
    return np.digitize(rng.normal(pressing, 0.6), [0.4, 1.2, 2.0])


def _nights(
    age: np.ndarray, ward: np.ndarray, triage: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    mean = (0.6 + 0.02 * age) * np.array([1.0, 1.3, 1.5, 0.7, 1.6])[ward] * (1 + 0.6 * triage)
    stays = np.rint(rng.gamma(1.4, mean / 1.4))
    home = rng.random(len(age)) < np.array([0.45, 0.3, 0.15, 0.03])[triage]
    return np.where(home, 0, np.clip(stays, 0, 60)).astype(np.int64)


def _costs(
    ward: np.ndarray, triage: np.ndarray, nights: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    base = np.array([380, 1450, 1900, 290, 1100])[ward] * (1 + 0.35 * triage) + 610 * nights
    bill = base * rng.lognormal(0, 0.45, len(ward))
    free = rng.random(len(ward)) < np.where(nights == 0, 0.35, 0.06)
    return np.where(free, 0.0, np.clip(bill, 20, 60_000)).round(2)


def _dates(ward: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Days, fewer at weekends; hearts suffer in winter, children in autumn."""
    day = np.arange(_DAYS)
    year = 2 * np.pi * day / 365.25
    week = np.where((day + 6) % 7 >= 5, 0.55, 1.0)
    seasons = [0 * year, 0 * year, 0.35 * np.cos(year), 0.4 * np.cos(year - 5.2), 0 * year]
    dates = np.empty(len(ward), "datetime64[D]")
    for which, season in enumerate(seasons):
        rows = ward == which
        weights = week * (1 + season)
        dates[rows] = _FIRST_DAY + rng.choice(day, rows.sum(), p=weights / weights.sum())
    return dates


def _choice(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One index per column of a (choices, rows) array of weights."""
    reached = np.cumsum(weights, axis=0)
    return (rng.random(weights.shape[1]) * reached[-1] >= reached).sum(axis=0)


def _words(words: tuple[str, ...], codes: np.ndarray) -> list[str]:
    return np.array(words)[codes].tolist()
