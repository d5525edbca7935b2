"""The links with one contact's terminal: which one sends, and which ones may go (SPEC §6.5).

Rules: decisions only, no I/O. All links that are confirmed are read; entries go out on the one confirmed
last; a link is closed only by the side that began it, and only after another one has proved that it works.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chat.network.driver import Driver


@dataclass(eq=False, slots=True)
class LiveLink:
    """A confirmed link with a contact's terminal.

    `began`: this side dialled. `replaces`: the session it names, or b"". `carried`: the entries that this
    link has carried, so that none goes twice on it, and whether a receipt came for each. `address`: where the
    terminal is, empty through a relay.
    """

    driver: Driver
    session: bytes
    person: bytes
    terminal: bytes
    began: bool
    replaces: bytes
    address: str
    opened_at: float
    carried: dict[bytes, bool] = field(default_factory=dict)
    relayed: bool = field(init=False)
    """Whether it goes through a relay."""

    def __post_init__(self) -> None:
        self.relayed = not self.address

    @property
    def unanswered_since(self) -> float | None:
        """Since when (monotonic) the peer owes an answer, None if it owes none."""
        return self.driver.link.unanswered_since


class LinkSet:
    """The confirmed links with one terminal, oldest first."""

    def __init__(self, own_key: bytes, peer_key: bytes) -> None:
        self._outranks = own_key > peer_key
        self.links: list[LiveLink] = []
        self.current: LiveLink | None = None

    def confirmed(self, link: LiveLink) -> list[LiveLink]:
        """A link was confirmed: it sends from now on. Returns the links to ask for a keepalive answer."""
        self.links.append(link)
        self.current = link
        return list(self.links) if len(self.links) > 1 else []

    def answered(self, link: LiveLink) -> list[LiveLink]:
        """A keepalive asked for by `confirmed` was answered on `link`. Returns the links to close now."""
        closing = [other for other in self.links if other is not link and self._yields(other, link)]
        for other in closing:
            self.ended(other)
        return closing

    def _yields(self, other: LiveLink, link: LiveLink) -> bool:
        """Whether this side closes `other`, given that `link` works."""
        if link.replaces == other.session:
            return link.began
        if other.replaces == link.session or not other.began:
            return False
        if link.began:
            return self.links.index(other) < self.links.index(link)
        return self._outranks

    def ended(self, link: LiveLink) -> None:
        """A link ended or is about to: the newest of the others sends."""
        if link in self.links:
            self.links.remove(link)
        if self.current is link:
            self.current = self.links[-1] if self.links else None
