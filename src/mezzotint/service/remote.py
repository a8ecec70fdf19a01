"""The key holder as a provider's job sees it: a line over HTTP."""

from __future__ import annotations

from mezzotint.encrypted.provider import ChannelError
from mezzotint.encrypted.refusal import Refusal
from mezzotint.service.connection import Connection, RefusedByServiceError, ServiceError


class RemoteKeyHolder:
    """A `KeyHolderPort` over HTTP.

    Args:
        line: to the key holder.
        job: the job's id there.
        token: opens the exchange of this job's messages, and nothing else.
    """

    def __init__(self, line: Connection, job: str, token: str) -> None:
        self._line = line
        self._job = job
        self._token = token
        self.exchanges = 0

    def exchange(self, message: bytes) -> bytes:
        """Send a message until there is an answer; sent twice, it is answered alike.

        Raises:
            Refusal: if the key holder refuses.
            ChannelError: if it does not answer; the job goes on later.
        """
        self.exchanges += 1
        try:
            return self._line.ask(
                "POST", f"/v1/jobs/{self._job}/exchange", token=self._token, content=message
            )
        except RefusedByServiceError:
            raise Refusal(f"the key holder refused a message of {len(message)} bytes") from None
        except ServiceError as error:
            raise ChannelError(str(error)) from None
