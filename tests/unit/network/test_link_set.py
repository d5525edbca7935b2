"""Which link sends and which may go, from both sides of one pair at once (SPEC §6.5); links per terminal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import pytest

from chat.network.links import DIRECT_MOST, RELAYED_MOST, Links, LinkSet, LiveLink, Peer
from chat.tasks import Beat
from protocol.link.states import Role

LOW, HIGH = b"\x01" * 32, b"\x02" * 32


def link(name: str, began: bool, replaces: str = "") -> LiveLink:
    driver: Any = object()
    session, named = name.encode(), replaces.encode()
    return LiveLink(driver, session, b"person", b"terminal", began, named, "10.0.0.1", 0.0, driver)


class Pair:
    """Both ends' view of the links between two terminals; `low` has the lower static key."""

    def __init__(self) -> None:
        self.low, self.high = LinkSet(LOW, HIGH), LinkSet(HIGH, LOW)
        self.ends: dict[str, tuple[LiveLink, LiveLink]] = {}

    def open(self, name: str, by_low: bool, replaces: str = "") -> None:
        self.ends[name] = link(name, by_low, replaces), link(name, not by_low, replaces)

    def confirm(self, side: str, name: str) -> None:
        (self.low if side == "low" else self.high).confirmed(self.ends[name][side == "high"])

    def settle(self, *order: str) -> set[str]:
        """The living links answer their keepalives on both sides; what one closes ends for the other."""
        for name in order:
            mine, theirs = self.ends[name]
            for links, here in ((self.low, mine), (self.high, theirs)):
                if here in links.links:
                    for closed in links.answered(here):
                        self._end(closed.session.decode())
        return {one.session.decode() for one in self.low.links}

    def _end(self, name: str) -> None:
        mine, theirs = self.ends[name]
        self.low.ended(mine)
        self.high.ended(theirs)


@pytest.mark.parametrize("low_sees", ["ab", "ba"])
@pytest.mark.parametrize("high_sees", ["ab", "ba"])
@pytest.mark.parametrize("named", ["", "old"])
@pytest.mark.parametrize("answers", ["ab", "ba"])
def test_attack_18_two_links_become_one(low_sees: str, high_sees: str, named: str, answers: str) -> None:
    pair = Pair()
    pair.open("a", by_low=True, replaces=named)
    pair.open("b", by_low=False, replaces=named)
    for side, seen in (("low", low_sees), ("high", high_sees)):
        for name in seen:
            pair.confirm(side, name)
    assert pair.settle(*answers) == {"a"}
    assert (pair.low.current, pair.high.current) == pair.ends["a"]


@pytest.mark.parametrize("by_low", [True, False])
@pytest.mark.parametrize("answers", [("old", "new"), ("new", "old")])
def test_a_link_that_names_another_replaces_it(by_low: bool, answers: tuple[str, str]) -> None:
    pair = Pair()
    pair.open("old", by_low=not by_low)
    pair.open("new", by_low=by_low, replaces="old")
    for side in ("low", "high"):
        pair.confirm(side, "old")
        pair.confirm(side, "new")
    assert pair.low.current is pair.ends["new"][0]
    assert pair.settle(*answers) == {"new"}


def test_the_newest_confirmed_link_sends_and_an_older_one_takes_over_when_it_ends() -> None:
    links = LinkSet(LOW, HIGH)
    old, new = link("old", True), link("new", False)
    assert links.confirmed(old) == []
    assert links.confirmed(new) == [old, new]
    assert links.current is new
    links.ended(new)
    assert links.current is old
    links.ended(old)
    assert links.current is None
    links, new = LinkSet(HIGH, LOW), link("new", True)  # of two that one side began the older goes
    links.confirmed(old)
    links.confirmed(new)
    assert links.answered(old) == []
    assert links.answered(new) == [old]
    assert links.answered(old) == [], "it is about to end"


PERSON = b"p" * 32
SENIORS = [bytes([number]) * 32 for number in range(2)]
JUNIORS = [bytes([number]) * 32 for number in range(10, 20)]


class Adopted:
    """The links that a terminal of Ada's has adopted, and those of them that it has cut."""

    def __init__(self) -> None:
        directory: Any = SimpleNamespace(
            identity=SimpleNamespace(static=SimpleNamespace(public=LOW)),
            may_link=lambda peer: True,
            holds=lambda person, psk, initiates: True,
            is_dialled=lambda peer: peer.static in SENIORS,
        )
        runtime: Any = SimpleNamespace(beat=Beat(), clock=SimpleNamespace(monotonic=lambda: 0.0), config=None)
        self.links = Links(runtime, directory, lambda signal: None)

    @property
    def cut(self) -> list[LiveLink]:
        return [link for link in self.links.all() if cast(Mock, link.driver.abort).called]

    async def take(self, terminal: bytes, *addresses: str) -> list[LiveLink]:
        """One more link with a terminal of the contact from each address, empty through a relay."""
        taken = []
        for address in addresses:
            driver: Any = AsyncMock(connection=SimpleNamespace(peer=address))
            driver.ping.return_value = None
            driver.abort = Mock()
            opened: Any = SimpleNamespace(
                person=PERSON,
                peer_static=terminal,
                contact_psk=None,
                session_id=b"s",
                role=Role.RESPONDER,
                replaces=b"",
            )
            events: Any = AsyncMock()
            assert await self.links.adopt(driver, opened, events) is self.links
            taken.append(self.links._of[driver])
        return taken


@pytest.mark.parametrize(
    ("address", "other", "most"), [("", "10.0.0.1", RELAYED_MOST), ("fd00::1", "", DIRECT_MOST)]
)
async def test_case_96_terminals_that_fill_their_links_end_only_their_own(
    address: str, other: str, most: int
) -> None:
    """Each way, direct and relayed, for itself. Those that are not dialled count together."""
    ada, (first, second) = Adopted(), SENIORS
    links = await ada.take(first, *[address] * (most + 2))
    assert ada.cut == links[:2]
    for junior in JUNIORS:
        links += await ada.take(junior, address)
    assert ada.cut == [*links[:2], *links[most + 2 :][: len(JUNIORS) - most]]
    await ada.take(second, *[address] * most)
    await ada.take(first, other)
    assert len(ada.cut) == 2 + len(JUNIORS) - most
    assert len(ada.links.sending(PERSON)) == 2 + most
    assert ada.links.current(Peer(PERSON, JUNIORS[0])) is None


async def test_case_89_the_newest_link_is_taken_and_who_has_the_most_loses_the_oldest() -> None:
    """A copy of a terminal's key does not keep out the owner, whose link stays while the copy has more."""
    ada, (terminal, _) = Adopted(), SENIORS
    copies = await ada.take(terminal, *["10.0.0.66"] * DIRECT_MOST)
    (owner,) = await ada.take(terminal, "10.0.0.2")
    copies += await ada.take(terminal, *["10.0.0.66"] * DIRECT_MOST)
    assert ada.cut == copies[: DIRECT_MOST + 1]
    assert ada.links.keeps(owner)
    await ada.take(terminal, *(f"10.0.1.{number}" for number in range(2 * DIRECT_MOST)))
    assert not ada.links.keeps(owner)
    (again,) = await ada.take(terminal, "10.0.0.2")
    assert ada.links.current(Peer(PERSON, terminal)) is again
