"""Our DP-SGD engine: per-example clipping without per-example gradients."""

from mezzotint.images.dpsgd.clipping import Clipped, Clipper, Loss
from mezzotint.images.dpsgd.draws import Draws
from mezzotint.images.dpsgd.layers import Scale, Shift, trainable_layers
from mezzotint.images.dpsgd.loop import train
from mezzotint.images.dpsgd.memory import ErrorFeedback
from mezzotint.images.dpsgd.saving import Checkpoints
from mezzotint.images.dpsgd.training import Block, PrivateTraining, settings_digest
from mezzotint.images.dpsgd.world import World

__all__ = [
    "Block",
    "Checkpoints",
    "Clipped",
    "Clipper",
    "Draws",
    "ErrorFeedback",
    "Loss",
    "PrivateTraining",
    "Scale",
    "Shift",
    "World",
    "settings_digest",
    "train",
    "trainable_layers",
]
