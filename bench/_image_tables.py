"""From results on images to Markdown, with the published figures beside ours.

docs/benchmarks.md is written by hand around blocks of the form

    <!-- images: mnist -->
    ...
    <!-- end -->

and rendering replaces what stands between the two marks.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

BLOCK = re.compile(r"(<!-- images: (?P<data>[a-z]+) -->\n).*?(<!-- end -->)", re.S)
RENDERED = ("mnist", "fashion", "celeba", "digits")

# Accuracy of a CNN trained on synthetic images at eps 1 and 10, percent, as the papers report it
# (or DPImageBench, Gong et al. 2025, for them); their classifiers and protocols differ.
PUBLISHED = {
    "mnist": (
        ("FETA-Pro (43 GPU-hours)", 97.3, 98.6),
        ("DP-FETA (about 70 GPU-hours)", 95.6, 98.1),
        ("DPDM", 95.3, 98.1),
        ("Private GANs, revisited (8 GPU-hours)", None, 95.0),
        ("DP-GAN", 92.4, 92.7),
        ("NDPDC (50 images a class)", 94.1, None),
        ("DP-Kernel", 94.0, 93.6),
        ("DP-Sinkhorn", None, 83.2),
        ("DP-MERF", 80.3, 81.3),
        ("GS-WGAN", 72.4, 75.3),
        ("DP-SGD classifier, no synthetic images", 88.2, 96.4),
    ),
    "fashion": (
        ("FETA-Pro (27 GPU-hours)", 83.4, 88.3),
        ("DP-FETA", 81.7, 87.3),
        ("DPDM", 79.4, 86.2),
        ("DP-GAN", 71.8, 70.3),
        ("NDPDC (50 images a class)", 78.8, None),
        ("DP-Kernel", 68.4, 70.0),
        ("DP-Sinkhorn", None, 71.1),
        ("DP-MERF", 62.2, 62.2),
        ("GS-WGAN", 52.7, 56.7),
        ("DP-SGD classifier, no synthetic images", 70.5, 77.1),
    ),
    "celeba": (
        ("FETA-Pro (all 200,000 images)", 90.0, 94.6),
        ("DPDM (all 200,000 images)", 74.5, 91.8),
    ),
}

_OURS = ("method", "eps", "CNN", "MLP", "logistic", "LeNet-FID", "coverage", "CPU s", "GPU",
         "peak MB", "runs")  # fmt: skip


def markdown(records: Sequence[dict[str, Any]]) -> str:
    """One table a data set."""
    known = [name for name in RENDERED if any(r["data"] == name for r in records)]
    return "\n\n".join(f"{name}\n\n{_ours(records, name)}" for name in known)


def render(records: Sequence[dict[str, Any]], document: Path) -> None:
    """Replaces every block of the document by what the results say now."""

    def block(match: re.Match[str]) -> str:
        name = match["data"]
        parts = [_ours([r for r in records if not r["quick"]], name)]
        if name in PUBLISHED:
            parts.append("Published, CNN accuracy in percent:\n\n" + _published(name))
        return (
            f"{match[1]}{chr(10).join([parts[0], *[chr(10) + p for p in parts[1:]]])}\n{match[3]}"
        )

    document.write_text(BLOCK.sub(block, document.read_text()))


def _ours(records: Sequence[dict[str, Any]], name: str) -> str:
    chosen = [r for r in records if r["data"] == name]
    if not chosen:
        return "Ours: not measured yet."
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for record in chosen:
        key = (record["epsilon"], record["device"], record["method"], tuple(record["settings"]))
        groups.setdefault(key, []).append(record)
    order = sorted(groups, key=lambda key: (key[0], key[1], _best(groups[key])))
    rows = [_row(key, groups[key]) for key in order]
    ended = [r for r in chosen if r["status"] == "ok"]
    if ended:
        rows += _ceiling(ended[-1])
    return _table(_OURS, rows)


def _best(records: Sequence[dict[str, Any]]) -> float:
    return -max((r["accuracy"]["CNN"]["mean"] for r in records if r["status"] == "ok"), default=0)


def _row(key: tuple, records: Sequence[dict[str, Any]]) -> list[str]:
    epsilon, device, method, settings = key
    name = method + (f" ({', '.join(settings)})" if settings else "")
    ended = [r for r in records if r["status"] == "ok"]
    if not ended:
        last = records[-1]
        return [name, f"{epsilon:g}", last["status"], "", "", "", "", f"{last['cpu']:.0f}", "",
                f"{last['peak_mb']:.0f}", "0"]  # fmt: skip
    gpu = ended[-1]["machine"].get("gpu")
    return [
        name,
        f"{epsilon:g}",
        *(
            _accuracy(r["accuracy"][c] for r in ended)
            for c in ("CNN", "MLP", "logistic regression")
        ),
        f"{fmean(r['distances'][0]['frechet'] for r in ended):.1f}",
        f"{fmean(r['overlaps'][1]['synthetic']['coverage'] for r in ended):.2f}",
        f"{fmean(r['cpu'] for r in ended):.0f}",
        f"{gpu}, {fmean(r['wall'] for r in ended):.0f} s" if device != "cpu" else "",
        f"{max(r['peak_mb'] for r in ended):.0f}",
        str(len(ended)),
    ]


def _ceiling(record: dict[str, Any]) -> list[list[str]]:
    floor = record["overlaps"][1]["floor"]["coverage"]
    accuracies = [_accuracy([record["ceiling"][c]]) for c in ("CNN", "MLP", "logistic regression")]
    frechet = record["distances"][0]["frechet_floor"]
    return [
        ["*real training images: the ceiling*", "", *accuracies, "", "", "", "", "", ""],
        ["*real test images: the floor*", "", "", "", "", f"{frechet:.1f}", f"{floor:.2f}",
         "", "", "", ""],
    ]  # fmt: skip


def _accuracy(scores: Iterable[dict[str, Any]]) -> str:
    """The mean, and the spread: over several fits, or over the classifier seeds of a single one."""
    means, spreads = zip(*((100 * s["mean"], s["spread"]) for s in scores), strict=True)
    spread = stdev(means) if len(means) > 1 else spreads[0] and 100 * spreads[0]
    return f"{fmean(means):.1f}" + (f" ± {spread:.1f}" if spread is not None else "")


def _published(name: str) -> str:
    rows = [
        [method, *("–" if v is None else f"{v:.1f}" for v in values)]
        for method, *values in PUBLISHED[name]
    ]
    return _table(("method", "eps 1", "eps 10"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
