"""Who may call at a relay how often: a token that is called for too often is not waited on for a while.

Rules: counts and times only. A token stands for one contact or one invitation, so that whoever calls all the
time keeps itself away, and nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chat.network.admission import Bucket

AT_ONCE: Final = 4.0
A_SECOND: Final = 0.1
"""Calls of one token: an honest contact calls once a link, and again where that one broke."""
RESTS: Final = 30.0
"""Seconds for which a token that was called for more often is not waited on."""
_SEEN_MAX: Final = 256


class Callers:
    """The calls of each token of late."""

    def __init__(self) -> None:
        self._calls: dict[bytes, Bucket] = {}
        self._rest: dict[bytes, float] = {}

    def called(self, token: bytes, now: float) -> bool:
        """It was called for; whether that was once too often, so that it rests for RESTS seconds."""
        bucket = self._calls.pop(token, None) or Bucket(A_SECOND, AT_ONCE, AT_ONCE, now)
        self._calls[token] = bucket
        if len(self._calls) > _SEEN_MAX:
            del self._calls[next(iter(self._calls))]
        if bucket.take(now):
            return False
        self._rest[token] = now + RESTS
        return True

    def heard(self, tokens: Sequence[bytes], now: float) -> list[bytes]:
        """Those of these tokens that do not rest."""
        self._rest = {token: until for token, until in self._rest.items() if until > now}
        return [token for token in tokens if token not in self._rest]
