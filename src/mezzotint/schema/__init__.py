"""What is public about a table: attributes, bounds, categories, missing values, constraints.

schema.py        Schema: encode, decode, confirm
attribute.py     one column; categories.py, numeric.py and moments.py hold its types
edges.py         public bin edges and tidy bounds
values.py        reading Arrow columns as texts, numbers, instants
constraints.py   structural zeros and inequalities
facts.py         facts taken from private data
document.py      YAML in; layout.py: YAML out
draft.py         a proposal from the data; profile.py: what it looks at
infer.py         bounds and categories bought with budget
completion.py    attributes completed by what was bought
"""

from mezzotint.schema.attribute import Attribute
from mezzotint.schema.categories import Boolean, Categorical, Ordered, Text
from mezzotint.schema.constraints import Condition, Inequality, Never
from mezzotint.schema.facts import Fact
from mezzotint.schema.numeric import Continuous, Integer, Numeric
from mezzotint.schema.schema import Schema

__all__ = [
    "Attribute",
    "Boolean",
    "Categorical",
    "Condition",
    "Continuous",
    "Fact",
    "Inequality",
    "Integer",
    "Never",
    "Numeric",
    "Ordered",
    "Schema",
    "Text",
]
