"""Evaluation: how close synthetic rows come to real ones, and the report that says so.

Evaluation reads private data outside any differentially private mechanism. Its results are exact,
noiseless figures for the data's steward; each of them says ``private`` and is not to be published,
except those that rest on synthetic rows and public facts alone.
"""

from mezzotint.evaluate.build import build
from mezzotint.evaluate.report import Report

__all__ = ["Report", "build"]
