"""What a relay sees in a day of use: no name, no key of a person or terminal, no token on two days.

SPEC §18 says what it does see. Each kind of leak is planted once, and seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import combinations
from pathlib import Path

import pytest

from chat.network.relay import client
from protocol.relay.messages import write_hello
from protocol.relay.rendezvous import contact_token, invitation_token
from tests.support.engines.engines import Person, SeeingRelay, in_virtual_time, invite, named, people, talk

HOUR = 3_600.0
BEFORE_MIDNIGHT = 15.5 * HOUR
"""From the beginning of virtual time to half an hour before a UTC day ends."""
NAMES = ("Adalbertine", "Benedikta", "Cyprianus")
SAID = "the heron waits in the reeds"


@asynccontextmanager
async def three(folder: Path, later: float = 0.0) -> AsyncIterator[tuple[list[Person], list[SeeingRelay]]]:
    """Three persons on three networks, and two relays that all of them reach; the first has named both.

    All clocks are so many seconds ahead.
    """
    async with people(folder, *NAMES) as (network, persons):
        relays = [SeeingRelay(network, host).start() for host in ("192.0.2.1", "192.0.2.2")]
        for clock in (*(person.clock for person in persons), *(relay.clock for relay in relays)):
            clock.offset_ms = int(later * 1_000)
        for one, other in combinations(persons, 2):
            network.part(one.host, other.host)
        for relay in relays:
            await named(persons[0], relay)
        yield persons, relays


def leaks(persons: list[Person], relays: list[SeeingRelay]) -> list[str]:
    """What the relays should not have seen."""
    texts, keys = kept_from_a_relay(persons)
    found = [name for relay in relays for name in relay.sight.finds(texts, keys)]
    repeats = sum(relay.sight.repeats() for relay in relays)
    found += [f"{repeats} tokens on two days"] if repeats else []
    one, other = (set().union(*relay.sight.tokens.values()) for relay in relays)
    return found + ([f"{len(one & other)} tokens at two relays"] if one & other else [])


def kept_from_a_relay(persons: list[Person]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Texts, and keys and ids, by what they are."""
    texts = {f"the name {name}": name.encode() for name in NAMES} | {"what was said": SAID.encode()}
    keys: dict[str, bytes] = {}
    for person in persons:
        parts = person.engine._use_cases
        own = parts.keyring.own_log
        keys[f"{person.name}: person id"] = own.person
        keys |= {f"{person.name}: terminal id": terminal for terminal in own.live}
        public = {
            own.recovery.ed25519,
            *(key for one in own.terminals() for key in (one.signing, one.static)),
        }
        keys |= {f"{person.name}: a key of its log, {n}": key for n, key in enumerate(sorted(public))}
        for other in parts.keyring.contacts:
            secret = parts.keyring.pairs(other)[0].announced()[0]
            keys[f"{person.name}: contact secret with {other.hex()}"] = secret.reveal()
            meeting = secret.meeting_key(own.person, other)
            keys[f"{person.name}: meeting key for {other.hex()}"] = meeting
    return texts, keys


async def a_day(ada: Person, ben: Person, cyd: Person) -> None:
    """More than a day: pairing, talk, terminals that come, go and are killed, unused invitations."""
    await ada.engine.invite()  # and it is open at midnight
    await asyncio.sleep(HOUR)
    await invite(ada, ben)
    await invite(ben, cyd)
    for hour in range(0, 30, 6):
        await talk(ada, ben, f"{SAID} {hour}")
        await talk(cyd, ben, f"{SAID} still {hour}")
        await ben.engine.invite()
        await ben.stop()
        await cyd.crash()
        await asyncio.sleep(5.5 * HOUR)
        await ben.start()
        await cyd.start()
        await asyncio.sleep(0.4 * HOUR)
    assert await ada.texts(ben) == await ben.texts(ada)


@in_virtual_time(limit=40 * HOUR)
async def test_a_day(tmp_path: Path) -> None:
    async with three(tmp_path, BEFORE_MIDNIGHT) as (persons, relays):
        await a_day(*persons)
        assert leaks(persons, relays) == []
        for relay in relays:
            assert len(relay.sight.tokens) == 3  # days
            assert relay.sight.dialled > 5
            assert set(relay.sight.waited) <= set(client.TOKEN_COUNTS)
            assert sum(map(len, relay.sight.streams)) > 100_000


CONTACT = "chat.service.keyring.contact_token"
INVITATION = "chat.service.keyring.invitation_token"
HELLO = "protocol.relay.messages.write_hello"


@pytest.mark.parametrize(
    ("name", "planted", "seen"),
    [
        (CONTACT, lambda key, _, *rest: contact_token(key, 0, *rest), "tokens on two days"),
        (INVITATION, lambda made, _, relay: invitation_token(made, 0, relay), "tokens on two days"),
        (CONTACT, lambda key, day, _, own: contact_token(key, day, bytes(32), own), "tokens at two relays"),
        (CONTACT, lambda key, day, relay, own: own[8:24], "a key of its log"),
        (HELLO, lambda *rest: write_hello(*rest) + NAMES[0].encode(), "the name Adalbertine"),
    ],
)
@in_virtual_time(limit=2 * HOUR)
async def test_a_planted_leak_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, planted: Callable[..., bytes], seen: str
) -> None:
    async with three(tmp_path, BEFORE_MIDNIGHT) as (persons, relays):
        await invite(persons[0], persons[1])
        monkeypatch.setattr(name, planted)
        await persons[0].engine.invite()
        await persons[0].stop()
        await persons[0].start()
        await asyncio.sleep(HOUR)
        assert any(seen in leak for leak in leaks(persons, relays))
