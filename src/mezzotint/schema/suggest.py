"""Did you mean ...?"""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The tail of an error message: the nearest known words, or a few of them."""
    from difflib import get_close_matches

    known = list(known)
    folded = {k.casefold(): k for k in reversed(known)}
    near = get_close_matches(word.casefold(), folded, n=3, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(repr(folded[n]) for n in near)}?"
    shown = ", ".join(repr(k) for k in known[:8]) + (", ..." if len(known) > 8 else "")
    return f"; there are {shown}"
