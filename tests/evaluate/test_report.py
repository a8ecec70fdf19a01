import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from mezzotint.errors import DataError, ParameterError, SchemaError
from mezzotint.evaluate import build, certificate_page
from mezzotint.evaluate.formats import percent
from mezzotint.evaluate.ledger_table import ledger_rows
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import Gaussian, SubsampledGaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.statement import Statement
from mezzotint.privacy.views import View
from mezzotint.schema import Categorical, Integer, Schema
from tests.evaluate.tables import MIXED, mixed

VOID = {"meta", "link", "br", "img", "input", "hr", "col"}
NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title>&amp;'",
    "日本語のとても長い名前" * 8,
    "عربي",
    "a\nb\tc",
    "{{ 7*7 }}{% raw %}",
]


class Checker(HTMLParser):
    """Balanced tags, no scripts, no handlers, nothing fetched."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open = []
        self.text = []
        self.ids = set()
        self.links = set()

    def handle_starttag(self, tag, attrs):
        assert tag not in {"script", "iframe", "object", "embed", "link", "img", "form"}
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in {"src", "srcset", "action", "xlink:href"}
            if name == "href":
                assert value.startswith("#")
                self.links.add(value[1:])
            if name == "id":
                assert value not in self.ids
                self.ids.add(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def check(html):
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    assert checker.links <= checker.ids
    style = re.search(r"<style>(.*?)</style>", html, re.S).group(1)
    assert "url(" not in style
    assert "@import" not in style
    assert "://" not in html
    return checker


@pytest.fixture(scope="module")
def statement():
    with Ledger.memory() as ledger:
        run = ledger.begin(Budget(1.0, 1e-9), mechanism="AIM", dataset="people")
        for name in MIXED.names:
            run.gaussian(about=f"counts of {name}", sigma=60.0)
        run.exponential(about="which pair comes next", epsilon=0.05, sensitivity=1)
        return Statement.of(run)


@pytest.fixture(scope="module")
def full(statement):
    return build(mixed(900, 1), mixed(700, 2), MIXED, statement=statement)


@pytest.fixture(scope="module")
def public(statement):
    return build(None, mixed(700, 2), MIXED, statement=statement)


def test_a_full_report(full):
    assert [c.k for c in full.closeness] == [1, 2, 3]
    assert (full.real_rows, full.synthetic_rows, full.attributes) == (900, 700, 5)
    assert len(full.views) == 5
    assert len(full.pairs.worst) == 4
    assert full.downstream.target == full.regression.target == "member"
    assert full.private
    two = full.closeness[1]
    assert two.copy < two.synthetic.mean
    assert 0 <= two.kept <= 1


def test_a_fresh_draw_is_kept_whole_and_shuffled_columns_are_not():
    table = mixed(4000, 1)
    rng = np.random.default_rng(0)
    shuffled = pa.table({n: table[n].take(rng.permutation(4000)) for n in table.column_names})
    kept = [build(table, t, MIXED, quick=True).closeness[1].kept for t in (table, shuffled)]
    assert kept[0] == 1.0
    assert kept[1] < 0.2


def test_the_page_is_well_formed_and_self_contained(full, public):
    for report in (full, public):
        checker = check(report.html())
        text = " ".join(checker.text)
        for heading in ("Mezzotint", "What was promised", "The ledger", "What was taken as public"):
            assert heading in text
        assert "counts of joined" in text


def test_the_guarantee_stands_on_the_page(full, statement):
    text = " ".join(check(full.html()).text)
    assert statement.sentence() in text
    assert "with and without one person (1 row)" in text


def test_the_page_says_what_each_party_learns(statement):
    """Where several parties made the releases, there is one guarantee for each of them."""
    views = (
        View("public", "", ("the model",), 0.01, 1.0, 1e-9),
        View("key holder", "", ("counts with half of the noise",), 0.02, 1.43, 1e-9),
        View("provider", "leaves the holders' noise out", ("answers",), 0.02, 1.43, 1e-9),
        View("data holder", "", ("its own rows",), None, None, 1e-9),
    )
    plain = " ".join(check(build(None, mixed(50, 2), MIXED, statement=statement).html()).text)
    assert "Who learns what" not in plain
    shared = build(None, mixed(50, 2), MIXED, statement=replace(statement, views=views))
    text = " ".join(check(shared.html()).text)
    assert "Who learns what" in text
    for view in views:
        assert all(words in text for words in (view.role, view.corrupted, *view.sees))
    assert "1.43" in text
    assert "its own data" in text


def test_a_programme_shows_its_epsilon_and_how_its_events_share_it():
    """It is not accounted in zCDP: no rho stands on either page, least of all a 0."""
    programme = Programme((Gaussian(2.0), Gaussian(4.0), SubsampledGaussian(2.0, 0.01, 50)))
    budget = Budget(4.0)
    run = Ledger.memory().begin(budget, mechanism="m", dataset="d", programme=programme)
    run.vector(0, "means", l2=2**30)
    run.vector(1, "spreads", l2=2**30)
    run.training(2, "steps")
    statement = Statement.of(run)
    report = check(build(None, mixed(50, 2), MIXED, statement=statement).html()).text
    spent = f"{programme.epsilon(budget.delta):.4g}"
    assert report[report.index("Spent, as ε of all releases together") + 1] == spent
    rows = ledger_rows(statement)
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert rows[0].share == pytest.approx(4 * rows[1].share, rel=1e-6)
    page = check(certificate_page.render(certificate_of(statement))).text
    for text in (report, page):
        assert not any("ρ" in part for part in text)
        for row in rows:
            assert percent(row.share) in text[text.index(row.about) :]


def certificate_of(statement):
    from mezzotint.privacy.certificate import Certificate
    from mezzotint.privacy.file_digest import FileDigest

    return Certificate(statement, FileDigest("x.npz", 1, "0" * 64), None, (), "2026-01-01T00:00:00")


def test_every_private_figure_wears_a_mark(full):
    html = full.html()
    figures = re.findall(r"<figure([^>]*)>(.*?)</figure>", html, re.S)
    assert len(figures) > 12
    for attributes, body in figures:
        if "Synthetic rows</h3>" in body:
            assert "private" not in attributes
        else:
            assert "private" in attributes
            assert "do not publish" in body
    assert html.count('class="key-figure private"') >= 3
    assert "Private edition: do not publish." in html
    assert "(private: do not publish)</title>" in html


def test_the_public_edition_wears_none(public):
    html = public.html()
    assert 'class="private"' not in html
    assert 'class="card private"' not in html
    assert "do not publish" not in html
    assert "Public edition." in html


def sentinels():
    """Real rows with values that occur nowhere else: a count, a category, a number."""
    n = 8777
    city = ["Bath"] * (n - 61) + ["Graz"] * 61
    return mixed(n, 5).set_column(2, "city", pa.array(city))


def test_the_public_edition_holds_no_real_figure(statement):
    """Built with real rows at hand or without, the public edition is the same to the byte."""
    synthetic = mixed(700, 2)
    options = {"statement": statement, "holdout": mixed(50, 3), "public_only": True}
    with_real = build(sentinels(), synthetic, MIXED, **options)
    without = build(None, synthetic, MIXED, statement=statement)
    for one, two in ((with_real.html(), without.html()), (with_real.to_json(), without.to_json())):
        strip = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d\+00:00)?"
        assert re.sub(strip, "", one) == re.sub(strip, "", two)
        figures = re.sub(r"[0-9a-f]{64}", "", one)  # The ledger's hashes may hold any digits.
        assert "8777" not in figures
        assert "8,777" not in figures
    full = build(sentinels(), synthetic, MIXED, statement=statement, quick=True)
    assert "8,777" in full.html()
    assert "8777" in full.to_json()


def test_the_public_edition_does_not_open_the_real_table():
    class Untouchable:
        columns = MIXED.names
        name = "real"

        def batches(self, columns=None):
            raise AssertionError("opened")

        def like(self, table):
            return table

    build(Untouchable(), mixed(50), MIXED, public_only=True)


def test_the_public_edition_needs_confirmed_facts():
    schema = Schema((Categorical(name="city", categories=("Bath",), from_data=("categories",)),))
    table = {"city": ["Bath"] * 3}
    with pytest.raises(SchemaError, match="taken from the data"):
        build(None, table, schema)
    html = build(table, table, schema, quick=True).html()
    assert "not yet declared public" in html


def test_json_says_what_is_private(full, public):
    content = json.loads(full.to_json())
    assert content["private"]
    assert content["format"] == 1
    for section in ("pairs", "associations", "downstream", "regression"):
        assert content[section]["private"], section
    assert all(c["private"] for c in content["closeness"])
    assert all(v["private"] for v in content["views"])
    assert content["closeness"][1]["synthetic"]["mean"] == full.closeness[1].synthetic.mean
    assert content["statement"]["epsilon"] == 1.0
    open_content = json.loads(public.to_json())
    assert not open_content["private"]
    assert not open_content["associations"]["private"]
    assert open_content["pairs"] is open_content["downstream"] is open_content["real_rows"] is None


def test_hostile_names_and_labels_are_escaped():
    schema = Schema(
        (
            *(Categorical(name=n, categories=tuple(NASTY), missing=None) for n in NASTY[:4]),
            Integer(name=NASTY[6], bounds=(0, 300), bins="exact", missing=None),
        )
    )
    rng = np.random.default_rng(0)
    table = pa.table(
        {a.name: rng.choice(NASTY, 300) for a in schema.attributes[:4]}
        | {NASTY[6]: rng.integers(0, 301, 300)}
    )
    report = build(table, table, schema, title=NASTY[0], target=NASTY[1])
    html = report.html()
    checker = check(html)
    assert "<script" not in html
    assert "onerror" not in "".join(re.findall(r"<[^>]*>", re.sub(r'"[^"]*"', "", html)))
    text = "".join(checker.text)
    assert NASTY[0] in text
    assert NASTY[6] in text
    assert "49" not in re.findall(r"<h3[^>]*>(.*?)</h3>", html)


def test_quick_reports_leave_out_models_and_triples():
    report = build(mixed(200, 1), mixed(200, 2), MIXED, quick=True)
    assert report.downstream is report.regression is None
    assert [c.k for c in report.closeness] == [1, 2]
    assert any("Quick report" in note for note in report.notes)
    check(report.html())


def test_quick_reports_do_not_import_scikit_learn():
    code = (
        "import sys, mezzotint.evaluate as e; assert not set(sys.modules) & "
        "{'sklearn', 'pandas', 'scipy', 'pyarrow', 'jinja2'}, sys.modules.keys();"
        "from tests.evaluate.tables import MIXED, mixed;"
        "e.build(mixed(50), mixed(50, 1), MIXED, quick=True).html();"
        "assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_without_a_statement_nothing_is_promised():
    html = build(mixed(100), mixed(100, 1), MIXED, quick=True).html()
    assert "No privacy statement came with this table" in html


def test_noise_switched_off_is_shouted():
    with Ledger.memory(insecure_noise="off") as ledger:
        run = ledger.begin(Budget(1.0, 1e-9), mechanism="AIM", dataset="people")
        run.gaussian(about="counts", sigma=60.0)
        statement = Statement.of(run)
    html = build(None, mixed(50), MIXED, statement=statement).html()
    assert "<strong>No privacy.</strong>" in html


def test_many_attributes_are_limited_and_said_to_be():
    sizes = {f"x{i:03}": 2 for i in range(200)}
    rng = np.random.default_rng(0)
    real, synthetic = (pa.table({n: rng.integers(0, 2, 40) for n in sizes}) for _ in range(2))
    schema = Schema.from_sizes(sizes)
    report = build(real, synthetic, schema, quick=True)
    assert len(report.views) == 60
    assert len(report.pairs.names) == len(report.associations.names) == 40
    assert any("60 of 200 attributes that differ most" in note for note in report.notes)
    assert len(report.html()) < 4_000_000
    errors = [v.error for v in report.views]
    assert min(errors) >= np.median(errors) - 0.2
    public = build(None, synthetic, schema)
    assert [v.name for v in public.views] == list(sizes)[:60]


def test_one_attribute_one_row_and_constants():
    one = Schema.from_sizes({"x": 3})
    report = build({"x": [1]}, {"x": [2]}, one)
    assert report.pairs is report.associations is None
    assert report.closeness[0].synthetic.mean == 1.0
    check(report.html())
    constant = Schema((Categorical(name="a", categories=("v",)), Integer(name="b", bounds=(7, 7))))
    table = {"a": ["v"] * 50, "b": [7] * 50}
    report = build(table, table, constant)
    assert report.closeness[0].synthetic.mean == 0
    check(report.html())
    check(build({"a": ["v"], "b": [7]}, {"a": [None], "b": [None]}, constant).html())


def test_over_a_hundred_bins():
    schema = Schema((Integer(name="n", bounds=(0, 999), bins="exact"), *MIXED.attributes[:1]))
    rng = np.random.default_rng(0)
    table = pa.table({"n": rng.integers(0, 1000, 3000), "age": rng.integers(0, 100, 3000)})
    check(build(table, table, schema, quick=True).html())


def test_wrong_input_is_named():
    table = mixed(30)
    with pytest.raises(DataError, match=r"the synthetic table .* has no column 'city'"):
        build(table, table.drop_columns(["city"]), MIXED)
    with pytest.raises(DataError, match=r"the synthetic table .* has no rows"):
        build(table, table.slice(0, 0), MIXED)
    with pytest.raises(ParameterError, match=r"'nobody' is no attribute.*one of age, income"):
        build(table, table, MIXED, target="nobody")
    with pytest.raises(ParameterError, match="'nothing' is no attribute"):
        build(table, table, MIXED, predictors=["age", "nothing"])


def test_writing_is_all_or_nothing(full, public, tmp_path):
    page, data = tmp_path / "r.html", tmp_path / "r.json"
    assert full.write(page) == page
    full.write(data)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads(data.read_text(encoding="utf-8"))["title"] == full.title
    assert page.stat().st_mode & 0o077 == 0
    public.write(page)
    assert "Public edition" in page.read_text(encoding="utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.html", "r.json"]


def test_a_place_that_cannot_be_written(full, tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*cannot be written.*Choose another place"):
        full.write(tmp_path / "nowhere" / "r.html")
    folder = tmp_path / "folder.html"
    folder.mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        full.write(folder)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.html"]


def test_a_full_disk_leaves_the_old_file(full, tmp_path, monkeypatch):
    page = tmp_path / "r.html"
    page.write_text("old")

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(DataError, match="No space left on device"):
        full.write(page)
    assert page.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]
