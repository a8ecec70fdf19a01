"""Who sees what of a job, and the guarantee against each: from the key holder's ledger alone.

Every measurement has the noise of all parties. Who gets the answers sees the whole of it. The key
holder knows its own share, so only the data holders' share protects against it. A provider that
leaves the data holders' share out is protected against by the key holder's alone. A data holder
knows its own share, and what it has encrypted itself.

References:
    Kairouz, Liu, Steinke 2021 for sums of shares (see `mezzotint.privacy.shared`).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mezzotint.encrypted.job import Job
from mezzotint.privacy import shared
from mezzotint.privacy.releases import Release, epsilon_of, rho_of, units_rounded_up
from mezzotint.privacy.views import View

NOISY = "the released model and the noisy answers that it stands on"


def views(job: Job, releases: Sequence[Release]) -> tuple[View, ...]:
    """The view of every role, and of each of the first two that cheats.

    Args:
        job: the job.
        releases: what the key holder's ledger holds of it.
    """
    nominal = sum(release.units for release in releases)
    own = sum(_without_others(release) for release in releases)
    marked = job.integral and not job.scored
    cheat = (
        "leaves the holders' noise out" if job.levels else "asks for more than the mechanism would"
    )
    limit = (
        "sums of ciphertexts that no job plans are found by their marks and refused"
        if marked
        else "products carry no marks: this row covers a provider that leaves noise out, and not "
        "one that multiplies what it was sent"
    )
    table = [
        _view(job, "public", "", (NOISY,), nominal),
        _view(job, "provider", "", (NOISY, "ciphertexts, which hide what they hold"), nominal),
        _view(job, "provider", cheat, (NOISY, limit), own),
    ]
    if job.keyholder == "holder":
        table.append(
            View("key holder", "", ("its own data",), None, None, job.delta),
        )
        return tuple(table)
    others = sum(_without_own(release) for release in releases)
    sums = "each planned sum with the holders' noise, and its own noise; nothing else decrypts"
    if job.scored:
        sums += ". A squared distance of every candidate is such a sum, and each is charged for"
    table += [
        _view(job, "key holder", "", (sums,), others),
        _view(
            job,
            "key holder",
            "leaves its own noise out, or tells it",
            (sums, "the public then sees no more than the key holder does"),
            others,
        ),
    ]
    holders = len(job.parties)
    if holders > 1:
        rest = sum(_without_one(release, holders) for release in releases)
        table.append(
            _view(job, "one holder", "tells its data and its noise", (NOISY, "its own part"), rest)
        )
    return tuple(table)


def _view(job: Job, role: str, corrupted: str, sees: tuple[str, ...], units: int) -> View:
    epsilon = epsilon_of(units, job.delta)
    return View(role, corrupted, sees, rho_of(units), epsilon, job.delta)


def scales(release: Release) -> tuple[float, tuple[float, ...]]:
    """The key holder's own scale, and the others'."""
    if release.kind != shared.KIND:
        return float(release.parameters["sigma"]), ()
    named = [name for name in release.parameters if name.startswith("other_")]
    others = tuple(float(release.parameters[name]) for name in sorted(named))
    return float(release.parameters["own"]), others


def _units(release: Release, left: Sequence[float]) -> int:
    if release.kind not in (shared.KIND, "gaussian"):
        return release.units
    l2_squared = int(release.parameters["l2_squared"])
    cells = int(release.parameters.get("cells", 1))
    return units_rounded_up(shared.cost(left, l2_squared, cells))


def _without_others(release: Release) -> int:
    return _units(release, [scales(release)[0]])


def _without_own(release: Release) -> int:
    _, others = scales(release)
    return _units(release, others) if others else release.units


def _without_one(release: Release, holders: int) -> int:
    """The cost where one of several holders tells its share; every stock is in equal shares."""
    own, others = scales(release)
    if not others:
        return release.units
    others_left = sum((Fraction(s) ** 2 for s in others), Fraction(0)) * (holders - 1) / holders
    left = Fraction(own) ** 2 + others_left
    l2_squared, cells = int(release.parameters["l2_squared"]), int(release.parameters["cells"])
    return units_rounded_up(
        Fraction(l2_squared) / (2 * left) + shared.excess((own, *others), cells)
    )
