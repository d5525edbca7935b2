"""When a contact or relay is tried again; no I/O.

A contact that was there a moment ago is probed often, since TCP alone takes ten seconds or more after a cut.
"""

from __future__ import annotations

from msgspec import Struct

from chat.config import Config

STUMBLES_FREE = 3
"""Links in a row that may end in their first moments, as in a flapping network, without a slowdown."""


class Backoff(Struct):
    """The pauses between attempts to link with one contact. `last_sign`: of life, in monotonic seconds.

    `stumbles`: links in a row that ended as soon as they were open, for example because a disk is full.
    """

    config: Config
    last_sign: float | None = None
    failures: int = 0
    refused: bool = False
    stumbles: int = 0

    def heard(self, now: float) -> None:
        self.last_sign = now

    def encouraged(self, now: float) -> None:
        """The contact can probably be reached now: earlier failures do not count."""
        self.last_sign, self.failures, self.refused, self.stumbles = now, 0, False, 0

    def opened(self, now: float) -> None:
        """A link is open; `ended` decides whether it was a success."""
        self.last_sign, self.failures, self.refused = now, 0, False

    def ended(self, lasted: bool) -> None:
        self.stumbles = 0 if lasted else self.stumbles + 1
        self.failures += not lasted

    @property
    def stumbling(self) -> bool:
        """Whether another link would probably end at once too."""
        return self.stumbles > STUMBLES_FREE

    def failed(self, refused: bool) -> None:
        """An attempt ended without a link. `refused`: something answered that is not the contact."""
        self.failures += 1
        self.refused = refused

    def probing(self, now: float) -> bool:
        """Whether the contact was there so recently that it is probed."""
        recent = self.last_sign is not None and now - self.last_sign < self.config.probe_for
        return recent and not self.refused

    def delay(self, now: float) -> float:
        if self.refused:
            return self.config.retry_most
        if self.stumbling:
            return min(self.config.retry_most, self.config.probe_every * 2.0 ** min(self.stumbles, 10))
        if self.probing(now):
            return self.config.probe_every
        return min(self.config.retry_most, self.config.probe_every * 2.0 ** min(self.failures, 10))

    def timeout(self, now: float) -> float:
        return self.config.probe_timeout if self.probing(now) else self.config.dial_timeout


class Pauses(Struct):
    """Pauses from `least` to `most` seconds, each twice the last."""

    least: float
    most: float
    failures: int = 0

    def reset(self) -> None:
        """Earlier failures do not count any more."""
        self.failures = 0

    def failed(self) -> None:
        self.failures += 1

    def delay(self, fraction: float) -> float:
        """Seconds to wait now, 0 if nothing has failed. `fraction`: 0 to 1, the position in the spread."""
        if not self.failures:
            return 0.0
        longest = min(self.most, self.least * 2.0 ** min(self.failures - 1, 20))
        return longest * (0.5 + fraction / 2)
