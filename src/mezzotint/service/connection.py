"""A line to a service: patient where the line fails, plain where the service says no."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from mezzotint.errors import MezzotintError, MissingExtraError, ParameterError

if TYPE_CHECKING:
    import httpx

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_MOST_ANSWER = 1 << 30


class ServiceError(MezzotintError):
    """A service cannot be reached, or said no."""


class RefusedByServiceError(ServiceError):
    """A service gave its constant refusal, which does not say why."""


class ObstacleError(ServiceError):
    """A service named an obstacle.

    Attributes:
        code: its name, such as "offset".
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def check_url(url: str, option: str) -> str:
    """The address of a service, without a slash at its end.

    Raises:
        ParameterError: if it is no plain http or https address.
    """
    try:
        parts = urlsplit(url)
        plain = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        plain = False
    else:
        plain = plain and not (parts.query or parts.fragment or parts.username or parts.password)
    if not plain or not url.isprintable() or " " in url or len(url) > 500:
        raise ParameterError(
            f"{option} {url}: this is no service's address; give one such as http://127.0.0.1:8401"
        )
    return url.rstrip("/")


class Connection:
    """A line to one service.

    Args:
        url: its address, checked by `check_url`.
        role: what it must be: "provider" or "key holder".
        patience: seconds for which it may be unreachable, being restarted, say.
        transport: another way there, for tests.
    """

    def __init__(
        self,
        url: str,
        role: str,
        *,
        patience: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingExtraError(
                'speaking to services needs httpx: pip install "mezzotint[encrypted]"'
            ) from None
        self._httpx = httpx
        self.url = url
        self.role = role
        self.patience = patience
        self.sent = self.received = 0
        # A redirect would carry a token elsewhere; a proxy from the environment would see it.
        self._client = httpx.Client(
            base_url=url,
            transport=transport,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(10.0, read=600.0, write=60.0),
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        content: bytes = b"",
        query: Mapping[str, str | int] | None = None,
    ) -> bytes:
        """Ask until there is an answer; everything that is asked may be asked twice.

        Raises:
            ServiceError: if nobody answers in time, or the service says no.
        """
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        give_up, pause = time.monotonic() + self.patience, _FIRST_PAUSE
        while True:
            try:
                answer = self._client.request(
                    method, path, content=content, headers=headers, params=query
                )
                break
            except self._httpx.TransportError as error:
                if time.monotonic() + pause > give_up:
                    raise ServiceError(
                        f"{self.url}: the {self.role} does not answer ({type(error).__name__}); "
                        "start it, or check the address, and repeat the command: it goes on from "
                        "where it was"
                    ) from None
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        self.sent += len(content)
        self.received += len(answer.content)
        if answer.status_code == 200:
            return answer.content
        raise self._no(answer.status_code, answer.content)

    def ask_json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The same, for an answer that is a JSON object."""
        try:
            answer = json.loads(self.ask(method, path, **options))
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ServiceError(f"{self.url}: this is no Mezzotint {self.role}; check the address")
        return answer

    def require_role(self) -> None:
        """Make sure that the other side is what it should be, and speaks the same version."""
        from mezzotint.service.wire import WIRE

        told = self.ask_json("GET", "/v1/health")
        role, wire = told.get("role"), told.get("wire")
        if role != self.role:
            raise ServiceError(
                f"{self.url}: this is a {role!r}, not a {self.role}; swap the addresses"
            )
        if wire != WIRE:
            raise ServiceError(
                f"{self.url}: it speaks version {wire} of the protocol, this program version "
                f"{WIRE}; use the same version of Mezzotint on both sides"
            )

    def close(self) -> None:
        """End it."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _no(self, status: int, content: bytes) -> ServiceError:
        try:
            told = json.loads(content)
            code, message = str(told["error"]), str(told.get("message", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            return ServiceError(
                f"{self.url}: it answered {status}, as no Mezzotint {self.role} does; check the "
                "address"
            )
        if code == "refused":
            return RefusedByServiceError(
                f"{self.url}: the {self.role} refused, and does not say why. The usual reasons: an "
                "invitation or a token that is not (or no longer) valid, keys of another key "
                "holder, or files that were changed; its own log names the reason"
            )
        return ObstacleError(f"{self.url}: {message}", code)
