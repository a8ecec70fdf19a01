"""The job: everything that all roles must agree upon, as one document with one hash.

A job names keys, data holders, schema, mechanism, budget, selection and the stocks of noise. Data
holders sign its id; provider and key holder derive layout, circuits and plan from it alone, so that
neither has to believe what the other asks for. All of it is public.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Any, Literal

from mezzotint.encrypted.ladder import ladder, tail
from mezzotint.encrypted.layout import Layout, MarginalsLayout
from mezzotint.encrypted.manifest import Manifest
from mezzotint.encrypted.pool import MOST_SUMMANDS, Level
from mezzotint.encrypted.presets import Fit
from mezzotint.encrypted.record_layout import RecordsLayout
from mezzotint.encrypted.refusal import Refusal
from mezzotint.encrypted.score_ladder import score_ladder
from mezzotint.encrypted.scores import ScoresLayout
from mezzotint.encrypted.wire import canonical
from mezzotint.errors import MezzotintError, ParameterError
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.run import plannable_rho
from mezzotint.schema import Schema
from mezzotint.tables.aim import AIM
from mezzotint.tables.domain import Clique, Domain
from mezzotint.tables.independent import Independent
from mezzotint.tables.mezzotint import Mezzotint
from mezzotint.tables.mst import MST
from mezzotint.tables.synthesizer import Synthesizer
from mezzotint.tables.workload import Workload

FORMAT = 1
SELECTION_SHARE = 0.3
POOL_CELLS = 1 << 14
MECHANISMS: Mapping[str, Callable[..., Synthesizer]] = {
    kind.name: kind for kind in (AIM, MST, Independent, Mezzotint)
}
_OPTIONS = {"workload", "max_model_mb"}

LayoutName = Literal["marginals", "records"]
Combine = Literal["rows", "columns"]
Selection = Literal["noisy-marginals", "squared-l2"]
KeyHolderIs = Literal["third-party", "holder"]


@dataclass(frozen=True)
class Party:
    """A data holder, as the others know it. Public.

    Attributes:
        name: for people.
        identity: its signing key's public half.
        upload: the id of its upload's manifest.
        rows_at_most: the public maximum of its rows.
        attributes: what it holds of the schema.
    """

    name: str
    identity: str
    upload: str
    rows_at_most: int
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """One run over encrypted tables.

    Attributes:
        keys: the id of the key holder's public folder.
        key_holder: its signing key's public half.
        keyholder: "third-party", or "holder" where the only data holder has the keys itself: then
            no noise is needed under encryption, and all of it is added before anything leaves.
        preset: the encryption parameters.
        layout: "marginals" or "records".
        combine: what several holders hold: other "rows", or other "columns" of the same people.
        ways: in the marginals layout, attributes in the largest marginal that is encrypted.
        packing: in the records layout, columns in a left and in a right polynomial.
        shares: if data holders have other columns, what each of them has.
        schema_text: the schema's YAML.
        dataset: the data's name.
        mechanism: its name.
        options: its public parameters.
        epsilon: the public guarantee's.
        delta: its failure probability.
        selection: how candidates are chosen.
        share: of the budget's rho that selection takes for its noisy copies.
        parties: the data holders.
        levels: the stocks of noise; the first is that of the copies, if there are any.
        nonce: tells jobs apart that are alike.
    """

    keys: str
    key_holder: str
    keyholder: KeyHolderIs
    preset: str
    layout: LayoutName
    combine: Combine
    ways: int
    packing: tuple[int, int] | None
    shares: tuple[tuple[str, ...], ...] | None
    schema_text: str
    dataset: str
    mechanism: str
    options: Mapping[str, Any]
    epsilon: float
    delta: float
    selection: Selection
    share: float
    parties: tuple[Party, ...]
    levels: tuple[Level, ...]
    nonce: str

    @classmethod
    def create(
        cls,
        uploads: Sequence[Manifest],
        mechanism: Synthesizer,
        *,
        dataset: str | None = None,
        selection: Selection = "noisy-marginals",
        share: float = SELECTION_SHARE,
        keyholder: KeyHolderIs = "third-party",
        pool_cells: int = POOL_CELLS,
    ) -> Job:
        """A job over uploads that were made for the same keys, schema and layout.

        Args:
            uploads: the data holders' manifests.
            mechanism: with its epsilon and delta, which are the public guarantee.
            dataset: a name for what all uploads hold together; by default the first one's.
            selection: how candidates are chosen.
            share: of the budget that "noisy-marginals" spends on its copies.
            keyholder: who holds the keys.
            pool_cells: how many cells each stock of noise shall serve, at most.

        Raises:
            ParameterError: if the uploads do not go together, or a parameter is out of range.
        """
        first = _alike(uploads)
        if selection == "squared-l2" and not all(m.facts.get("scores") for m in uploads):
            raise ParameterError(
                "selection = 'squared-l2': an upload has no ciphertexts for scores. Encrypt the "
                "table for it (`mezzotint encrypt --layout marginals --scores`)"
            )
        options = {name: getattr(mechanism, name) for name in _OPTIONS if hasattr(mechanism, name)}
        draft = cls(
            keys=first["keys"],
            key_holder=first["key_holder"],
            keyholder=keyholder,
            preset=first["preset"],
            layout=first["layout"],
            combine=_combination(uploads),
            ways=first["ways"],
            packing=_pair(first["packing"]),
            shares=_split(first["shares"]),
            schema_text=first["schema"],
            dataset=dataset or first["dataset"],
            mechanism=mechanism.name,
            options=json.loads(canonical(options)),
            epsilon=mechanism.epsilon,
            delta=mechanism.delta,
            selection=selection,
            share=share,
            parties=tuple(_party(manifest) for manifest in uploads),
            levels=(),
            nonce=os.urandom(16).hex(),
        )
        draft.check()
        return draft._with(levels=() if keyholder == "holder" else ladder(draft, pool_cells))

    @classmethod
    def draft(
        cls,
        schema: Schema,
        layout: LayoutName,
        mechanism: Synthesizer,
        rows: Sequence[int],
        *,
        shares: Sequence[Sequence[str]] | None = None,
        ways: int = 2,
        **options: Any,
    ) -> Job:
        """A job that nobody has encrypted anything for yet, to plan with.

        Args:
            schema: what is public about the table.
            layout: "marginals" or "records".
            mechanism: with its epsilon and delta.
            rows: the public maximum of every holder's rows.
            shares: if holders have other columns of the same people, what each has.
            ways: marginals: attributes in the largest one that is encrypted.
            options: as `create`.
        """
        domain = Domain(schema.sizes)
        split = None if shares is None else [list(domain.clique(s)) for s in shares]
        place = cells_layout(layout, domain, rows, ways=ways, shares=split)
        packing = [place.left, place.right] if isinstance(place, RecordsLayout) else None
        uploads = [
            Manifest(
                "upload",
                f"{number:064x}",
                {
                    "keys": "",
                    "key_holder": "",
                    "preset": place.preset.id,
                    "layout": layout,
                    "ways": ways,
                    "schema": schema.to_text(),
                    "dataset": "draft",
                    "name": f"holder-{number}",
                    "rows_at_most": most,
                    "attributes": list(domain.attributes) if split is None else split[number],
                    "shares": split,
                    "packing": packing,
                    "scores": True,
                },
                (),
                "",
            )
            for number, most in enumerate(rows)
        ]
        return cls.create(uploads, mechanism, **options)

    def _with(self, **changes: Any) -> Job:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        job = Job(**(fields | changes))
        job.check()
        return job

    def check(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ParameterError: with the rule that is broken.
        """
        if self.keyholder not in ("third-party", "holder"):
            raise ParameterError(f"keyholder = {self.keyholder!r}: give third-party or holder")
        if self.keyholder == "holder" and len(self.parties) > 1:
            raise ParameterError(
                "keyholder = 'holder' with several data holders: a holder who has the keys can "
                "read the others' tables. Let a third party hold them"
            )
        if self.selection not in ("noisy-marginals", "squared-l2"):
            raise ParameterError(
                f"selection = {self.selection!r}: give noisy-marginals or squared-l2"
            )
        if self.selection == "squared-l2":
            self._check_scores()
        if not 0 < self.share < 1:
            raise ParameterError(f"share = {self.share!r}: give a share of the budget, as 0.1")
        if self.mechanism not in MECHANISMS or set(self.options) - _OPTIONS:
            raise ParameterError(
                f"mechanism {self.mechanism!r} with options {sorted(self.options)}: encrypted "
                f"tables know {', '.join(MECHANISMS)}"
            )
        missing = [q for q in self.queries if q not in set(self.cells.cliques)]
        if missing:
            raise ParameterError(
                f"{self.mechanism} may ask for the marginal of {', '.join(missing[0])}, and the "
                f"uploads hold marginals of up to {self.ways} attributes: encrypt with more ways"
            )
        assert self.fit

    def _check_scores(self) -> None:
        """Refuse what squared distances are not computed for."""
        if self.layout != "marginals":
            raise ParameterError(
                "selection = 'squared-l2' in layout 'records': the products of rows leave no level "
                "for squares of counts. Use layout 'marginals', or selection noisy-marginals"
            )
        if self.keyholder == "holder":
            raise ParameterError(
                "selection = 'squared-l2' with the data holder's own keys: it is FHAIM's, for "
                "comparison, and has a third party for the keys. Use noisy-marginals"
            )
        if self.mechanism not in ("aim", "mst"):
            raise ParameterError(
                f"selection = 'squared-l2' with mechanism {self.mechanism!r}: it is for AIM and "
                "MST. Use noisy-marginals"
            )
        widest = max((level.sigma for level in self.score_levels), default=0.0)
        self.scores.fit(MOST_SUMMANDS * tail(widest))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return fields | {
            "format": FORMAT,
            "options": dict(self.options),
            "parties": [
                vars(party) | {"attributes": list(party.attributes)} for party in self.parties
            ],
            "levels": [level.to_json() for level in self.levels],
        }

    def to_bytes(self) -> bytes:
        """The one byte form."""
        return canonical(self.to_json())

    @classmethod
    def from_bytes(cls, data: bytes) -> Job:
        """Read a job that came from elsewhere.

        Raises:
            Refusal: if it is damaged, of another format, or cannot be meant.
        """
        try:
            document = json.loads(data)
            if document.pop("format") != FORMAT:
                raise ValueError("format")
            parties = tuple(
                Party(
                    str(p["name"]),
                    str(p["identity"]),
                    str(p["upload"]),
                    int(p["rows_at_most"]),
                    tuple(map(str, p["attributes"])),
                )
                for p in document.pop("parties")
            )
            levels = tuple(Level.from_json(level) for level in document.pop("levels"))
            packing, shares = _pair(document.pop("packing")), _split(document.pop("shares"))
            job = cls(parties=parties, levels=levels, packing=packing, shares=shares, **document)
            if job.to_bytes() != data:
                raise ValueError("not in its one form")
            job.check()
        except (ValueError, KeyError, TypeError, AttributeError, MezzotintError) as error:
            raise Refusal(f"a job is damaged or cannot be meant ({type(error).__name__})") from None
        return job

    @cached_property
    def id(self) -> str:
        """The hash of all of it."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @cached_property
    def schema(self) -> Schema:
        """What is public about the table."""
        return Schema.from_text(self.schema_text)

    @cached_property
    def domain(self) -> Domain:
        """The table's shape."""
        return Domain(self.schema.sizes)

    @property
    def budget(self) -> Budget:
        """The public guarantee."""
        return Budget(self.epsilon, self.delta, self.schema.unit)

    @property
    def rho(self) -> float:
        """What the mechanism and its selection may spend, as zCDP."""
        return plannable_rho(self.budget)

    @property
    def mechanism_rho(self) -> float:
        """What is left for the mechanism when the copies are paid for."""
        return self.rho * (1 - (self.share if self.copies else 0.0))

    @cached_property
    def synthesizer(self) -> Synthesizer:
        """The mechanism."""
        make = MECHANISMS[self.mechanism]
        return make(epsilon=self.epsilon, delta=self.delta, **self.options)

    @cached_property
    def queries(self) -> tuple[Clique, ...]:
        """The marginals that the mechanism may ask for."""
        return tuple(self.synthesizer.queries(self.domain))

    @cached_property
    def askable(self) -> frozenset[Clique]:
        """Those marginals and all smaller ones in them that the uploads hold."""
        asked = [frozenset(query) for query in self.queries]
        return frozenset(
            clique for clique in self.cells.cliques if any(set(clique) <= query for query in asked)
        )

    @property
    def rows_at_most(self) -> int:
        """The public maximum of rows, all holders together."""
        rows = [party.rows_at_most for party in self.parties]
        return sum(rows) if self.combine == "rows" else max(rows)

    @property
    def integral(self) -> bool:
        """Whether plaintexts are integers modulo a power of two, so that marks can be made."""
        return self.layout == "marginals"

    @cached_property
    def cells(self) -> Layout:
        """Where the counts' ciphertexts hold which cell."""
        return cells_layout(
            self.layout,
            self.domain,
            [party.rows_at_most for party in self.parties],
            ways=self.ways,
            shares=self.shares,
            packing=self.packing,
        )

    @cached_property
    def fit(self) -> Fit:
        """The proof that the parameters hold the counts and all noise.

        Raises:
            ParameterError: if they do not.
        """
        widest = max((level.sigma for level in self.levels), default=self.first_sigma)
        return self.cells.fit(noise=MOST_SUMMANDS * tail(widest))

    @cached_property
    def copies(self) -> tuple[Clique, ...]:
        """The marginals of which selection gets a noisy copy: the largest that may be asked for."""
        chooses = any(
            step.sigma is None and step.releases
            for step in self.synthesizer.plan(self.domain, self.budget, self.rho).steps
        )
        if self.selection != "noisy-marginals" or not chooses:
            return ()
        asked = [frozenset(q) for q in self.queries]
        return tuple(
            q for q in self.queries if len(q) > 1 and not any(set(q) < other for other in asked)
        )

    @cached_property
    def scored(self) -> tuple[Clique, ...]:
        """The marginals that may be scored by squared distances."""
        return self.queries if self.selection == "squared-l2" else ()

    @cached_property
    def scores(self) -> ScoresLayout:
        """Where the ciphertexts for scores hold which cell."""
        rows, holders = self.rows_at_most, len(self.parties)
        return ScoresLayout(self.domain, self.cells.cliques, rows=rows, holders=holders)

    @cached_property
    def score_levels(self) -> tuple[Level, ...]:
        """The stocks of noise for scores."""
        return score_ladder(self)

    @property
    def copies_sigma(self) -> float:
        """The noise of the copies: together they cost the selection's share."""
        unit = self.budget.unit.l2_squared
        return sqrt(len(self.copies) * unit / (2 * self.share * self.rho))

    @property
    def first_sigma(self) -> float:
        """The largest scale of noise that the mechanism plans for."""
        plan = self.synthesizer.plan(self.domain, self.budget, self.mechanism_rho)
        sigmas = [step.sigma for step in plan.steps if step.sigma is not None]
        return max([*sigmas, *([self.copies_sigma] if self.copies else [])])

    @property
    def least_sigma(self) -> float:
        """The smallest scale of noise that the stocks serve."""
        return sqrt(2) * min((level.sigma for level in self.levels), default=0.0)

    @property
    def requests_at_most(self) -> int:
        """A bound on the requests that the key holder answers."""
        return 64 + (48 if self.scored else 24) * len(self.domain)


