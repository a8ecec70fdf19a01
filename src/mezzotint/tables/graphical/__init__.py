"""The graphical model: our own engine, from noisy marginals to rows.

junction_tree.py  which cliques a model holds, and what it would cost to hold more
propagation.py    belief propagation: log potentials to consistent marginals
elimination.py    any other marginal of a calibrated tree
measurement.py    noisy marginals, and the linear queries behind them
resolution.py     coarse attributes: groups of values as hidden attributes
loglinear.py      the family of models over a set of queries
estimation.py     the member of the family that fits the measurements
sampling.py       rows, by randomised rounding
model.py          the fitted model: marginals, conditioning
uncertainty.py    error bars for any marginal
"""

from mezzotint.tables.graphical.estimation import estimate, estimate_in_stages
from mezzotint.tables.graphical.junction_tree import JunctionTree, SizeOracle
from mezzotint.tables.graphical.measurement import Measurement, Query
from mezzotint.tables.graphical.model import GraphicalModel
from mezzotint.tables.graphical.uncertainty import Bootstrap

__all__ = [
    "Bootstrap",
    "GraphicalModel",
    "JunctionTree",
    "Measurement",
    "Query",
    "SizeOracle",
    "estimate",
    "estimate_in_stages",
]
