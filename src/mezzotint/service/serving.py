"""uvicorn, with what both services want of it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from mezzotint.errors import MezzotintError, MissingExtraError

if TYPE_CHECKING:
    from fastapi import FastAPI

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SECONDS_TO_END = 10


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections; port 0 takes a free one.

    Raises:
        MezzotintError: if the address is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise MezzotintError(
            f"{host}, port {port}: nothing can listen there ({error}); give another --port or "
            "--host, or end the program that does"
        ) from None
    return listener


def address(listener: socket.socket) -> str:
    """Where others find it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: FastAPI, listener: socket.socket, *, ended: Callable[[], None]) -> None:
    """Serve until the process is told to end.

    Args:
        app: the application.
        listener: where it listens.
        ended: called once nothing is served any more.
    """
    try:
        import uvicorn
    except ImportError:
        raise MissingExtraError(
            'serving needs uvicorn, which is not installed: pip install "mezzotint[encrypted]"'
        ) from None
    # Its own access log would hold paths and addresses; ours holds ids and sizes.
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="error",
        server_header=False,
        date_header=False,
        lifespan="off",
        timeout_keep_alive=30,
        limit_concurrency=64,
        timeout_graceful_shutdown=_SECONDS_TO_END,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        ended()
