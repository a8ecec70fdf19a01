"""The folder in which a fit keeps what it may resume, and the request that makes it repeatable.

A fit with a checkpoint folder and a ledger in a file runs under a request id, so that a second
attempt after a crash asks for the very same noise and pays nothing (`privacy.ledger`). The folder
remembers the id and what it was made for; the ledger refuses it for other data.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mezzotint.errors import DataError, ParameterError
from mezzotint.images.data import ImageFacts
from mezzotint.privacy.releases import request_id

if TYPE_CHECKING:
    from mezzotint.images.method import ImageMethod

_FILE = "fit.json"


def request_in(
    folder: Path | None,
    method: ImageMethod,
    facts: ImageFacts,
    *,
    dataset: str,
    seed: int,
    ledger: Path | None,
) -> str | None:
    """The request id of the fit that this folder belongs to; None without a folder.

    Raises:
        ParameterError: if the folder belongs to other settings, or there is no ledger in a file.
        DataError: if the folder cannot be read or written.
    """
    if folder is None:
        return None
    if ledger is None:
        raise ParameterError(
            f"checkpoint {folder}: what was spent until a crash must be on record to resume "
            "without spending twice; give a ledger in a file as well (--ledger FILE)"
        )
    asked: dict[str, Any] = {
        "method": method.name,
        "epsilon": method.epsilon,
        "delta": method.delta,
        "settings": method.settings,
        "facts": facts.to_json(),
        "dataset": dataset,
        "seed": seed,
    }
    asked = json.loads(json.dumps(asked))
    file = folder / _FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            beside = file.with_suffix(".part")
            content: dict[str, Any] = {"nonce": secrets.token_hex(16), "fit": asked}
            content["digest"] = _digest(content["nonce"], asked)
            beside.write_text(json.dumps(content, indent=1))
            beside.replace(file)
        held = json.loads(file.read_text())
        nonce, fit = str(held["nonce"]), held["fit"]
        if held["digest"] != _digest(nonce, fit):
            raise ValueError("its SHA-256 is not the one recorded")
    except OSError as error:
        raise DataError(
            f"checkpoint {folder}: {error.strerror or error}; give a folder to read and write"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{file}: damaged ({error!r}); nothing was spent. Give another folder for a new fit"
        ) from error
    differing = [key for key in asked if fit.get(key) != asked[key]]
    if differing:
        raise ParameterError(
            f"checkpoint {folder}: it belongs to a fit with other {', '.join(differing)}; nothing "
            "was spent. Repeat that fit exactly, or give another folder for a new one"
        )
    return request_id(
        dataset=dataset, mechanism=method.name, parameters={"fit": canonical(asked)}, nonce=nonce
    )


def _digest(nonce: str, fit: Any) -> str:
    """A damaged nonce would be another request, and spend anew."""
    return hashlib.sha256(canonical([nonce, fit]).encode()).hexdigest()


def canonical(content: Any) -> str:
    """One text for equal contents."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
