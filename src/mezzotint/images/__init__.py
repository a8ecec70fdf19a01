"""Private images in, synthetic labelled images out."""
