"""How a role says no to another role: one sentence, whatever the reason."""

from __future__ import annotations

from mezzotint.errors import MezzotintError


class Refusal(MezzotintError):  # noqa: N818 - what it is called between the roles
    """A role refuses what another one sent.

    Its text is the same for every reason, because an answer that tells a cheat what was wrong
    tells it something about the ciphertexts. The reason is for the refuser's own log: it names
    sizes and ids, never a value.
    """

    TEXT = (
        "the request was refused, and nothing was released: check that every role works on the "
        "same job, with the same keys, from intact files"
    )

    def __init__(self, reason: str) -> None:
        super().__init__(self.TEXT)
        self.reason = reason

    def __repr__(self) -> str:
        return f"Refusal({self.reason!r})"
