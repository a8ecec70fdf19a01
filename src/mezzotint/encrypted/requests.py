"""What the provider asks of the key holder, as both write it down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mezzotint.encrypted.job import Job
from mezzotint.encrypted.refusal import Refusal
from mezzotint.tables.graphical import Query

REGISTER, MEASURE, CLOSE = "register", "measure", "close"
RECEIPT, ANSWER, CLOSED = "receipt", "answer", "closed"


@dataclass(frozen=True)
class Measure:
    """A request for noisy answers to queries, all at one scale of noise.

    Attributes:
        number: of the request, from 0, without gaps.
        queries: what is asked.
        sigma: the scale of all noise together.
    """

    number: int
    queries: tuple[Query, ...]
    sigma: float

    def to_fields(self, job: Job) -> dict[str, Any]:
        """As a message's fields."""
        return {
            "job": job.id,
            "number": self.number,
            "sigma": self.sigma,
            "queries": [_query_to_json(query) for query in self.queries],
        }

    @classmethod
    def from_fields(cls, job: Job, fields: Mapping[str, Any]) -> Measure:
        """The inverse of `to_fields`, for fields that came from elsewhere.

        Raises:
            Refusal: if they cannot be meant.
        """
        try:
            number, sigma = fields["number"], fields["sigma"]
            if type(number) is not int or not 0 <= number < job.requests_at_most:
                raise ValueError("number")
            if type(sigma) is not float or not 0 < sigma < 2.0**40:
                raise ValueError("sigma")
            queries = tuple(_query_from_json(job, entry) for entry in fields["queries"])
            if not queries or len(set(queries)) < len(queries):
                raise ValueError("queries")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refusal(f"a request cannot be meant ({str(error)[:40]})") from None
        return cls(number, queries, sigma)


def pack_answers(answers: Sequence[np.ndarray]) -> tuple[bytes, ...]:
    """Noisy counts as bytes."""
    return tuple(np.ascontiguousarray(answer, "<i8").tobytes() for answer in answers)


def unpack_answers(job: Job, measure: Measure, blobs: Sequence[bytes]) -> list[np.ndarray]:
    """The inverse of `pack_answers`.

    Raises:
        Refusal: if the sizes are not those that were asked for.
    """
    answers = []
    for query, blob in zip(measure.queries, blobs, strict=True):
        shape = query.shape(job.domain)
        if len(blob) != 8 * int(np.prod(shape)):
            raise Refusal(f"an answer of {len(blob)} bytes is not the one that was asked for")
        answers.append(np.frombuffer(blob, "<i8").astype(np.int64).reshape(shape))
    return answers


def _query_to_json(query: Query) -> dict[str, Any]:
    return {
        "clique": list(query.clique),
        "groups": {a: group.tolist() for a, group in query.groups.items()},
    }


def _query_from_json(job: Job, entry: Mapping[str, Any]) -> Query:
    clique = tuple(entry["clique"])
    if clique not in job.askable:
        raise ValueError("a marginal that the mechanism does not ask for")
    groups = {}
    for a, codes in entry["groups"].items():
        group = np.array(codes)
        size = job.domain.sizes[a] if a in clique else 0
        if group.dtype.kind != "i" or group.shape != (size,):
            raise ValueError("groups")
        if not np.array_equal(np.unique(group), np.arange(int(group.max()) + 1)):
            raise ValueError("groups")
        groups[a] = group.astype(np.int64)
    if groups and job.keyholder != "holder":
        raise ValueError("groups, where the key holder must not see cells")
    return Query(clique, groups)
