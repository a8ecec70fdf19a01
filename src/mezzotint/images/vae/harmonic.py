"""What a Lipschitz encoder and decoder with fixed noise guarantee for one image.

Theorem. Let f be L_E-Lipschitz, g L_D-Lipschitz, P the projection on the ball of radius R, and
M(x) = g(P f(x) + s u) + t v with independent standard normal u, v. Then for every order a > 1

    D_a(M(x) || M(x')) <= a D^2 / (2 (s^2 + t^2 / L_D^2)),    D = min(L_E |x - x'| + r, 2 R),

where r is what cutting codes to their grid adds to a distance, at most: below one step in every
coordinate.

Proof. Write the code of x as z = y + w with y ~ N(P f(x) - w, s^2), and that of x' as
y' ~ N(P f(x'), s^2). By composition, (y, answer) and (y', answer') differ by at most the
divergence of y and y', a |P f(x) - w - P f(x')|^2 / (2 s^2), plus the largest one of
N(g(y + w), t^2) and N(g(y), t^2), a L_D^2 |w|^2 / (2 t^2). Forgetting y is post-processing. With w
on the way from P f(x') to P f(x), of the best length, the two make a D^2 / (2 (s^2 + t^2 / L_D^2)).
For t = 0, or where the code itself is published, it is the Gaussian mechanism.

This is privacy in a metric (Chatzikokolakis et al. 2013): images close to each other are hard to
tell apart. It is (epsilon, delta)-DP for replacing an image by any other only through D <= 2 R, and
a figure "at distance 1" says nothing about images that are 10 apart: a person's image and anybody
else's. Both are stated, and never one for the other.

References: Gross, Wunder. Differentially Private Synthetic Data Generation via
    Lipschitz-Regularised Variational Autoencoders. 2023.
    Mironov. Renyi Differential Privacy. CSF 2017 (composition).
    Chatzikokolakis et al. Broadening the Scope of Differential Privacy Using Metrics. PETS 2013.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from mezzotint.privacy.zcdp import zcdp_epsilon


@dataclass(frozen=True)
class Certificate:
    """Certified constants of one image's answer. Public.

    Attributes:
        encoder: L_E, in code units per unit of distance between images (pixels run from 0 to 1,
            the distance is Euclidean).
        radius: R, in code units.
        code_noise: s.
        decoder: L_D; it counts only where pixels with noise are what is published.
        pixel_noise: t; 0 where the code is.
        rounding: r; 0 where codes are not cut to a grid.
    """

    encoder: float
    radius: float
    code_noise: float
    decoder: float = 1.0
    pixel_noise: float = 0.0
    rounding: float = 0.0

    @property
    def variance(self) -> float:
        """s^2 + t^2 / L_D^2: what hides the code."""
        if self.pixel_noise == 0:
            return self.code_noise**2
        if self.decoder == 0:
            return inf
        return self.code_noise**2 + (self.pixel_noise / self.decoder) ** 2

    def rho(self, distance: float = inf) -> float:
        """ZCDP of images so far apart; by default of any two."""
        moved = min(self.encoder * distance + self.rounding, 2 * self.radius)
        return moved**2 / (2 * self.variance)

    def epsilon(self, delta: float, distance: float = inf) -> float:
        """Epsilon at delta of images so far apart; by default of any two."""
        rho = self.rho(distance)
        return zcdp_epsilon(rho, delta) if rho > 0 else 0.0

    def sentence(self, delta: float) -> str:
        """Both readings, in words."""
        return (
            f"One image's answer, before any shuffling and without its label: images at Euclidean "
            f"distance d (pixels from 0 to 1) are told apart by at most rho = "
            f"{self.rho(1.0):.3g} d^2, which is epsilon {self.epsilon(delta, 1.0):.3g} at d = 1 "
            f"and {self.epsilon(delta, 10.0):.3g} at d = 10 (delta {delta:g}); any two images by "
            f"at most rho = {self.rho():.3g}, epsilon {self.epsilon(delta):.3g}. Certified: "
            f"encoder {self.encoder:.6g}-Lipschitz, decoder {self.decoder:.6g}-Lipschitz, code "
            f"radius {self.radius:.4g}, noise {self.code_noise:.4g} per coordinate."
        )
