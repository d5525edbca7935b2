"""Draws self keys and shares again that a removal has made stale (SPEC §7.6, §7.8.2)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from chat.service.keyring import pairs_of
from chat.storage import keys, persons
from chat.storage.database import Database
from chat.storage.keys import OWN, OwnRow, ShareRow
from protocol.limits import SHARE_NUMBERS_MAX
from protocol.pairing.contact_secret import Pair
from protocol.pairing.renewal import Drawn, Measure, draw_key, draw_share, number_of
from protocol.primitives import Random


class Renewed(Struct, frozen=True):
    """This terminal with its self keys, and pairings with contacts, once something was drawn or taken."""

    own: OwnRow
    pairs: dict[bytes, tuple[Pair, ...]]


def draw(database: Database, random: Random, *, removes: bool) -> Renewed | None:
    """Draw again what is stale, if it is this terminal's turn; None if nothing was drawn.

    `removes`: it has just signed a removal. Else it is the turn of the most senior live terminal.
    """
    own = keys.read_own(database)
    log, pins = persons.operations_of(database, own.person), persons.pins_of(database, own.person)
    measure = Measure(log, pins)
    if own.terminal != measure.senior and not removes:
        return None
    drawn, seed = set[bytes](), own.signing_seed
    newest = keys.self_keys(database)[-1]
    is_stale = measure.is_stale(newest.heads)
    if is_stale:
        keys.add_self_key(database, draw_key(own.person, measure.heads, own.terminal, seed, random))
    for contact, root, heads in keys.newest_shares(database, OWN):
        if measure.is_stale(heads):
            made = draw_share(own.person, contact, root, measure.heads, own.terminal, seed, random)
            add_share(database, contact, OWN, root, made)
            drawn.add(contact)
    return read_renewed(database, drawn) if drawn or is_stale else None


def is_drawn(database: Database, renewed: Renewed | None) -> bool:
    """Whether all that was drawn is stored."""
    return renewed is None or read_renewed(database, renewed.pairs) == renewed


def read_renewed(database: Database, contacts: Iterable[bytes]) -> Renewed:
    """This terminal, and the pairings with some contacts, as they are stored."""
    own = keys.read_own(database)
    return Renewed(own, {person: pairs_of(database, own.person, person) for person in contacts})


def add_share(database: Database, contact: bytes, owner: str, root: bytes, drawn: Drawn) -> None:
    """Store a share that was drawn as the newest of its owner in the pairing with this root."""
    number, heads = number_of(drawn.secret), list(drawn.heads)
    said = ShareRow(contact, owner, number, drawn.secret, heads, root, drawn.terminal, drawn.signature)
    keys.add_share(database, said)
    keys.bound_shares(database, contact, root, owner, SHARE_NUMBERS_MAX)
