"""The workload: which marginals matter, and how much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from numbers import Integral

from mezzotint.errors import ParameterError
from mezzotint.tables.domain import Clique, Domain

MAX_CLIQUES = 500_000

Wanted = int | Sequence[Sequence[str]]
"""All marginals of so many attributes, or the cliques by name."""


@dataclass(frozen=True)
class Workload:
    """Cliques with whole-number weights. Public.

    Attributes:
        domain: attributes and sizes.
        weights: clique -> weight >= 1; a clique that was named twice weighs 2.
    """

    domain: Domain
    weights: Mapping[Clique, int]

    @classmethod
    def of(cls, domain: Domain, wanted: Wanted) -> Workload:
        """The workload that the user named."""
        if isinstance(wanted, Integral):
            return cls(domain, dict.fromkeys(_all_marginals(domain, wanted), 1))
        if isinstance(wanted, str) or not isinstance(wanted, Iterable):
            raise _unreadable(wanted)
        weights: dict[Clique, int] = {}
        for names in wanted:
            if isinstance(names, str) or not isinstance(names, Iterable):
                raise _unreadable(wanted)
            for a in names:
                if a not in domain:
                    raise ParameterError(
                        f"workload: {a!r} is not an attribute of this table, which has "
                        f"{', '.join(map(repr, domain))}. Mend the workload."
                    )
            clique = domain.clique(names)
            weights[clique] = weights.get(clique, 0) + 1
        if () in weights or not weights:
            raise ParameterError("workload: every marginal must name at least one attribute.")
        return cls(domain, weights)

    def importance(self) -> dict[Clique, int]:
        """AIM's candidates and weights.

        The candidates are the workload's cliques and all their non-empty subsets, smaller ones
        first; r weighs the sum over the workload of weight(s) * |r & s|.
        """
        rank = {a: i for i, a in enumerate(self.domain)}
        closure = {
            r for s in self.weights for k in range(1, len(s) + 1) for r in combinations(s, k)
        }
        share = dict.fromkeys(self.domain, 0)
        for clique, weight in self.weights.items():
            for a in clique:
                share[a] += weight
        # |r & s| counts attributes, so its sum over s can be taken attribute by attribute.
        ordered = sorted(closure, key=lambda r: (len(r), [rank[a] for a in r]))
        return {r: sum(share[a] for a in r) for r in ordered}


def _unreadable(wanted: object) -> ParameterError:
    return ParameterError(
        f"workload = {wanted!r}: give a whole number of attributes, such as 2, or a list of lists "
        'of names, such as [["age", "sex"], ["age", "income"]].'
    )


def _all_marginals(domain: Domain, wanted: Integral) -> Iterator[Clique]:
    if isinstance(wanted, bool) or int(wanted) < 1:
        raise _unreadable(wanted)
    k = min(int(wanted), len(domain))
    if comb(len(domain), k) > MAX_CLIQUES:
        raise ParameterError(
            f"workload = {k}: {len(domain)} attributes have {comb(len(domain), k):,} marginals of "
            f"{k}, and the limit is {MAX_CLIQUES:,}. Take a smaller workload, or name the cliques."
        )
    return combinations(domain.attributes, k)
