"""Our DP-SGD engine: per-example clipping without per-example gradients."""
