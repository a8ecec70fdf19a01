"""How good synthetic images are: what they teach, how near they come, what they remember.

    recipes.py      the classifiers and how they are trained: fixed steps, nothing chosen on a test
    transfer.py     train on synthetic, test on real; the same classifiers on real as the ceiling
    manifold.py     precision, recall, density, coverage
    distances.py    Frechet distance and kernel distance between sets of features
    features.py     pixels, random convolutions, a LeNet trained on held-out real images, a user's
                    Inception
    neighbours.py   the nearest training images
    build.py        all of it, as a report;  report.py, page.py: the report as data and as a page

Everything here but the synthetic images is computed on private images, exactly and without noise:
it is for the images' owner and marked private wherever it stands.
"""

from mezzotint.evaluate.images.build import evaluate_images
from mezzotint.evaluate.images.report import ImageReport

__all__ = ["ImageReport", "evaluate_images"]