def cells_layout(
    layout: str,
    domain: Domain,
    rows: Sequence[int],
    *,
    ways: int = 2,
    shares: Sequence[Sequence[str]] | None = None,
    packing: tuple[int, int] | None = None,
) -> Layout:
    """The layout of cells, from public facts.

    Args:
        layout: "marginals" or "records".
        domain: the table's shape.
        rows: the public maximum of each holder's rows.
        ways: marginals: attributes in the largest one.
        shares: records, if holders have other columns of the same people: each one's.
        packing: records, once the first holder has chosen it.
    """
    if layout == "marginals":
        if shares is not None:
            raise ParameterError(
                "layout 'marginals' with holders of different columns: none of them can count "
                "both sides of a pair. Use layout 'records'"
            )
        cliques = dict.fromkeys((a,) for a in domain)
        for size in range(2, ways + 1):
            cliques |= dict.fromkeys(Workload.of(domain, size).weights)
        return MarginalsLayout(domain, cliques, rows=sum(rows), holders=len(rows))
    if layout == "records":
        if shares is not None:
            return RecordsLayout(domain, rows=[max(rows)], shares=shares, packing=packing)
        return RecordsLayout(domain, rows=list(rows), packing=packing)
    raise ParameterError(f"layout = {layout!r}: give marginals or records")


