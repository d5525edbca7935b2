"""`doctor` from inside a running engine: what it knows of where terminals are, without whose they are.

Rules: a contact with a living direct link is not looked for; whoever greets where one is sought is asked for
its keys by an ordinary link, which stays if it opens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from chat.doctor import Context, Relay, Sought
from chat.doctor import diagnose as examine
from chat.interface import DiagnosisView
from chat.network.addresses import format_address, parse
from chat.ports import Ports
from chat.service.parts import Parts
from chat.storage.database import Database
from chat.storage.vault import Vault
from protocol.events import LinkOpen

WITHIN = 1.5
"""Seconds for the link that shows who it is."""


async def diagnose(parts: Parts, vault: Vault, ports: Ports) -> tuple[DiagnosisView, ...]:
    """All checks, with this engine's port, profile and database."""
    world = parts.world

    async def database() -> str:
        problems = await world.store.read(Database.integrity)
        return problems[0] if problems else ""

    context = Context(
        port=world.port,
        listening=True,
        profile=vault.folder,
        heard=parts.announcing.heard,
        days_ahead=parts.announcing.days_ahead(),
        sought=tuple(sought(parts)),
        relays=tuple(_relays(parts, ports)),
        began=parts.began,
        promised=tuple(_promised(parts)),
        visible=world.visibility.visible,
        transport=ports.transport,
        clock=ports.clock,
        database=database,
    )
    return await examine(context)


def sought(parts: Parts) -> Iterator[Sought]:
    """Contacts, strangers who announce themselves, and who made an invitation that was tried in vain."""
    announced = parts.announcing.announced()
    for person in parts.world.keyring.linkable():
        link = parts.world.links.current(person)
        present = link is not None and parts.world.links.is_present(person)
        if link is not None and present and not link.relayed:
            yield Sought(((link.address, 0),), linked=True)
            continue
        # Whoever is met at a relay is missed here only where they are announced.
        hints = () if present else parts.world.keyring.hints(person)
        if places := announced.get(person) or hints:
            yield Sought(tuple(places), heard=person in announced, is_it=_meets(parts, person))
    yield from (Sought(places, heard=True) for places in parts.announcing.strangers())
    if parts.meeting.unanswered:
        yield Sought(parts.meeting.unanswered)


def _relays(parts: Parts, ports: Ports) -> Iterator[Relay]:
    """Those that this person named; two keys at one place are told apart by their order."""
    shown: Counter[str] = Counter()
    for relay in parts.relays.addresses():
        place = format_address(relay.host, relay.port)
        shown[place] += 1
        name = place if shown[place] == 1 else f"{place} ({shown[place]})"
        yield Relay(name, relay.key, partial(ports.transport.connect_relay, relay))


def _meets(parts: Parts, person: bytes) -> Callable[[], Awaitable[bool]]:
    async def is_it() -> bool:
        return isinstance(await parts.dialler.dial(person, WITHIN), LinkOpen)

    return is_it


def _promised(parts: Parts) -> Iterator[str]:
    """The addresses in invitations that are still open."""
    now = parts.world.clock.wall() // 1000
    for opened in parts.world.keyring.invitations.values():
        if opened.burned_by is None and not opened.invitation.expired(now):
            yield from (parse(address)[0] for address in opened.invitation.addresses)
