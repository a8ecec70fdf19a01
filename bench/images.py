"""Private image generators side by side: ours and what was published, one command.

    python bench/images.py --device cpu --quick                # digits, a tenth of the training
    python bench/images.py --device cpu                        # every method on every data set
    python bench/images.py --method mezzotint --data mnist --epsilon 1
    python bench/images.py --render                            # results -> docs/benchmarks.md

Every fit is a process of its own (`mezzotint images fit`), one at a time, measured from outside:
CPU seconds with all its threads and children, and peak memory. Every model is judged by the same
evaluator on the same number of synthetic images. Runs are appended to a results file as they end.
The number of training images is declared public, as the literature does.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from _image_tables import markdown, render
from _measure import machine, measure

HERE = Path(__file__).parent
DEFAULT_DATA = HERE.parent.parent / "shared" / "data" / "images"
RESULTS = HERE / "results" / "images.jsonl"
DOCUMENT = HERE.parent / "docs" / "benchmarks.md"
DELTA = 1e-5
SAMPLES = 30_000
METHODS = (
    "class-gaussians",
    "mezzotint",
    "latent-diffusion",
    "ef-gan",
    "dp-merf",
    "dp-sinkhorn",
    "lipschitz-vae",
)
CLI = (sys.executable, "-m", "mezzotint", "images")


@dataclass(frozen=True)
class Problem:
    """A data set, and the budgets on it.

    Attributes:
        name: As the command line here calls it.
        file: Its file among the shared data; None for scikit-learn's digits.
        epsilons: Budgets.
        label: The attribute that is the label, if there are several.
    """

    name: str
    file: str | None
    epsilons: tuple[float, ...]
    label: str | None = None


PROBLEMS = {
    p.name: p
    for p in (
        Problem("digits", None, (3.0,)),
        Problem("mnist", "mnist.npz", (1.0, 10.0)),
        Problem("fashion", "fashion_mnist.npz", (1.0, 10.0)),
        Problem("celeba", "celeba_10k_32.npz", (10.0,), label="Male"),
    )
}


def main() -> int:
    """Runs what is asked for and is not there yet; prints the table."""
    options = parse()
    if options.render:
        render(read(options.results), DOCUMENT)
        return 0
    names = options.data or (["digits"] if options.quick else ["mnist", "fashion", "celeba"])
    with tempfile.TemporaryDirectory(prefix="mezzotint-images-") as folder:
        for name in names:
            problem = PROBLEMS[name]
            data, population, digest = prepare(problem, options.data_dir, Path(folder))
            for epsilon in options.epsilon or problem.epsilons:
                for method in options.method or METHODS:
                    run = Run(problem, method, epsilon, options, data, population, digest)
                    for _ in range(run.missing()):
                        said = f"{name}, {method}, epsilon {epsilon:g} ..."
                        print(said, file=sys.stderr, flush=True)
                        append(run.record(Path(folder)), options.results)
    found = read(options.results)
    print(json.dumps(found) if options.json else markdown(found))
    return 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--quick", action="store_true", help="digits, a tenth of the training")
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--data", action="append", choices=list(PROBLEMS))
    parser.add_argument("--epsilon", action="append", type=float)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--seeds", type=int, default=3, help="of the classifiers")
    parser.add_argument("--runs", type=int, default=1, help="fits of each method")
    parser.add_argument("--threads", type=int, help="a process; by default PyTorch chooses")
    parser.add_argument("--minutes", type=float, default=60.0, help="of CPU, a fit at most")
    parser.add_argument("--fresh", action="store_true", help="run again what is there")
    parser.add_argument("--data-dir", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--render", action="store_true", help="write docs/benchmarks.md")
    return parser.parse_args()


def prepare(problem: Problem, data_dir: Path, folder: Path) -> tuple[str, int, str]:
    """Where the data lies, its number of training images, and a digest of its content."""
    from mezzotint.images.reading import read_images

    if problem.file is None:
        images = read_images("digits")
        place = "digits"
    else:
        place = str(data_dir / problem.file)
        images = read_images(place, label=problem.label)
        if images.test is None:
            # By place, not by content: every fifth image is for testing.
            tested = np.arange(len(images.train)) % 5 == 4
            train, test = images.train.take(~tested), images.train.take(tested)
            place = str(folder / f"{problem.name}.npz")
            np.savez(
                place, x_train=train.x, y_train=train.y, x_test=test.x, y_test=test.y,
                class_names=np.array(train.classes),
            )  # fmt: skip
            images = read_images(place)
    digest = hashlib.sha256(images.train.fingerprint() + images.test.fingerprint()).hexdigest()
    return place, len(images.train), digest[:16]


@dataclass(frozen=True)
class Run:
    """One fit of one method, and its judgement."""

    problem: Problem
    method: str
    epsilon: float
    options: argparse.Namespace
    data: str
    population: int
    digest: str

    @property
    def settings(self) -> list[str]:
        """What is set beside the method's own defaults."""
        return [*self.options.set, *(["effort=0.1"] if self.options.quick else [])]

    @property
    def environment(self) -> dict[str, str]:
        """Variables of every process that is started."""
        threads = self.options.threads
        return {} if threads is None else {"OMP_NUM_THREADS": str(threads)}

    def missing(self) -> int:
        """How many such runs are asked for and have not ended well yet."""
        done = [r for r in read(self.options.results) if r["status"] == "ok" and self.same(r)]
        return max(0, self.options.runs - (0 if self.options.fresh else len(done)))

    def same(self, record: dict[str, Any]) -> bool:
        """Whether a record answers the same question."""
        asked = self.question()
        return all(record[name] == asked[name] for name in asked)

    def question(self) -> dict[str, Any]:
        """What a record is about."""
        return {
            "data": self.problem.name,
            "digest": self.digest,
            "method": self.method,
            "epsilon": self.epsilon,
            "delta": DELTA,
            "device": self.options.device,
            "quick": self.options.quick,
            "settings": sorted(self.settings),
        }

    def record(self, folder: Path) -> dict[str, Any]:
        """Fits, draws, judges."""
        model, drawn = folder / "model.mezzo", folder / "drawn.npz"
        words = [*CLI, "fit", self.data, "--method", self.method, "--epsilon", self.epsilon,
                 "--delta", DELTA, "--population", self.population, "-o", model, "--json",
                 "--device", self.options.device]  # fmt: skip
        for setting in self.settings:
            words += ["--set", setting]
        measured = measure(
            [str(word) for word in words],
            cpu_limit=60 * self.options.minutes,
            env=self.environment,
            keep_output=1 << 20,
        )
        made = self.question() | {
            "wall": measured.wall,
            "cpu": measured.cpu,
            "peak_mb": measured.peak_mb,
            "threads": self.options.threads,
            "machine": machine() | {"gpu": gpu() if self.options.device != "cpu" else None},
        }
        if not measured.ok:
            last = (measured.stderr.strip().splitlines() or [""])[-1]
            return made | {"status": "timeout" if measured.timed_out else "failed", "note": last}
        told = json.loads(measured.stdout.strip().splitlines()[-1])
        made |= {"guarantee": {name: told[name] for name in
                               ("epsilon", "delta", "adjacency", "unit", "epsilon_spent")},
                 "fitted": told["settings"]}  # fmt: skip
        samples = 1000 if self.options.quick else SAMPLES
        said = subprocess.run(
            [*CLI, "sample", str(model), "-n", str(samples), "-o", str(drawn), "--json"],
            capture_output=True, text=True, check=False, env={**os.environ, **self.environment},
        )  # fmt: skip
        if said.returncode:
            return made | {"status": "failed", "note": said.stderr.strip()}
        ceilings = self.ceilings()
        judged = subprocess.run(
            [*CLI, "evaluate", str(drawn), "--real", self.data, "--json", "--seeds",
             str(self.options.seeds), *(["--quick"] if self.options.quick else []),
             *(["--no-ceiling"] if ceilings else [])],
            capture_output=True, text=True, check=False, env={**os.environ, **self.environment},
        )  # fmt: skip
        if judged.returncode:
            return made | {"status": "failed", "note": judged.stderr.strip()}
        figures = json.loads(judged.stdout)
        found = {t["classifier"]: t for t in figures["transfers"]}
        return made | {
            "status": "ok",
            "samples": samples,
            "evaluator": evaluator(),
            "accuracy": {name: _short(t["synthetic"]) for name, t in found.items()},
            "ceiling": ceilings or {name: _short(t["real"]) for name, t in found.items()},
            "overlaps": figures["overlaps"],
            "distances": figures["distances"],
            "neighbours": figures["neighbours"],
        }

    def ceilings(self) -> dict[str, Any] | None:
        """Accuracies of the same classifiers on real images, if some run has found them."""
        for record in read(self.options.results):
            if record["status"] == "ok" and (
                record["digest"] == self.digest
                and record["evaluator"] == evaluator()
                and record["quick"] == self.options.quick
                and len(record["ceiling"]["CNN"]["runs"])
                >= (1 if self.options.quick else self.options.seeds)
            ):
                return record["ceiling"]
        return None


def _short(accuracy: dict[str, Any]) -> dict[str, Any]:
    return {name: accuracy[name] for name in ("runs", "mean", "spread", "by_class")}


def evaluator() -> str:
    """A digest of what decides a ceiling: the classifiers and their training."""
    from mezzotint.evaluate.images import recipes, transfer

    text = b"".join(Path(str(module.__file__)).read_bytes() for module in (recipes, transfer))
    return hashlib.sha256(text).hexdigest()[:12]


def gpu() -> str | None:
    """The GPU's name."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def read(path: Path) -> list[dict[str, Any]]:
    """All records."""
    return list(_lines(path)) if path.exists() else []


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        if line.strip():
            yield json.loads(line)


def append(record: dict[str, Any], path: Path) -> None:
    """Adds a record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    sys.exit(main())
