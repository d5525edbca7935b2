"""What this terminal draws: secrets in its person's log, and shares that removals made stale (SPEC §7.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from chat.service.keyring import pairs_of
from chat.storage import keys, persons
from chat.storage.database import Database
from chat.storage.keys import OWN, OwnRow, ShareRow
from protocol.identity.drawing import open_renew, renew_operation
from protocol.identity.log import Renew, load, parse_operation, sign_operation
from protocol.identity.reduction import Pins, Reduction
from protocol.limits import SHARES_NAMED_MAX
from protocol.messages import SharedDrawn
from protocol.own_terminals import doubted
from protocol.pairing.contact_secret import Pair
from protocol.pairing.renewal import Drawn, Measure, draw_share
from protocol.primitives import KEY_SIZE, Random

Pairs = dict[bytes, tuple[Pair, ...]]
"""The pairings with contacts, by person."""


def renew_upon(
    operations: Iterable[bytes], pins: Pins, own: OwnRow, random: Random
) -> tuple[bytes, SharedDrawn]:
    """A Renew that this terminal signs upon these operations, and what it draws.

    Terminals of a recovery that is not confirmed get random bytes instead: a thief of the words could have
    brought them in.
    """
    reduction, secret = Reduction(load(operations), pins), random(KEY_SIZE)
    made = renew_operation(reduction, own.terminal, own.first_self_key, secret, random)
    left_out = doubted(reduction.state(), pins.confirmed)
    sealed = zip(reduction.live_upto(made.parents), made.sealed, strict=False)
    boxes = [random(len(box)) if terminal in left_out else box for terminal, box in sealed]
    made = replace(made, sealed=boxes)
    signed = sign_operation(made, own.signing_seed)
    return signed, SharedDrawn(parse_operation(signed).id, secret)


def opened(
    operations: Iterable[bytes], pins: Pins, own: OwnRow, new: Sequence[bytes]
) -> tuple[SharedDrawn, ...]:
    """What the Renews among `new`, which are some of these operations, hand to this terminal."""
    renews = [one.id for one in map(parse_operation, new) if isinstance(one.operation, Renew)]
    if not renews:
        return ()
    reduction = Reduction(load(operations), pins)
    this = reduction.terminals().get(own.terminal)
    if this is None:
        return ()
    secrets = (open_renew(reduction, one, this, own.first_self_key, own.static_secret) for one in renews)
    return tuple(SharedDrawn(one, secret) for one, secret in zip(renews, secrets, strict=True) if secret)


def draw(database: Database, random: Random, *, removes: bool) -> Pairs | None:
    """Draw again the shares that are stale, if it is this terminal's turn; None if nothing was drawn.

    `removes`: it has just signed a removal. Else it is the turn of the most senior live terminal.
    """
    own = keys.read_own(database)
    log, pins = persons.operations_of(database, own.person), persons.pins_of(database, own.person)
    measure = Measure(log, pins)
    if own.terminal != measure.senior and not removes:
        return None
    drawn, seed = set[bytes](), own.signing_seed
    for contact, root, heads in keys.newest_shares(database, OWN):
        if measure.is_stale(heads):
            made = draw_share(own.person, contact, root, measure.heads, own.terminal, seed, random)
            add_share(database, contact, OWN, root, made)
            drawn.add(contact)
    return read_pairs(database, drawn) if drawn else None


def is_drawn(database: Database, renewed: Pairs | None) -> bool:
    """Whether all that was drawn is stored."""
    return renewed is None or read_pairs(database, renewed) == renewed


def read_pairs(database: Database, contacts: Iterable[bytes]) -> Pairs:
    """The pairings with some contacts, as they are stored."""
    own = keys.read_own(database).person
    return {person: pairs_of(database, own, person) for person in contacts}


def add_share(database: Database, contact: bytes, owner: str, root: bytes, drawn: Drawn) -> None:
    """Store a share that was drawn as the newest of its owner in the pairing with this root."""
    heads = list(drawn.heads)
    said = ShareRow(contact, owner, drawn.secret, heads, root, drawn.terminal, drawn.signature)
    keys.add_share(database, said)
    keys.bound_shares(database, contact, root, owner, SHARES_NAMED_MAX)
