"""The key holder's application: decrypts what a signed plan allows, with noise, and nothing else.

    POST  /v1/jobs                a holder's registration -> a receipt, and tokens for the job
    POST  /v1/jobs/ID/exchange    one message of the protocol -> its answer
    GET   /v1/jobs/ID             what has been released, and each role's view

A registration takes the invitation; everything else a token for that job: one to exchange
messages, which its owner passes to the provider, and one to look on. Messages may come twice, and
are answered alike; all that is wrong with one gets the constant refusal.
"""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mezzotint.encrypted.keyholder import KeyHolder
from mezzotint.encrypted.wire import MAX_MESSAGE, Message
from mezzotint.service.files import private_folder
from mezzotint.service.invitation import require_invitation
from mezzotint.service.limits import Limits
from mezzotint.service.logs import Log, silent
from mezzotint.service.refusals import RefusedError
from mezzotint.service.tokens import Scope, Tokens
from mezzotint.service.web import (
    FastAPI,
    Request,
    Response,
    application,
    aside,
    bearer,
    body,
    job_id,
)
from mezzotint.service.wire import KEY_HOLDER


@dataclass(frozen=True)
class KeyHolderSettings:
    """How a key holder is run.

    Attributes:
        keys: the folder with the secret key.
        state: the folder with its ledger and its jobs.
        invitation: the proof that a data holder has to show.
        limits: how much it takes.
    """

    keys: Path
    state: Path
    invitation: str
    limits: Limits


def keyholder_app(settings: KeyHolderSettings, log: Log = silent) -> tuple[FastAPI, KeyHolder]:
    """The application, and the role behind it, which the caller closes."""
    limits = settings.limits
    state = private_folder(settings.state)
    holder = KeyHolder.open(settings.keys, state)
    tokens = Tokens(state / "tokens.json")
    app = application(KEY_HOLDER, log)
    one_at_a_time = threading.Lock()

    def register(registration: bytes) -> dict[str, Any]:
        with one_at_a_time:
            receipt = holder.open_job(registration)
        job = str(Message.from_bytes(receipt).fields["job"])
        log("registered", job=job, bytes=len(registration))
        return {
            "job": job,
            "receipt": base64.b64encode(receipt).decode(),
            "decrypt": tokens.issue(Scope.DECRYPT, job, limits.hours),
            "watch": tokens.issue(Scope.WATCH, job, limits.hours),
        }

    def exchange(job: str, message: bytes) -> bytes:
        if Message.from_bytes(message).fields.get("job") != job:
            raise RefusedError(f"job {job}: a message of another job")
        with one_at_a_time:
            answer = holder.answer(message)
        log("exchanged", job=job, bytes=len(message), answered=len(answer))
        return answer

    @app.post("/v1/jobs")
    async def open_job(request: Request) -> dict[str, Any]:
        require_invitation(settings.invitation, bearer(request))
        return await aside(register, await body(request, limits.small))

    @app.post("/v1/jobs/{name}/exchange")
    async def talk(request: Request, name: str) -> Response:
        job = job_id(name)
        tokens.require(bearer(request), (Scope.DECRYPT,), job)
        answer = await aside(exchange, job, await body(request, MAX_MESSAGE))
        return Response(answer, media_type="application/octet-stream")

    @app.get("/v1/jobs/{name}")
    async def watch(request: Request, name: str) -> dict[str, Any]:
        job = job_id(name)
        tokens.require(bearer(request), (Scope.WATCH,), job)
        return await aside(holder.job, job)

    return app, holder
