"""The privacy statement as a document of its own: what is promised for one file of synthetic data.

It travels beside the data. Whoever receives both can check, without the private data, that this is
the file that the statement speaks of, that the releases add up to no more than is claimed, that
the holder of a key signed it (Ed25519, RFC 8032, through `cryptography`), and, given the ledger,
that the releases stand in it. What no document can show is that the software did as it says: that
is what the source, the tests and the audit are for.

Everything in it is public.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mezzotint.errors import LedgerError, ParameterError, VerificationError
from mezzotint.privacy.account import Account
from mezzotint.privacy.file_digest import FileDigest
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.releases import canonical
from mezzotint.privacy.signing import Signature, SigningKey
from mezzotint.privacy.statement import Statement

FORMAT = 1
KIND = "mezzotint privacy statement"
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Lineage:
    """What the ledger knows of the data set, over all its runs, when the statement was written.

    Attributes:
        names: every name under which the data set was used.
        runs: how many runs there were.
        epsilon: their total at `delta`.
        delta: where that is stated.
        cap_epsilon: the most that may be spent; None without a cap.
    """

    names: tuple[str, ...]
    runs: int
    epsilon: float
    delta: float
    cap_epsilon: float | None

    @classmethod
    def of(cls, account: Account) -> Lineage:
        """The public part of an account."""
        cap = None if account.cap is None else account.cap.epsilon
        return cls(account.datasets, account.runs, account.epsilon, account.delta, cap)


@dataclass(frozen=True)
class Certificate:
    """A statement bound to one file of synthetic data; signed or not.

    Attributes:
        statement: what is guaranteed, and the releases it rests on.
        file: which synthetic data it speaks of.
        lineage: the data set's running total; None if no ledger outlived the run.
        audit: lines of `mezzotint audit --json`; empty if none were given.
        written: when, ISO 8601 in UTC.
        signature: who vouches for it; None if nobody does.
    """

    statement: Statement
    file: FileDigest
    lineage: Lineage | None
    audit: tuple[Mapping[str, Any], ...]
    written: str
    signature: Signature | None = None

    @classmethod
    def of(
        cls,
        statement: Statement,
        synthetic: Path,
        *,
        account: Account | None = None,
        audit: tuple[Mapping[str, Any], ...] = (),
    ) -> Certificate:
        """An unsigned certificate of a file that lies there finished.

        Args:
            statement: of the run that the file was made from.
            synthetic: the file; it is read once, for its digest.
            account: the data set's, if a ledger keeps one.
            audit: what the referee found about the mechanism.
        """
        for line in audit:
            _require_audit_line(line, "audit")
        return cls(
            statement,
            FileDigest.of(synthetic),
            None if account is None else Lineage.of(account),
            audit,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def signed(self, key: SigningKey) -> Certificate:
        """The same, signed by a key in place of any earlier signature."""
        return replace(self, signature=key.sign(self._message()))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        signature = None if self.signature is None else self.signature.to_json()
        return {**self._content(), "signature": signature}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Certificate:
        """The inverse of `to_json`.

        Raises:
            VerificationError: if it is no statement, or a newer one, or lacks something.
            ModelFileError: if the releases cost more than it claims.
        """
        try:
            if data["kind"] != KIND:
                raise VerificationError(
                    f"this is {data['kind']!r} and no {KIND}: give the file that "
                    "`mezzotint statement write` wrote"
                )
            if data["format"] > FORMAT:
                raise VerificationError(
                    f"the statement's format {data['format']} is newer than this version of "
                    f"Mezzotint reads ({FORMAT}): update Mezzotint"
                )
            lineage, signature = data["lineage"], data["signature"]
            for line in data["audit"]:
                _require_audit_line(line, "the statement's audit")
            found = cls(
                statement=Statement.from_json(data["statement"]),
                file=FileDigest.from_json(data["file"]),
                lineage=None if lineage is None else _lineage(lineage),
                audit=tuple(dict(line) for line in data["audit"]),
                written=str(data["written"]),
                signature=None if signature is None else Signature.from_json(signature),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise VerificationError(
                f"the statement is damaged or incomplete ({error!r}): take an intact copy"
            ) from error
        if canonical(found.to_json()) != canonical(dict(data)):
            raise VerificationError(
                "the statement holds more, or says it otherwise, than this version of Mezzotint "
                "understands: take an intact copy, or update Mezzotint"
            )
        return found

    def to_text(self) -> str:
        """As the text of a file."""
        return json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Certificate:
        """Read a file that somebody sent.

        Raises:
            VerificationError: if it cannot be read, or is no statement.
            ModelFileError: if the releases cost more than it claims.
        """
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise VerificationError(
                    f"{path}: over {_MOST_BYTES >> 20} MB, which no statement takes: "
                    "give the statement's file"
                )
            data = json.loads(path.read_bytes(), object_pairs_hook=_no_doubles)
        except (OSError, ValueError, RecursionError) as error:
            raise VerificationError(
                f"{path}: no JSON that can be read ({error}): give the statement's file"
            ) from error
        if not isinstance(data, dict):
            raise VerificationError(f"{path}: no JSON object: give the statement's file")
        return cls.from_json(data)

    def require_guarantee(self) -> None:
        """Raise VerificationError if the noise was switched off or fixed: nothing is promised."""
        if not self.statement.private:
            raise VerificationError(
                "the statement itself says that the noise was switched off or fixed for a test: "
                "the file has no privacy guarantee and must not be shared"
            )

    def require_signature(self, by: str | None = None) -> None:
        """Raise VerificationError unless the signature is valid, and by the key that is trusted.

        Args:
            by: the trusted public key in hexadecimal; by default whichever signed it.
        """
        if self.signature is None:
            raise VerificationError(
                "the statement is not signed: nobody vouches for it. Ask its author for a signed "
                "one (`mezzotint statement write --key`)"
            )
        if by is not None and self.signature.public_key != by:
            raise VerificationError(
                f"the statement is signed by {self.signature.public_key}, not by the key you "
                f"trust ({by}): ask its author which key is theirs"
            )
        self.signature.require(self._message())

    def require_file(self, path: Path) -> None:
        """Raise VerificationError unless this is the file that the statement speaks of."""
        self.file.require(path)

    def require_ledger(self, ledger: Ledger) -> None:
        """Raise VerificationError unless the ledger holds the run with just these releases."""
        statement = self.statement
        try:
            ledger.verify(statement.head)
            held = ledger.releases(statement.run)
        except LedgerError as error:
            raise VerificationError(f"the ledger does not bear the statement out: {error}") from (
                error
            )
        if held != statement.releases:
            raise VerificationError(
                f"run {statement.run} of the ledger holds {len(held)} releases that are not the "
                f"{len(statement.releases)} of the statement: ask its author for the right ledger"
            )

    def _content(self) -> dict[str, Any]:
        lineage = self.lineage
        return {
            "kind": KIND,
            "format": FORMAT,
            "statement": self.statement.to_json(),
            "file": self.file.to_json(),
            "lineage": None
            if lineage is None
            else {
                "names": list(lineage.names),
                "runs": lineage.runs,
                "epsilon": lineage.epsilon,
                "delta": lineage.delta,
                "cap_epsilon": lineage.cap_epsilon,
            },
            "audit": [dict(line) for line in self.audit],
            "written": self.written,
        }

    def _message(self) -> bytes:
        """What is signed: everything but the signature, in its one JSON text."""
        return canonical(self._content()).encode()


def write_key(path: Path) -> SigningKey:
    """Make a signing key; its file can be read by its owner only."""
    key = SigningKey.generate()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ParameterError(
            f"{path}: something is there already, and a key that has signed must not be lost: "
            "give another name"
        ) from None
    with os.fdopen(handle, "wb") as file:
        file.write(key.to_pem())
    return key


def read_audit(path: Path) -> tuple[Mapping[str, Any], ...]:
    """The lines of an audit's JSON: one object, or a list of them under "audits".

    Raises:
        ParameterError: if it is something else.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ParameterError(
            f"{path}: no JSON that can be read ({error}): give what `mezzotint audit --json` wrote"
        ) from error
    lines = data.get("audits", [data]) if isinstance(data, dict) else data
    if not isinstance(lines, list):
        raise ParameterError(f"{path}: no audit: give what `mezzotint audit --json` wrote")
    for line in lines:
        _require_audit_line(line, str(path))
    return tuple(lines)


def _require_audit_line(line: object, place: str) -> None:
    wanted = {"mechanism", "claimed_epsilon", "delta", "lower_bound", "runs", "holds"}
    if not isinstance(line, Mapping) or not wanted <= set(line):
        raise ParameterError(
            f"{place}: a line without {', '.join(sorted(wanted))}: give what "
            "`mezzotint audit --json` wrote"
        )


def _lineage(data: Mapping[str, Any]) -> Lineage:
    names, runs, epsilon, delta, cap = (
        data[name] for name in ("names", "runs", "epsilon", "delta", "cap_epsilon")
    )
    if not isinstance(names, list) or not isinstance(runs, int):
        raise TypeError("the lineage's names or number of runs")
    return Lineage(tuple(names), runs, epsilon, delta, cap)


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON objects say each thing once: two readers must not see two statements."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object says the same thing twice")
    return found
