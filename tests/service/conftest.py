"""A provider's application without a socket, and a line to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from mezzotint.service.client import ProviderClient
from mezzotint.service.connection import Connection
from mezzotint.service.jobs import Jobs
from mezzotint.service.limits import Limits
from mezzotint.service.provider import ProviderSettings, provider_app


class Straight(httpx.BaseTransport):
    """From a client to an application, without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._way = httpx.ASGITransport(app, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            body = request.read()
            asked = httpx.Request(
                request.method, request.url, headers=request.headers, content=body
            )
            answer = await self._way.handle_async_request(asked)
            return httpx.Response(
                answer.status_code, headers=answer.headers, content=await answer.aread()
            )

        return asyncio.run(ask())


@dataclass
class Served:
    """A provider in this process.

    Attributes:
        app: its application.
        jobs: its jobs; nothing works on them.
        store: its folder.
        log: what it has logged.
    """

    app: FastAPI
    jobs: Jobs
    store: Path
    log: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def line(self) -> Connection:
        """A line to it."""
        return Connection("http://provider", "provider", patience=0, transport=Straight(self.app))

    def client(self) -> ProviderClient:
        """What a data holder speaks through."""
        return ProviderClient(self.line())

    def http(self) -> httpx.Client:
        """For requests that no client of ours makes."""
        return httpx.Client(base_url="http://provider", transport=Straight(self.app))


@pytest.fixture
def served(tmp_path) -> Callable[..., Served]:
    """Makes providers over one store."""

    def make(limits: Limits | None = None, **settings: object) -> Served:
        log: list[tuple[str, dict[str, object]]] = []
        store = tmp_path / "provider"
        app, jobs = provider_app(
            ProviderSettings(store, limits=limits or Limits(), **settings),  # type: ignore[arg-type]
            lambda event, **facts: log.append((event, facts)),
        )
        return Served(app, jobs, store, log)

    return make


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """Files to send, as a job has them."""
    folder = tmp_path / "upload"
    folder.mkdir()
    made = {}
    for name, size in (("job.json", 300), ("uploads/ab/c0.ct", 70_000), ("uploads/ab/c1.ct", 9)):
        made[name] = folder / name.replace("/", "-")
        made[name].write_bytes(bytes(i * 7 % 251 for i in range(size)))
    return made
