"""Attacks on the Lipschitz VAE's release: an image's noisy code, and its noisy label.

Every image answers for itself, given the encoder: so each row of one release is one run of the
attack. Half of the images are those of world 0, half those of world 1, and the method's own
`release` does all of it, moments and encoder included, with a row of the real ledger. Three claims
are attacked:

* code: of any two images, at (epsilon, delta). The two images are so far apart that their codes,
  shortened to radius R, are 2 R apart.
* metric: the same noise at a distance: two images whose Euclidean distance is 1 (pixels from 0 to
  1) and along which the encoder shortens nothing, against the certificate's epsilon there.
* label: the other half of an answer, by randomised response.

The shuffling is not attacked: what is attacked is what holds without it (`shuffle=False`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mezzotint.audit.attack import ScoredAttack
from mezzotint.audit.bounds import Scores
from mezzotint.audit.claims import Claim, GaussianClaim
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.releases import Release

if TYPE_CHECKING:
    from mezzotint.images.vae.method import Answers, LipschitzVae

SIDE, CLASSES, LATENT = 8, ("0", "1"), 4
DISTANCE = 1.0
# With fewer images the noisy moments do not tell the encoder where the two lie.
_LEAST = 10_000


@dataclass(frozen=True)
class Answered:
    """One release over images of both worlds.

    Attributes:
        answers: What the method released, a row an image.
        rows: The ledger's rows.
        score: Noisy codes along the difference of the two images' codes, in units of the noise.
        apart: How far apart the two codes are, before noise.
    """

    answers: Answers
    rows: tuple[Release, ...]
    score: np.ndarray
    apart: float


def opposite() -> tuple[np.ndarray, np.ndarray]:
    """Two images as different as images can be, uint8 of shape (SIDE, SIDE, 1)."""
    one = np.zeros((SIDE, SIDE, 1), np.uint8)
    one[: SIDE // 2] = 255
    return one, 255 - one


def near() -> tuple[np.ndarray, np.ndarray]:
    """Two dark images that differ by one grey level more or less, about `DISTANCE` apart."""
    one = np.full((SIDE, SIDE, 1), 40, np.uint8)
    two = one + np.uint8(round(DISTANCE * 255 / SIDE))
    return one, two


def answer(method: LipschitzVae, pair: tuple[np.ndarray, np.ndarray], each: int) -> Answered:
    """The method's release on `each` times either image: the first half is of world 0."""
    from mezzotint.images.data import ImageData
    from mezzotint.images.vae.encoder import whole_codes
    from mezzotint.images.work import Work

    pixels = np.repeat(np.stack(pair), each, axis=0)
    data = ImageData(pixels, np.repeat(np.arange(2), each), CLASSES, "made up", population=2 * each)
    programme = method.programme(data.facts, method.budget)
    with Ledger.memory().begin(
        method.budget, mechanism="audit", dataset="made up", programme=programme
    ) as run:
        answers = method.release(data, data.facts, programme, run, Work())
        rows = run.releases
    codes = whole_codes(answers.encoder, np.stack(pair)).astype(np.float64)
    codes *= answers.certificate.code_noise / float(_codes_row(rows).parameters["sigma"])
    change = codes[1] - codes[0]
    apart = float(np.linalg.norm(change))
    # From the middle of the two: another release has another encoder, and other codes.
    score = (answers.codes - codes.mean(axis=0)) @ (change / apart)
    return Answered(answers, rows, score / answers.certificate.code_noise, apart)


@dataclass(frozen=True)
class AnswerAttack(ScoredAttack):
    """One image's answer.

    Attributes:
        part: "code", "metric" or "label".
    """

    part: str
    epsilon: float
    delta: float
    runs: ClassVar[int] = 200_000

    @property
    def name(self) -> str:
        """As the command line calls it."""
        return f"vae-{self.part}"

    @property
    def title(self) -> str:
        """In words."""
        if self.part == "metric":
            return f"Lipschitz VAE, codes of images {DISTANCE:g} apart"
        return f"Lipschitz VAE, {'codes' if self.part == 'code' else 'labels'} of any two images"

    @property
    def attacker(self) -> str:
        """One who knows both worlds."""
        seen = {
            "code": "the noisy code; an image, or its negative",
            "metric": "the noisy code; a dark image, or one a little brighter",
            "label": "the noisy label, which is 0 in one world, 1 in the other",
        }
        return f"sees {seen[self.part]}"

    @property
    def claim(self) -> Claim:
        """The fit's; for near images the certificate's, which is smaller."""
        if self.part != "metric":
            return Claim(self.epsilon, self.delta)
        pair = near()
        distance = float(np.linalg.norm((pair[1].astype(float) - pair[0]) / 255))
        certificate = self._answered(_LEAST).answers.certificate
        return Claim(certificate.epsilon(self.delta, distance), self.delta)

    def visible(self) -> Claim | GaussianClaim:
        """From the ledger's rows: the codes' noise against their distance, and the labels' lie."""
        seen = self._answered(_LEAST)
        if self.part == "metric":
            return GaussianClaim(seen.apart / seen.answers.certificate.code_noise, self.delta)
        if self.part == "code":
            held = _codes_row(seen.rows).parameters
            return GaussianClaim(float(held["l2"]) / float(held["sigma"]), self.delta)
        (row,) = (r for r in seen.rows if r.kind == "randomised-response")
        own, k = float(row.parameters["epsilon"]), int(row.parameters["categories"])
        lie = 1 / (math.exp(own) + k - 1)
        return Claim(math.log((math.exp(own) * lie - self.delta) / lie), self.delta)

    def scores(self, world: int, runs: int) -> Scores:
        """Codes along the difference of the two images, or whether the label is 1."""
        seen = self._answered(runs)
        each = len(seen.score) // 2
        half = slice(world * each, world * each + runs)
        if self.part == "label":
            return (seen.answers.labels[half] == 1).astype(np.float64)
        return seen.score[half]

    def _answered(self, each: int) -> Answered:
        from mezzotint.images.vae.method import LipschitzVae

        # The lowest frequencies shorten no dark image; components are made for the two images.
        encoder = "frequencies" if self.part == "metric" else "components"
        method = LipschitzVae(
            self.epsilon, self.delta, latent=LATENT, encoder=encoder, shuffle=False
        )
        return answer(method, near() if self.part == "metric" else opposite(), max(each, _LEAST))


def _codes_row(rows: tuple[Release, ...]) -> Release:
    """The last vector: an earlier one holds the moments."""
    return [row for row in rows if row.kind == "vector"][-1]
