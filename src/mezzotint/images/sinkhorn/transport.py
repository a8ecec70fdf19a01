"""Entropic optimal transport, cut so that every private image's part can be clipped by itself.

The transport from our images x_1 ... x_e (of a class, each with mass 1 / e) to a distribution, at
cost |x - y|^2 / 2 and regularisation b, has the semi-dual form

    max over f of   sum_i f_i / e - E_y [ b log sum_i exp((f_i - |x_i - y|^2 / 2) / b) ].

Given the potentials f, it is a mean over y, and so is its gradient with respect to x_i: the mean of
w_i (x_i - y), w = softmax((f - |x - y|^2 / 2) / b). A sum over records, of a vector each, is what
DP-SGD's clipping is made for. The plan of the paper, which all records of a sample share, is not.

The potentials come from public images: those of the transport to what the generator drew lately.
Where it draws what the data is like, they are the right ones.

References:
    Cao, Bie, Vahdat, Fidler, Kreis. Don't Generate Me. NeurIPS 2021.
    Genevay, Cuturi, Peyre, Bach. Stochastic Optimization for Large-scale Optimal Transport.
        NeurIPS 2016 (the semi-dual form).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_SWEEPS = 30


@dataclass(frozen=True)
class Sources:
    """Our images, where transport starts, and their potentials. Public.

    Attributes:
        points: float64 of shape (classes, e, d).
        potentials: in units of the regularisation, shape (classes, e).
        blur: the regularisation, in squared units of the points.
    """

    points: Tensor
    potentials: Tensor
    blur: float

    @classmethod
    def towards(cls, points: Tensor, others: Tensor, blur: float) -> Sources:
        """With the potentials of the transport to other public images, by Sinkhorn's iterations.

        Args:
            points: (classes, e, d).
            others: (classes, r, d), of the same classes in the same order.
            blur: the regularisation.
        """
        closeness = -torch.cdist(points, others).square() / (2 * blur)
        mine = torch.zeros(*points.shape[:2], 1, dtype=points.dtype)
        for _ in range(_SWEEPS):
            theirs = -torch.logsumexp(closeness + mine, 1, keepdim=True)
            mine = -torch.logsumexp(closeness + theirs, 2, keepdim=True)
        return cls(points, mine[:, :, 0], blur)


def clipped_pull(sources: Sources, y: Tensor, labels: Tensor, clip: float) -> Tensor:
    """The sum, over records, of the gradient of a record's transport cost, each clipped.

    Sensitivity: one record more or less changes the sum by at most `clip`, in L2 over all of it.
    Private and public: private, if the records are.

    Args:
        sources: our images.
        y: records, float64 of shape (n, d).
        labels: their classes, shape (n,).
        clip: the longest part that is not shortened.

    Returns:
        float64 of the shape of `sources.points`.
    """
    total = torch.zeros_like(sources.points)
    for label, (x, potentials) in enumerate(zip(sources.points, sources.potentials, strict=True)):
        mine = y[labels == label]
        # Not by products of matrices, which would lose small distances.
        squares = torch.cdist(mine, x, compute_mode="donot_use_mm_for_euclid_dist").square()
        weights = torch.softmax(potentials - squares / (2 * sources.blur), dim=1)
        norms = (weights.square() * squares).sum(1).sqrt()
        weights *= (clip / norms.clamp(min=clip))[:, None]
        total[label] = weights.sum(0)[:, None] * x - weights.T @ mine
    return total


def joint_bound(clip: float, count: float) -> float:
    """The L2 norm of a record's whole part: its pull, and `count` in its class's place."""
    return math.hypot(clip, count)
