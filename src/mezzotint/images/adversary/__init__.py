"""A critic that learns from private images by DP-SGD, and the game that is played against it."""

from mezzotint.images.adversary.critic import (
    Critic,
    as_images,
    clip_of,
    doubts,
    real_loss,
    released_shares,
)
from mezzotint.images.adversary.schedule import expected_batch, schedule
from mezzotint.images.adversary.training import Pace, Player, follow, play

__all__ = [
    "Critic",
    "Pace",
    "Player",
    "as_images",
    "clip_of",
    "doubts",
    "expected_batch",
    "follow",
    "play",
    "real_loss",
    "released_shares",
    "schedule",
]
