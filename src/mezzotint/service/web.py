"""What both services share: an application, bodies within limits, tokens in headers.

Whatever goes wrong is answered in one place: `HinderedError` with its fixed reason, all else,
unforeseen errors included, with the one constant refusal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from mezzotint.encrypted.refusal import Refusal
from mezzotint.errors import MissingExtraError
from mezzotint.service.logs import Log
from mezzotint.service.refusals import REFUSED, HinderedError, Obstacle, RefusedError
from mezzotint.service.wire import WIRE

try:
    from fastapi import FastAPI, Request, Response
    from fastapi.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
except ImportError:
    raise MissingExtraError(
        'serving needs FastAPI, which is not installed: pip install "mezzotint[encrypted]"'
    ) from None

JOB = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
_T = TypeVar("_T")


def application(role: str, log: Log) -> FastAPI:
    """An application with nothing but the answers to what goes wrong, and `/v1/health`."""
    app = FastAPI(title=f"mezzotint {role}", openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/v1/health")
    def health() -> dict[str, Any]:
        return {"role": role, "wire": WIRE}

    async def hindered(_: Request, error: Exception) -> Response:
        assert isinstance(error, HinderedError)
        log("hindered", reason=error.obstacle.name)
        told = {"error": error.obstacle.name.lower(), "message": error.obstacle.told}
        return Response(json.dumps(told), error.obstacle.status, media_type="application/json")

    async def refused(_: Request, error: Exception) -> Response:
        # The text of an unforeseen error could quote what was sent: only its type is kept.
        log(
            "refused",
            reason=str(error) if isinstance(error, RefusedError) else type(error).__name__,
        )
        return Response(REFUSED[1], REFUSED[0], media_type="application/json")

    async def gone(_: Request, error: Exception) -> Response:
        log("disconnected")
        return Response(status_code=400)

    app.add_exception_handler(HinderedError, hindered)
    app.add_exception_handler(ClientDisconnect, gone)
    for kind in (RefusedError, Refusal, HTTPException):
        app.add_exception_handler(kind, refused)
    app.middleware("http")(_last_resort(refused))
    return app


def _reason(error: Exception) -> str:
    if isinstance(error, Refusal):
        return error.reason
    return str(error) if isinstance(error, RefusedError) else type(error).__name__


def _last_resort(refused: Callable[[Request, Exception], Any]) -> Callable[..., Any]:
    async def guard(request: Request, call_next: Callable[[Request], Any]) -> Response:
        try:
            return await call_next(request)
        except Exception as error:  # an oracle otherwise, and the service must survive
            return await refused(request, error)

    return guard


async def body(request: Request, most: int) -> bytes:
    """The body, if it is no longer than allowed; a longer one is not even read.

    Raises:
        HinderedError: if it is longer.
    """
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > most:
        raise HinderedError(Obstacle.TOO_LARGE)
    held = bytearray()
    async for piece in request.stream():
        held += piece
        if len(held) > most:
            raise HinderedError(Obstacle.TOO_LARGE)
    return bytes(held)


def bearer(request: Request) -> str | None:
    """The token that a request shows."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token if kind == "Bearer" and token else None


def job_id(text: str) -> str:
    """A job's id, if it is spelt like one; nothing else ever becomes part of a path."""
    if not JOB.fullmatch(text):
        raise RefusedError("a malformed job id")
    return text


def whole(text: str | None) -> int:
    """A whole number from a query."""
    if text is None or not text.isdecimal() or len(text) > 15:
        raise RefusedError("a malformed number")
    return int(text)


async def aside(work: Callable[..., _T], *arguments: Any) -> _T:
    """Do what takes time outside of the event loop."""
    return await run_in_threadpool(work, *arguments)
