"""The secrets that the person log draws: signed by this terminal, or opened by it (SPEC §7.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from chat.storage.keys import OwnRow
from protocol.identity.drawing import open_renew, renew_operation
from protocol.identity.log import Renew, load, parse_operation, sign_operation
from protocol.identity.reduction import Pins, Reduction
from protocol.messages import SharedDrawn
from protocol.own_terminals import doubted
from protocol.primitives import KEY_SIZE, Random


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
