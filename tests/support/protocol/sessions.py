"""Two ends of a session with fixed keys, their whole state, and single chains."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.errors import ProtocolError
from protocol.hotpath import FastReceiving, FastRoot, FastSending, Workspace
from protocol.keys import X25519Pair
from protocol.primitives import AEGIS256, CHACHA20POLY1305, SODIUM, Aead
from protocol.ratchet import (
    Parameters,
    PlainReceiving,
    PlainRoot,
    PlainSending,
    RatchetSession,
    parlour_parameters,
)
from tests.support.protocol.points import seeded, u

AEADS = pytest.mark.parametrize("aead", [AEGIS256, CHACHA20POLY1305], ids=lambda aead: str(aead.name))
ROOT = bytes(range(32))


def pair(
    aead: Aead = AEGIS256, *, allow_skip: bool = False, parameters: Parameters | None = None
) -> tuple[RatchetSession, RatchetSession]:
    """Alice and Bob with fixed ratchet keys."""
    common: dict[str, Any] = {
        "parameters": parameters or parlour_parameters(aead),
        "allow_skip": allow_skip,
    }
    bob = X25519Pair(seeded("bob's first")(32))
    alice = RatchetSession.init_alice(ROOT, bob.public, seeded("alice"), **common)
    return alice, RatchetSession.init_bob(ROOT, bob, seeded("bob"), **common)


def snapshot(session: RatchetSession) -> tuple[object, ...]:
    """Every state variable of Double Ratchet §3.2."""
    sending, receiving, root = session._sending, session._receiving, session._root
    if isinstance(sending, FastSending):
        sent: object = (bytes(sending._view[:]), sending.n)
    else:
        sent = sending and (sending._chain_key, sending.n)
    return (
        root and root.public,
        root and root.theirs,
        root and root_key(root),
        sent,
        receiving and (receiving.chain_key, receiving.n, receiving.pn),
        {place: kept.key.reveal() for place, kept in session._mkskipped.items()},
    )


def root_key(root: FastRoot | PlainRoot) -> bytes:
    """The root key, 32 bytes, as it is committed."""
    return bytes(root._block[:32]) if isinstance(root, FastRoot) else root._key.reveal()


def refuse(session: RatchetSession, envelope: bytes, *errors: type[ProtocolError]) -> None:
    """Opening raises one of errors and leaves every state variable as it was."""
    before = snapshot(session)
    with pytest.raises(errors):
        session.decrypt(envelope)
    assert snapshot(session) == before


def counters(envelope: bytes, *, pn: int | None = None, n: int | None = None) -> bytes:
    """An envelope with other counters in its header."""
    old_pn, old_n = envelope[32:36], envelope[36:40]
    new_pn = old_pn if pn is None else pn.to_bytes(4, "big")
    return envelope[:32] + new_pn + (old_n if n is None else n.to_bytes(4, "big")) + envelope[40:]


CHAINS = pytest.mark.parametrize("fast", [True, False], ids=["fast", "plain"])


def chains(
    n: int, *, fast: bool, pn: int = 0
) -> tuple[FastSending | PlainSending, FastReceiving | PlainReceiving]:
    """A sending and a receiving chain at N."""
    key, dh = bytes(range(32)), u(9)
    if fast:
        assert SODIUM is not None
        ends = Workspace(SODIUM, AEGIS256), Workspace(SODIUM, AEGIS256)
        return FastSending(ends[0], key, dh, pn, n), FastReceiving(ends[1], key, dh, pn, n)
    plain = parlour_parameters(AEGIS256, fast=False)
    return PlainSending(plain, key, dh, pn, n), PlainReceiving(plain, key, dh, pn, n)
