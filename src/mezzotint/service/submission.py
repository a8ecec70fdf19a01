"""A data holder's submission: from upload folders to a model, by way of both services.

    1. a job over the uploads; it is kept, so that a repetition goes on with the same one
    2. noise under encryption, made for this job only
    3. each data holder's registration at the key holder
    4. ciphertexts to the provider, resumable
    5. the provider works, and asks the key holder; here one waits
    6. the model, and the key holder's account of what was released for it

What is kept of a submission lies in the first upload's private folder: it holds tokens.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mezzotint.encrypted import holder
from mezzotint.encrypted.job import Job
from mezzotint.encrypted.manifest import Manifest
from mezzotint.errors import MezzotintError
from mezzotint.service.client import JobFailedError, KeyHolderClient, Place, ProviderClient
from mezzotint.service.connection import Connection, RefusedByServiceError
from mezzotint.service.files import private_folder, write_private
from mezzotint.service.invitation import proof
from mezzotint.service.progress import Progress
from mezzotint.service.wire import KEY_HOLDER, PROVIDER

Watcher = Callable[[Progress], None]


@dataclass(frozen=True)
class Kept:
    """What is remembered of a submission.

    Attributes:
        asked: what the user asked for; the same again goes on with this submission.
        job: the job's bytes, in base 64.
        provider: the provider's address.
        keyholder: the key holder's address.
        tokens: of the key holder: to decrypt, which is the provider's, and to watch.
        place: where the job is at the provider.
        started: whether it has been started there.
        done: whether it has ended, with a model or without.
    """

    asked: Mapping[str, Any]
    job: str
    provider: str
    keyholder: str
    tokens: Mapping[str, str] = field(default_factory=dict)
    place: Mapping[str, Any] | None = None
    started: bool = False
    done: bool = False


@dataclass(frozen=True)
class Request:
    """What a user asks for.

    Attributes:
        uploads: folders that `mezzotint encrypt` made.
        provider: the provider's address.
        keyholder: the key holder's address.
        invitation: the file that lets a stranger in at the provider, if it asks for one.
    """

    uploads: Sequence[Path]
    provider: str
    keyholder: str
    invitation: Path | None = None


class Submission:
    """One submission, begun or gone on with."""

    def __init__(self, request: Request, path: Path, kept: Kept) -> None:
        self.request = request
        self._path = path
        self._kept = kept
        self.job = Job.from_bytes(base64.b64decode(kept.job))

    @classmethod
    def begin(
        cls, request: Request, asked: Mapping[str, Any], job: Callable[[], Job]
    ) -> Submission:
        """Go on with an unfinished submission that was asked for in the same words, or begin one.

        Args:
            request: uploads and services.
            asked: everything that makes two submissions the same, as plain JSON values.
            job: makes the job of a new one.
        """
        asked = dict(asked) | {
            "uploads": [Manifest.read(path, "upload").id for path in request.uploads],
            "provider": request.provider,
            "keyholder": request.keyholder,
        }
        folder = private_folder(request.uploads[0] / "private" / "submissions")
        for path, kept in _all(folder):
            if not kept.done and kept.asked == json.loads(json.dumps(asked)):
                return cls(request, path, kept)
        made = job()
        kept = Kept(
            asked, base64.b64encode(made.to_bytes()).decode(), request.provider, request.keyholder
        )
        found = cls(request, folder / f"{made.id[:32]}.json", kept)
        found._keep()
        return found

    def prepare(self, watch: Watcher) -> None:
        """Make the noise that this job needs; nothing leaves this machine."""
        ledger = "private/ledger.db"
        for upload in self.request.uploads:
            watch(Progress("encrypting noise"))
            if self.job.levels:
                holder.make_pool(upload, self.job, ledger=upload / ledger)

    def files(self) -> dict[str, Path]:
        """What goes to the provider, by its path there."""
        files: dict[str, Path] = {}
        for upload in self.request.uploads:
            files |= holder.blobs(upload, self.job)
        return files

    def run(self, watch: Watcher) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
        """Register, send, wait, fetch.

        Returns:
            The model file, the key holder's account of the job, and what the work cost.
        """
        with (
            Connection(self.request.provider, PROVIDER) as to_provider,
            Connection(self.request.keyholder, KEY_HOLDER) as to_keyholder,
        ):
            to_provider.require_role()
            to_keyholder.require_role()
            provider, keyholder = ProviderClient(to_provider), KeyHolderClient(to_keyholder)
            self._register(keyholder)
            place = self._send(provider, watch)
            try:
                cost = provider.wait(place, watch)
            except JobFailedError:
                # A job that failed stays failed; the same command again begins another one.
                self.finish()
                raise
            model = provider.model(place)
            account = keyholder.account(self.job.id, self._kept.tokens["watch"])
            cost |= {
                "bytes_to_provider": to_provider.sent,
                "bytes_from_provider": to_provider.received,
            }
            return model, account, cost

    def finish(self) -> None:
        """It has ended: the same command again would be another submission."""
        self._keep(done=True)

    def _register(self, keyholder: KeyHolderClient) -> None:
        if self._kept.tokens:
            return
        tokens: dict[str, str] = {}
        for upload in self.request.uploads:
            invitation = proof(upload / "private" / "invitation")
            told = keyholder.register(holder.registration(upload, self.job), invitation)
            if told["job"] != self.job.id:
                raise MezzotintError(
                    f"{self.request.keyholder}: the key holder speaks of another job; check its "
                    "version"
                )
            tokens = {name: told[name] for name in ("decrypt", "watch")}
        self._keep(tokens=tokens)

    def _send(self, provider: ProviderClient, watch: Watcher) -> Place:
        files = self.files()
        for again in (False, True):
            if self._kept.place is None:
                invitation = self.request.invitation
                shown = None if invitation is None else proof(invitation)
                place = provider.create(files, invitation=shown)
                self._keep(place=asdict(place), started=False)
            place = Place(**self._kept.place or {})
            try:
                if not self._kept.started:
                    provider.send(place, files, watch)
                    provider.start(place, self.request.keyholder, self._kept.tokens["decrypt"])
                    self._keep(started=True)
                provider.status(place)
            except RefusedByServiceError:
                # The provider has forgotten the job: its store was emptied, or the token is old.
                if again:
                    raise
                self._keep(place=None, started=False)
            else:
                return place
        raise AssertionError

    def _keep(self, **changes: Any) -> None:
        self._kept = replace(self._kept, **changes)
        write_private(self._path, json.dumps(asdict(self._kept)).encode())


def _all(folder: Path) -> Iterator[tuple[Path, Kept]]:
    for path in sorted(folder.glob("*.json")):
        try:
            yield path, Kept(**json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise MezzotintError(
                f"{path}: what was kept of a submission is damaged ({type(error).__name__}); "
                "remove the file, and the submission begins anew"
            ) from None
