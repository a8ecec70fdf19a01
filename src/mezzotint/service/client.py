"""The provider and the key holder as a data holder's client sees them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mezzotint.service.connection import Connection, ObstacleError, ServiceError
from mezzotint.service.limits import Limits
from mezzotint.service.progress import Progress
from mezzotint.service.requests import Declaration, write_request
from mezzotint.service.uploads import Declared

_SHORTEST, _LONGEST = 0.1, 2.0
_ANEW = 3

Watcher = Callable[[Progress], None]


class JobFailedError(ServiceError):
    """A job has ended without a result."""


@dataclass(frozen=True)
class Place:
    """A job at a provider.

    Attributes:
        job: its id there.
        token: for it.
        part: which of its parts this client sends.
    """

    job: str
    token: str
    part: int = 0

    @property
    def path(self) -> str:
        """Where it is served."""
        return f"/v1/jobs/{self.job}"


class ProviderClient:
    """Speaks to a provider.

    Args:
        line: to it.
    """

    def __init__(self, line: Connection) -> None:
        self.line = line

    def create(
        self, files: Mapping[str, Path], *, parts: int = 1, invitation: str | None = None
    ) -> Place:
        """Declare a job's files; returns where the job is."""
        request = write_request(declare(files, parts))
        told = self.line.ask_json("POST", "/v1/jobs", token=invitation, content=request)
        return Place(str(told["job"]), str(told["token"]))

    def ticket(self, place: Place) -> str:
        """A token for others who send a part."""
        return str(self.line.ask_json("POST", f"{place.path}/tickets", token=place.token)["token"])

    def join(self, place: Place, files: Mapping[str, Path]) -> None:
        """Declare another part's files."""
        request = write_request(declare(files))
        self.line.ask(
            "POST", f"{place.path}/parts/{place.part}", token=place.token, content=request
        )

    def send(self, place: Place, files: Mapping[str, Path], watch: Watcher) -> None:
        """Send what is missing, and say that it is all there.

        A file that arrives damaged is sent anew.
        """
        path = f"{place.path}/parts/{place.part}"
        total = sum(file.stat().st_size for file in files.values())
        for _ in range(_ANEW):
            told = self.line.ask_json("GET", path, token=place.token)
            if told["complete"]:
                return
            missing = {str(name): int(at) for name, at in told["missing"].items()}
            left = sum(files[name].stat().st_size - at for name, at in missing.items())
            meter = _Meter(total, total - left, watch)
            for name, offset in missing.items():
                self._send(f"{path}/{name}", place.token, files[name], offset, meter)
            try:
                self.line.ask("POST", f"{path}/complete", token=place.token)
            except ObstacleError as error:
                if error.code != "not_complete":
                    raise
            else:
                return
        raise ServiceError(
            f"{self.line.url}: files arrive there damaged again and again; check the line and the "
            "provider's disk"
        )

    def start(self, place: Place, keyholder: str, token: str) -> None:
        """Set it going."""
        given = json.dumps({"keyholder": keyholder, "token": token}).encode()
        self.line.ask("POST", f"{place.path}/start", token=place.token, content=given)

    def status(self, place: Place) -> dict[str, Any]:
        """Where it stands."""
        return self.line.ask_json("GET", place.path, token=place.token)

    def wait(self, place: Place, watch: Watcher) -> dict[str, Any]:
        """Wait until it has ended; what it cost.

        Raises:
            JobFailedError: if it failed.
        """
        pause = _SHORTEST
        while True:
            status = self.status(place)
            if status["state"] == "failed":
                raise JobFailedError(f"{self.line.url}: the job failed: {status['message']}")
            if status["state"] == "done":
                return dict(status["facts"] or {})
            watch(_progress(status))
            time.sleep(pause)
            pause = min(1.2 * pause, _LONGEST)

    def model(self, place: Place) -> bytes:
        """The result, as a model file."""
        return self.line.ask("GET", f"{place.path}/model", token=place.token)

    def delete(self, place: Place) -> None:
        """Have the provider forget the job and its files."""
        self.line.ask("DELETE", place.path, token=place.token)

    def _send(self, path: str, token: str, file: Path, offset: int, meter: _Meter) -> None:
        size = file.stat().st_size
        with file.open("rb") as stream:
            while offset < size:
                stream.seek(offset)
                chunk = stream.read(Limits.chunk)
                query = {"offset": offset}
                try:
                    self.line.ask("PUT", path, token=token, content=chunk, query=query)
                except ObstacleError as error:
                    # An answer that was lost on the way: what was sent twice had arrived. The
                    # next round asks what is missing, and so is damage found out.
                    if error.code in ("offset", "damaged"):
                        return
                    raise
                offset += len(chunk)
                meter.add(len(chunk))


class KeyHolderClient:
    """Speaks to a key holder.

    Args:
        line: to it.
    """

    def __init__(self, line: Connection) -> None:
        self.line = line

    def register(self, registration: bytes, invitation: str) -> dict[str, str]:
        """Register one holder for a job; its receipt, and the tokens to decrypt and to watch."""
        told = self.line.ask_json("POST", "/v1/jobs", token=invitation, content=registration)
        return {name: str(told[name]) for name in ("job", "receipt", "decrypt", "watch")}

    def account(self, job: str, token: str) -> dict[str, Any]:
        """What has been released for a job, and each role's view."""
        return self.line.ask_json("GET", f"/v1/jobs/{job}", token=token)


def declare(files: Mapping[str, Path], parts: int = 1) -> Declaration:
    """Sizes and digests of files."""
    return Declaration({name: _declared(path) for name, path in files.items()}, parts)


def _declared(path: Path) -> Declared:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Declared(path.stat().st_size, digest)


class _Meter:
    """Bytes on their way."""

    def __init__(self, total: int, done: int, watch: Watcher) -> None:
        self._total, self._done, self._watch = total, done, watch
        self._first, self._began = done, time.monotonic()

    def add(self, size: int) -> None:
        """So many more have arrived."""
        self._done += size
        seconds = time.monotonic() - self._began
        pace = seconds / max(1, self._done - self._first)
        left = pace * (self._total - self._done)
        self._watch(Progress("uploading, bytes", self._done, self._total, seconds, left))


def _progress(status: Mapping[str, Any]) -> Progress:
    held = status.get("progress")
    if held is not None and status["state"] == "working":
        return Progress(**held)
    if status["state"] == "receiving":
        missing = list(status["parts"]).count(False)
        return Progress(f"waiting for {missing} more data holders" if missing else "starting")
    return Progress("waiting for its turn")
