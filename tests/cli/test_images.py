"""The commands for images, on digits and by a small method that stands for all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mezzotint.cli.image_options import MethodName
from mezzotint.images import generator, registry
from mezzotint.privacy.ledger import Ledger
from tests.images import toy

FIT = ("images", "fit", "digits", "-m", "class-gaussians")


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    monkeypatch.setitem(sys.modules, "mezzotint.images.toy", toy)
    monkeypatch.setitem(generator.KINDS, "toy", "toy:ToyGenerator")
    monkeypatch.setitem(registry.METHODS, "class-gaussians", "toy:Toy")
    monkeypatch.setitem(registry.METHODS, "dp-merf", "toy:Sampled")


def test_the_names_are_those_of_the_registry():
    assert [str(name) for name in MethodName] == list(registry.METHODS)
    assert str(MethodName.MEZZOTINT) == registry.DEFAULT


@pytest.mark.parametrize("words", [(), ("fit",), ("sample",), ("evaluate",), ("plan",)])
def test_help(run, words):
    outcome = run("images", *words, "--help")
    assert outcome.code == 0
    assert "Usage: mezzotint images" in outcome.out


def test_the_main_path(run):
    outcome = run(*FIT, "--epsilon", 3, "-o", "digits.mezzo", "--ledger", "l.db", "--json")
    told = outcome.json
    assert outcome.code == 0
    assert (told["method"], told["dataset"]) == ("toy", "digits")
    assert (told["epsilon"], told["delta"], told["adjacency"]) == (3.0, 1e-5, "add-remove")
    assert told["unit"] == {"name": "image", "rows": 1}
    assert told["private"] is True
    assert 2.9 < told["epsilon_spent"] <= 3
    assert told["facts"]["classes"] == list("0123456789")
    assert told["files"] == {"model": "digits.mezzo", "ledger": "l.db"}
    assert told["ledger"]["runs"] == 1
    assert "(3, 1e-05)-differential privacy" in told["statement"]
    with Ledger.open("l.db") as ledger:
        assert ledger.runs()[0].mechanism == "toy"

    words = ("sample", "digits.mezzo", "-n", 200, "-o", "s.npz", "--sheet", "s.png")
    told = run("images", *words, "--json", "--random-state", 1).json
    assert told["images"] == sum(told["classes"].values()) == 200
    with np.load("s.npz") as drawn:
        assert (drawn["x"].shape, drawn["x"].dtype) == ((200, 8, 8), np.uint8)
        assert drawn["y"].shape == (200,)
    assert Path("s.png").read_bytes().startswith(b"\x89PNG")

    outcome = run(
        *("images", "evaluate", "s.npz", "--real", "digits", "--quick", "--no-ceiling"),
        *("--model", "digits.mezzo", "--report", "r.html", "--json"),
    )
    assert outcome.code == 0
    told = outcome.json
    assert told["private"] is True
    assert [t["classifier"] for t in told["transfers"]][-1] == "CNN"
    assert told["transfers"][0]["real"] is None
    assert 0.5 < told["transfers"][0]["synthetic"]["mean"] <= 1
    assert told["statements"][0]["epsilon"] == 3
    page = Path("r.html").read_text()
    assert "class sums, round 0" in page
    assert "do not publish" in page


def test_a_fit_without_places_makes_its_own(run, fails):
    outcome = run(*FIT, "--epsilon", 3)
    assert outcome.code == 0
    assert Path("digits.mezzo").exists()
    assert Path("digits.png").exists()
    assert "Method:     toy, 1 release" in outcome.out
    assert "Images:     8 x 8 pixels, grey, 10 classes" in outcome.out
    assert "digits.mezzo: it exists already" in fails(2, *FIT)


def test_a_plan(run):
    told = run("images", "plan", "digits", "-m", "class-gaussians", "--epsilon", 2, "--json").json
    assert told["epsilon"] == 2
    assert told["releases"][0]["about"] == "class sums, round 0"
    assert told["epsilon_planned"] <= 2
    outcome = run("images", "plan", "digits", "-m", "dp-merf")
    assert outcome.code == 0
    assert "not declared (--population): bought first" in " ".join(outcome.out.split())
    assert "SubsampledGaussian" in outcome.out


def test_a_plan_shows_the_critics_training(run):
    method = "images", "plan", "digits", "-m", "mezzotint", "--population", 1500, "--json"
    told = run(*method, "--set", "fine_tune=5").json
    last = told["releases"][-1]
    assert (last["about"], last["event"]) == ("training of the critic", "SubsampledGaussian")
    assert told["epsilon_planned"] <= told["epsilon"]
    assert all(release["event"] == "Gaussian" for release in run(*method).json["releases"])


def test_settings(run, fails):
    words = (*FIT, "-o", "m.mezzo", "--json")
    settings = ("--set", "spread=7", "--set", "rounds=2", "--set", "tidy=no", "--set", "remark=a=b")
    told = run(*words, *settings).json
    assert told["settings"] == {"spread": 7.0, "rounds": 2, "tidy": False, "remark": "a=b"}
    assert run(*words, "--set", "remark=none").json["settings"]["remark"] == "none"
    Path("m.mezzo").unlink()
    for setting, message in (
        ("width=3", "takes spread=20.0, rounds=1, tidy=true, remark=none"),
        ("rounds", "takes spread"),
        ("rounds=1.5", "'1.5' is no whole number"),
        ("spread=wide", "'wide' is no number"),
        ("tidy=maybe", "'maybe' is no yes or no"),
    ):
        assert message in fails(2, *FIT, "-o", "m.mezzo", "--set", setting)


def test_labels_and_classes(run, fails):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (40, 9, 8, 3)).astype(np.uint8)
    attr = np.where(rng.random((40, 2)) < 0.5, 1, -1)
    np.savez("faces.npz", x=x, attr=attr, attr_names=np.array(["Male", "Bald"]))
    words = ("images", "fit", "faces.npz", "-m", "class-gaussians", "-o", "f.mezzo")
    assert "such as --label Male" in fails(2, *words)
    assert "did you mean 'Bald'" in fails(2, *words, "--label", "bold")
    told = run(*words, "--label", "Male", "--json").json
    assert told["facts"]["classes"] == ["not Male", "Male"]
    assert run("images", "sample", "f.mezzo", "--label", "Male", "-n", 5, "-o", "s.npz").code == 0
    with np.load("s.npz") as drawn:
        assert drawn["y"].tolist() == [1] * 5
        assert drawn["x"].shape == (5, 9, 8, 3)
    message = fails(2, "images", "sample", "f.mezzo", "--label", "Mail", "-o", "t.npz")
    assert "did you mean" in message


def test_declared_classes(run, fails):
    words = (*FIT, "-o", "m.mezzo")
    names = "zero,one,two,three,four,five,six,seven,eight,nine"
    assert "a name is empty" in fails(2, *words, "--classes", "a,,b")
    x = np.zeros((20, 8, 8), np.uint8)
    np.savez("d.npz", x=x, y=np.arange(20) % 10)
    told = run("images", "fit", "d.npz", *words[3:], "--classes", names, "--json").json
    assert told["facts"]["classes"] == names.split(",")


def test_a_checkpoint(run, fails):
    words = (*FIT, "-o", "m.mezzo", "--checkpoint", "keep")
    assert "give a ledger in a file" in fails(2, *words)
    for _ in range(2):
        assert run(*words, "--ledger", "l.db").code == 0
    with Ledger.open("l.db") as ledger:
        assert len(ledger.runs()) == 1
    message = run(*words, "--ledger", "l.db", "--epsilon", 5)
    assert message.code == 2
    assert "a fit with other epsilon" in message.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*FIT[:2], "none.npz", *FIT[3:], "-o", "m.mezzo"), "there is no such file or folder"),
        ((*FIT[:2], "data.csv", *FIT[3:], "-o", "m.mezzo"), "neither an npz nor an IDX file"),
        ((*FIT, "-o", "m.mezzo", "--epsilon", "0"), "epsilon"),
        ((*FIT, "-o", "m.mezzo", "--delta", "2"), "delta"),
        ((*FIT, "-o", "m.mezzo", "--device", "tpu"), "give 'cpu', 'cuda'"),
        ((*FIT, "-o", "m.mezzo", "--device", "cuda:77"), "there is no such GPU here"),
        ((*FIT, "-o", "nowhere/m.mezzo"), "there is no directory"),
        ((*FIT, "-o", "m.mezzo", "--sheet", "s.jpg"), "ends in .png"),
        ((*FIT, "-o", "m.png", "--sheet", "m.png"), "needed for something else"),
        (("images", "fit", "digits", "-m", "gan", "-o", "m.mezzo"), "gan"),
        ((*FIT, "-o", "m.mezzo", "--label", "Male"), "no attributes to choose from"),
    ],
)
def test_bad_input(fails, words, message):
    assert message in fails(2, *words)


def test_bad_images(fails):
    rng = np.random.default_rng(0)
    x = rng.random((20, 8, 8))
    np.savez("nan.npz", x=np.where(x < 0.1, np.nan, x), y=np.arange(20) % 2)
    np.savez("labels.npz", x=x, y=np.arange(19) % 2)
    words = ("-m", "class-gaussians", "-o", "m.mezzo")
    assert "hold NaN or infinity" in fails(2, "images", "fit", "nan.npz", *words)
    assert "20 images and 19 labels" in fails(2, "images", "fit", "labels.npz", *words)


def test_bad_models(run, fails):
    assert "there is no such file" in fails(1, "images", "sample", "m.mezzo", "-o", "s.npz")
    Path("m.mezzo").write_text("hello")
    assert "no intact Mezzotint model" in fails(1, "images", "sample", "m.mezzo", "-o", "s.npz")
    run("fit", "data.csv", "-s", "schema.yaml", "-o", "t.mezzo", "-m", "independent")
    assert "not an image model" in fails(1, "images", "sample", "t.mezzo", "-o", "s.npz")
    run(*FIT, "-o", "i.mezzo")
    assert "not a table model" in fails(1, "sample", "i.mezzo", "-o", "s.csv")
    assert "ends in .npz" in fails(2, "images", "sample", "i.mezzo", "-o", "s.csv")


def test_sets_that_differ(run, fails):
    np.savez("s.npz", x=np.zeros((20, 9, 9), np.uint8), y=np.arange(20) % 2)
    message = fails(2, "images", "evaluate", "s.npz", "--real", "digits")
    assert "images of 9 x 9 pixels" in message


def test_memory_and_bugs(monkeypatch, fails):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(toy.Toy, "train", exhausted)
    assert "--micro-batch 64" in fails(1, *FIT, "-o", "m.mezzo")


def test_what_was_spent_stays_booked(monkeypatch, run):
    def diverging(self, released, facts, work):
        work.require_finite("training the generator", float("nan"))

    monkeypatch.setattr(toy.Toy, "train", diverging)
    outcome = run(*FIT, "-o", "m.mezzo", "--ledger", "l.db", "--json")
    assert outcome.code == 1
    assert "has diverged" in json.loads(outcome.out)["error"]["message"]
    with Ledger.open("l.db") as ledger:
        assert ledger.account("digits").runs == 1
        assert len(ledger.releases(ledger.runs()[0].id)) == 1


def test_pytorch_finds_its_way_in_a_true_process(place):
    """Its optimisers ask where pandas is; what keeps pyarrow from it must not keep them."""
    code = (
        "import sys; from mezzotint.cli.app import run;"
        "run(['plan', '-s', 'schema.yaml', '-q'], own_process=True);"
        "import pyarrow, torch; pyarrow.array([1]);"
        "torch.optim.AdamW(torch.nn.Linear(1, 1).parameters());"
        "print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