def _alike(uploads: Sequence[Manifest]) -> Mapping[str, Any]:
    if not uploads:
        raise ParameterError("a job needs at least one upload")
    first = uploads[0].facts
    for other in uploads[1:]:
        for fact in ("keys", "preset", "layout", "schema", "ways", "packing", "shares"):
            if other.facts[fact] != first[fact]:
                raise ParameterError(
                    f"the uploads of {first['name']!r} and {other.facts['name']!r} differ in "
                    f"their {fact}: encrypt both with the same keys, schema, layout and "
                    "rows_at_most"
                )
    if len({manifest.identity for manifest in uploads}) < len(uploads):
        raise ParameterError("two uploads come from one holder: give each holder's upload once")
    return first


def _combination(uploads: Sequence[Manifest]) -> Combine:
    held = [set(manifest.facts["attributes"]) for manifest in uploads]
    every = set().union(*held)
    if all(part == every for part in held):
        return "rows"
    if sum(map(len, held)) == len(every):
        return "columns"
    raise ParameterError(
        "the uploads' attributes overlap in part: each holder must hold all attributes (other "
        "rows), or no attribute that another one holds (other columns of the same people)"
    )


def _pair(packing: Any) -> tuple[int, int] | None:
    if packing is None:
        return None
    left, right = packing
    return int(left), int(right)


def _split(shares: Any) -> tuple[tuple[str, ...], ...] | None:
    return None if shares is None else tuple(tuple(map(str, share)) for share in shares)


def _party(manifest: Manifest) -> Party:
    facts = manifest.facts
    return Party(
        facts["name"],
        manifest.identity,
        manifest.id,
        facts["rows_at_most"],
        tuple(facts["attributes"]),
    )
