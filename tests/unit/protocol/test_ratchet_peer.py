"""A peer that holds all keys of the session and breaks its rules: both routes refuse, unchanged."""

from __future__ import annotations

import pytest

from protocol.errors import AuthenticationFailed, Malformed, Unexpected
from protocol.keys import X25519Pair
from protocol.link.framing import pad
from protocol.primitives import AEGIS256
from protocol.ratchet import RatchetSession, parlour_parameters
from tests.support.protocol.ratchets import pair, refuse, root_key
from tests.support.protocol.samples import LOW_ORDER, seeded, u

ROUTES = pytest.mark.parametrize("fast", [True, False], ids=["fast", "plain"])
PLACES = pytest.mark.parametrize("first", [True, False], ids=["of a new chain", "next of its chain"])
PARAMETERS = parlour_parameters(AEGIS256)


def met(*, fast: bool) -> tuple[RatchetSession, RatchetSession]:
    """Alice and Bob after a message each way and one more."""
    alice, bob = pair(parameters=parlour_parameters(AEGIS256, fast=fast))
    bob.decrypt(alice.encrypt(b"there"))
    alice.decrypt(bob.encrypt(b"and back"))
    bob.decrypt(alice.encrypt(b"and there"))
    return alice, bob


def sealed(chain_key: bytes, header: bytes, padded: bytes) -> bytes:
    """An envelope of the first message key of a chain, around any plaintext."""
    message_key = PARAMETERS.kdf_ck(chain_key)[1]
    return header + AEGIS256.seal(message_key, bytes(32), header[32:], padded)


def begun(bob: RatchetSession, public: bytes, shared: bytes, padded: bytes) -> bytes:
    """The envelope of a new chain under a ratchet key and what its maker takes for the DH output."""
    assert bob._root is not None
    assert bob._receiving is not None
    chain_key = PARAMETERS.kdf_rk(root_key(bob._root), shared, public, bob._root.public)[1]
    return sealed(chain_key, public + bob._receiving.n.to_bytes(4, "big") + bytes(4), padded)


def authentic(bob: RatchetSession, padded: bytes, *, first: bool) -> bytes:
    """An envelope that opens, around any plaintext."""
    root, receiving = bob._root, bob._receiving
    assert root is not None
    assert receiving is not None
    if first:
        fresh = X25519Pair(seeded("fresh")(32))
        return begun(bob, fresh.public, fresh.dh(root.public), padded)
    header = root.theirs + receiving.pn.to_bytes(4, "big") + receiving.n.to_bytes(4, "big")
    return sealed(receiving.chain_key, header, padded)


@ROUTES
@PLACES
def test_what_it_seals_by_the_rules_opens(fast: bool, first: bool) -> None:
    _, bob = met(fast=fast)
    assert bob.decrypt(authentic(bob, pad(b"content"), first=first)) == b"content"


WRONG = {
    "a byte behind the content": pad(b"content")[:-1] + b"\x01",
    "a byte right behind it": (9).to_bytes(2, "big") + b"x" * 10 + bytes(244),
    "more than its content demands": pad(b"content") + bytes(16),
    "less than its content demands": (1_000).to_bytes(2, "big") + bytes(254),
    "a length of all ones": b"\xff\xff" + bytes(254),
    "one byte over the smallest size": (255).to_bytes(2, "big") + bytes(254),
    "a filling that is not zero, of a large one": pad(b"x" * 1_000)[:-1] + b"\x01",
}


@ROUTES
@PLACES
@pytest.mark.parametrize("padded", WRONG.values(), ids=WRONG)
def test_a_second_padded_form_is_refused(fast: bool, first: bool, padded: bytes) -> None:
    _, bob = met(fast=fast)
    refuse(bob, authentic(bob, padded, first=first), Malformed)
    assert bob.decrypt(authentic(bob, pad(b"content"), first=first)) == b"content"


@ROUTES
@pytest.mark.parametrize("value", LOW_ORDER)
def test_attack_04_a_low_order_ratchet_key_of_who_knows_the_root(fast: bool, value: int) -> None:
    """Its DH output is all zero whatever our secret is: the chain would be nobody's secret."""
    _, bob = met(fast=fast)
    refuse(bob, begun(bob, u(value), bytes(32), pad(b"content")), AuthenticationFailed)


@ROUTES
def test_a_ratchet_key_that_begins_a_second_chain_is_refused(fast: bool) -> None:
    """Whoever never renews its ratchet key would take the healing from the session."""
    alice, bob = met(fast=fast)
    alice._random = lambda size: seeded("alice's only key")(size)
    alice.decrypt(bob.encrypt(b"a turn"))
    bob.decrypt(alice.encrypt(b"under the key"))
    alice.decrypt(bob.encrypt(b"another turn"))
    refuse(bob, alice.encrypt(b"under the same key"), Unexpected)
