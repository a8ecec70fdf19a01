"""The provider's application: takes ciphertexts, works on them, gives back a model.

    POST   /v1/jobs                        a declaration -> the job's id and its owner's token
    POST   /v1/jobs/ID/tickets             -> a token for others who send a part
    POST   /v1/jobs/ID/parts/N             another part's declaration
    GET    /v1/jobs/ID/parts/N             what of it is still missing
    PUT    /v1/jobs/ID/parts/N/PATH?offset=       a chunk
    POST   /v1/jobs/ID/parts/N/complete    all of it is there
    POST   /v1/jobs/ID/start               the key holder's address and a token for it
    GET    /v1/jobs/ID                     state, progress, how it ended
    GET    /v1/jobs/ID/model               the result
    DELETE /v1/jobs/ID

Whoever may make a job: everybody on the same machine, or who shows the invitation. All else takes
the job's own token. This process looks at sizes and digests only: what was uploaded is opened by
the job's own process, and decryption is nowhere in reach of either.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mezzotint.service.connection import check_url
from mezzotint.service.files import write_private
from mezzotint.service.invitation import require_invitation
from mezzotint.service.jobs import JobFolder, Jobs, State
from mezzotint.service.limits import Limits
from mezzotint.service.logs import Log, silent
from mezzotint.service.progress import read_progress
from mezzotint.service.refusals import HinderedError, Obstacle, RefusedError
from mezzotint.service.tokens import Scope, Tokens
from mezzotint.service.uploads import Upload
from mezzotint.service.web import (
    FastAPI,
    Request,
    Response,
    application,
    aside,
    bearer,
    body,
    job_id,
    whole,
)
from mezzotint.service.wire import PROVIDER


@dataclass(frozen=True)
class ProviderSettings:
    """How a provider is run.

    Attributes:
        store: the folder that holds its jobs.
        invitation: the proof that a stranger has to show; None to let in whoever can reach it.
        keyholder: the only key holder that it speaks to; None for any that a job's owner names.
        limits: how much it takes.
    """

    store: Path
    invitation: str | None = None
    keyholder: str | None = None
    limits: Limits = field(default_factory=Limits)


def provider_app(settings: ProviderSettings, log: Log = silent) -> tuple[FastAPI, Jobs]:
    """The application, and its jobs, which the caller sets going (`Jobs.run`)."""
    limits = settings.limits
    jobs = Jobs(settings.store, limits, log)
    tokens = Tokens(jobs.store / "tokens.json")
    app = application(PROVIDER, log)

    def owned(request: Request, name: str, *scopes: Scope) -> JobFolder:
        tokens.require(bearer(request), (Scope.OWN, *scopes), job_id(name))
        return jobs.find(name)

    def create(content: bytes) -> dict[str, Any]:
        job = jobs.create(content)
        return {"job": job.id, "token": tokens.issue(Scope.OWN, job.id, limits.hours)}

    @app.post("/v1/jobs")
    async def make(request: Request) -> dict[str, Any]:
        if settings.invitation is not None:
            require_invitation(settings.invitation, bearer(request))
        return await aside(create, await body(request, limits.small))

    @app.post("/v1/jobs/{name}/tickets")
    async def ticket(request: Request, name: str) -> dict[str, Any]:
        job = owned(request, name)
        return {"token": await aside(tokens.issue, Scope.ADD, job.id, limits.hours)}

    @app.post("/v1/jobs/{name}/parts/{part}")
    async def join(request: Request, name: str, part: str) -> dict[str, Any]:
        job = owned(request, name, Scope.ADD)
        await aside(jobs.join, job, whole(part), await body(request, limits.small))
        return {}

    @app.get("/v1/jobs/{name}/parts/{part}")
    async def missing(request: Request, name: str, part: str) -> dict[str, Any]:
        job = owned(request, name, Scope.ADD)
        return await aside(_missing, job.upload(whole(part)))

    @app.post("/v1/jobs/{name}/parts/{part}/complete")
    async def complete(request: Request, name: str, part: str) -> dict[str, Any]:
        job = owned(request, name, Scope.ADD)
        await aside(job.upload(whole(part)).complete)
        log("uploaded", job=job.id, part=part)
        jobs.wake()
        return {}

    @app.put("/v1/jobs/{name}/parts/{part}/{path:path}")
    async def chunk(request: Request, name: str, part: str, path: str) -> dict[str, Any]:
        job = owned(request, name, Scope.ADD)
        upload = job.upload(whole(part))
        data = await body(request, limits.chunk)
        offset = whole(request.query_params.get("offset"))
        now = await aside(upload.append, path, offset, data)
        log("chunk", job=job.id, file=path, bytes=len(data))
        return {"offset": now}

    @app.post("/v1/jobs/{name}/start")
    async def start(request: Request, name: str) -> dict[str, Any]:
        job = owned(request, name)
        given = _start(await body(request, limits.small), settings.keyholder)
        await aside(_begin, job, given)
        jobs.wake()
        log("started", job=job.id)
        return {}

    @app.get("/v1/jobs/{name}")
    async def watch(request: Request, name: str) -> dict[str, Any]:
        return await aside(_status, jobs, owned(request, name, Scope.ADD))

    @app.get("/v1/jobs/{name}/model")
    async def model(request: Request, name: str) -> Response:
        job = owned(request, name, Scope.ADD)
        if jobs.state(job) is not State.DONE:
            raise HinderedError(Obstacle.NOT_FINISHED)
        return Response(await aside(job.model.read_bytes), media_type="application/octet-stream")

    @app.delete("/v1/jobs/{name}")
    async def delete(request: Request, name: str) -> dict[str, Any]:
        job = owned(request, name)
        await aside(jobs.delete, job)
        tokens.revoke(job.id)
        return {}

    return app, jobs


def _missing(upload: Upload) -> dict[str, Any]:
    """How far each file has come that is not there yet."""
    missing = {
        path: offset
        for path, file in upload.blobs.items()
        if (offset := upload.offset(path)) < file.size
    }
    return {"missing": missing, "complete": upload.is_complete}


def _start(content: bytes, only: str | None) -> bytes:
    """The key holder's address and the token for it, checked."""
    try:
        given = json.loads(content)
        url, token = check_url(given["keyholder"], "keyholder"), given["token"]
    except Exception:
        raise RefusedError("a malformed start") from None
    if only is not None and url != only:
        raise RefusedError("a key holder that is not this provider's")
    if not isinstance(token, str) or not 20 < len(token) < 200 or not token.isascii():
        raise RefusedError("a malformed token for the key holder")
    return json.dumps({"keyholder": url, "token": token}).encode()


def _begin(job: JobFolder, given: bytes) -> None:
    if not job.upload(0).is_complete:
        raise HinderedError(Obstacle.NOT_COMPLETE)
    if not job.start.exists():
        write_private(job.start, given)


def _status(jobs: Jobs, job: JobFolder) -> dict[str, Any]:
    """Where a job stands; everything in it is public."""
    state, progress, outcome = jobs.state(job), read_progress(job.progress), job.outcome
    return {
        "job": job.id,
        "state": state.value,
        "parts": [job.part(n).exists() and job.upload(n).is_complete for n in range(job.parts)],
        "progress": None if progress is None else asdict(progress),
        "message": "" if outcome is None else outcome.message,
        "facts": None if outcome is None else outcome.facts,
    }
