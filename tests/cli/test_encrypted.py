"""keys, encrypt, submit --plan, demo --encrypted: what they write, tell and refuse."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from mezzotint.cli import demo

SUBMIT = ("--provider", "http://127.0.0.1:1", "--keyholder", "http://127.0.0.1:2")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Keys, made once."""
    from mezzotint.encrypted.keys import create

    folder = tmp_path_factory.mktemp("keys") / "keys"
    create(folder)
    return folder


def test_keys_are_for_their_owner_only(run):
    outcome = run("keys", "create", "--out", "keys", "--json")
    assert outcome.code == 0
    assert outcome.json["files"] == {
        "secret": "keys/secret", "invitation": "keys/invitation", "public": "keys/public",
    }  # fmt: skip
    for path in (Path("keys/secret"), *Path("keys/secret").iterdir(), Path("keys/invitation")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert run("keys", "create", "--out", "keys").code == 2


@pytest.mark.parametrize("layout", ["marginals", "records"])
def test_an_upload_tells_nothing_but_public_facts(run, made, layout):
    """Another table within the same maximum gives files of the same names and sizes."""
    told = []
    for name, rows in (("one", 300), ("two", 120)):
        Path(f"{name}.csv").write_text(
            "\n".join(Path("data.csv").read_text().splitlines()[: rows + 1]) + "\n"
        )
        outcome = run(
            "encrypt", f"{name}.csv", "--schema", "schema.yaml", "--keys", made / "public",
            "--layout", layout, "-o", name, "--dataset", "people", "--json",
        )  # fmt: skip
        assert outcome.code == 0, outcome.err
        assert outcome.json["rows_at_most"] == 1024
        sent = [p for p in Path(name).rglob("*") if p.is_file() and "private" not in p.parts]
        told.append({p.relative_to(name): p.stat().st_size for p in sent})
        assert stat.S_IMODE(Path(name, "private").stat().st_mode) & 0o077 == 0
    manifest = Path("manifest.json")
    assert told[0].keys() == told[1].keys()
    for path in told[0].keys() - {manifest}:
        assert abs(told[0][path] - told[1][path]) <= told[0][path] * 0.01, path


def test_a_plan_is_shown_before_anything_is_sent(run, made):
    """Nobody listens at the services' addresses."""
    run("encrypt", "data.csv", "--schema", "schema.yaml", "--keys", made / "public", "-o", "up")
    outcome = run("submit", "up", *SUBMIT, "--epsilon", "1", "-o", "m.mezzo", "--plan", "--json")
    assert outcome.code == 0, outcome.err
    plan = outcome.json["plan"]
    assert plan["products"] == 0
    assert plan["upload_bytes"] > plan["noise_bytes"] > 0
    views = {(view["role"], view["corrupted"]): view for view in plan["views"]}
    assert views["public", ""]["epsilon"] == pytest.approx(1, rel=1e-3)
    assert views["key holder", ""]["rho"] == pytest.approx(2 * views["public", ""]["rho"], rel=1e-6)
    words = run("submit", "up", *SUBMIT, "-o", "m.mezzo", "--plan").out
    assert "key holder  nobody" in words
    assert not Path("m.mezzo").exists()


def test_who_holds_its_own_keys_needs_no_noise_in_the_upload(run, made):
    run("encrypt", "data.csv", "--schema", "schema.yaml", "--keys", made / "public", "-o", "up")
    words = ("submit", "up", *SUBMIT, "-o", "m.mezzo", "--plan", "--key-holder-is", "holder")
    outcome = run(*words, "--json")
    assert outcome.json["plan"]["noise_bytes"] == 0
    assert outcome.json["plan"]["views"][-1]["epsilon"] is None
    assert "its own data" in run(*words).out


def test_what_is_wrong_is_named_before_anything_is_written(run, made, fails):
    words = ("encrypt", "data.csv", "--schema", "schema.yaml", "--keys")
    assert "manifest" in fails(2, *words, "nowhere", "-o", "up")
    assert "more rows than that" in fails(
        2, *words, made / "public", "-o", "up", "--rows-at-most", "10"
    )
    assert "there is no directory" in fails(2, *words, made / "public", "-o", "a/b/up")
    assert "something is there" in fails(2, *words, made / "public", "-o", ".")
    assert "several holders" not in run(*words, made / "public", "-o", "up").err
    assert "this is no service's address" in fails(
        2, "submit", "up", "--provider", "nowhere", "--keyholder", "http://h", "-o", "m"
    )
    assert "manifest" in fails(2, "submit", "other", *SUBMIT, "-o", "m")


def test_a_demonstration_of_all_roles(run, monkeypatch):
    monkeypatch.setattr(demo, "ROWS", 300)
    outcome = run("demo", "--encrypted", "--mechanism", "independent", "--out", "d", "--json")
    assert outcome.code == 0, outcome.err
    told = outcome.json
    assert told["private"] is True
    assert {view["role"] for view in told["views"]} == {"public", "provider", "key holder"}
    assert Path(told["files"]["synthetic"]).read_text().startswith("visit_date,age,sex")
    page = Path(told["files"]["report"]).read_text()
    assert "Who learns what" in page
    shown = run("ledger", "show", "d/roles/keyholder/ledger.db", "--json").json
    assert shown["runs"][0]["views"] == told["views"]
    assert run("demo", "--encrypted", "--mechanism", "independent", "--out", "d", "-q").code == 0
    Path("e/roles").mkdir(parents=True)
    assert run("demo", "--encrypted", "--out", "e").code == 2
    assert json.loads(run("sample", "d/model.mezzo", "-o", "rows.csv", "--json").out)["rows"] > 0
