"""Attacks on sessions, by the numbers that they bear in the threat model's list."""

from __future__ import annotations

import random as pseudo

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from msgspec.structs import replace

from protocol.errors import AuthenticationFailed, LimitExceeded, Malformed, Unexpected
from protocol.keys import X25519Pair
from protocol.limits import COUNTER_MAX
from protocol.link.framing import pad
from protocol.primitives import AEGIS256, CHACHA20POLY1305, Aead
from protocol.ratchet import Parameters, RatchetSession, parlour_parameters
from tests.support.protocol.ratchets import (
    AEADS,
    CHAINS,
    ROOT,
    chains,
    counters,
    kept,
    pair,
    refuse,
    root_key,
)
from tests.support.protocol.samples import LOW_ORDER, seeded, spoiled, u


@AEADS
def test_attack_19_every_flip_and_every_cut(aead: Aead) -> None:
    """In the current chain, and where a flipped ratchet key asks for a new one."""
    alice, bob = pair(aead)
    for _ in range(2):
        envelope = alice.encrypt(b"content")
        for wrong in spoiled(envelope, 8):
            refuse(bob, wrong, AuthenticationFailed, Unexpected, Malformed)
        assert bob.decrypt(envelope) == b"content"


@AEADS
@pytest.mark.parametrize("seed", range(10))
def test_attack_21_out_of_order_in_the_core(aead: Aead, seed: int) -> None:
    """Over several chains, in a shuffled order: each is accepted once, with its own content."""
    alice, bob = pair(aead, allow_skip=True)
    waiting = [(alice.encrypt(b"start"), b"start")]
    order = pseudo.Random(seed)
    for turn in range(6):
        for n in range(8):
            content = b"%d.%d" % (turn, n)
            waiting.append((alice.encrypt(content), content))
        order.shuffle(waiting)
        for _ in range(order.randrange(1, len(waiting))):
            envelope, content = waiting.pop()
            assert bob.decrypt(envelope) == content
            refuse(bob, envelope, Unexpected, AuthenticationFailed)
        alice.decrypt(bob.encrypt(b"a new ratchet key"))
    for envelope, content in waiting:
        assert bob.decrypt(envelope) == content
    assert kept(bob) == 0


def counting() -> tuple[Parameters, list[int]]:
    """Plain parameters, and a list that grows with every chain step."""
    plain, steps = parlour_parameters(AEGIS256, fast=False), []

    def kdf_ck(chain_key: bytes) -> tuple[bytes, bytes]:
        steps.append(1)
        assert len(steps) < 5_000, "no bound on what is derived"
        return plain.kdf_ck(chain_key)

    return replace(plain, kdf_ck=kdf_ck), steps


@pytest.mark.parametrize("n", [1_001, 100_000, COUNTER_MAX - 3])
def test_attack_23_too_many_skipped(n: int) -> None:
    """Refused before a single key is derived: in this chain, in a new one, and at the end of the old one."""
    parameters, steps = counting()
    alice, bob = pair(allow_skip=True, parameters=parameters)
    refuse(bob, counters(alice.encrypt(b""), n=n), LimitExceeded)
    bob.decrypt(alice.encrypt(b""))
    next_in_chain = alice.encrypt(b"")
    alice.decrypt(bob.encrypt(b""))
    next_chain = alice.encrypt(b"")
    steps.clear()
    refuse(bob, counters(next_in_chain, n=n + 2), LimitExceeded)
    refuse(bob, counters(next_chain, n=n), LimitExceeded)
    refuse(bob, counters(next_chain, pn=n + 2), LimitExceeded)
    assert steps == []


def test_attack_23_a_forged_gap_keeps_no_key() -> None:
    """Skipped keys of an envelope that does not open are not stored."""
    alice, bob = pair(allow_skip=True)
    bob.decrypt(alice.encrypt(b""))
    refuse(bob, counters(alice.encrypt(b""), n=900), AuthenticationFailed)
    assert kept(bob) == 0


def test_attack_24_forged_header() -> None:
    """A new ratchet key in the header makes a step before the tag is checked: on the side, and dropped."""
    alice, bob = pair(allow_skip=True)
    bob.decrypt(alice.encrypt(b"content"))
    envelope = alice.encrypt(b"next")
    drawn: list[int] = []

    def draws(size: int) -> bytes:
        drawn.append(size)
        return bytes(size)

    bob._random = draws
    for label in range(20):
        forged = X25519Pair(seeded(f"forged {label}")(32)).public
        for pn, n in ((0, 0), (1, 0), (2, 5)):
            refuse(bob, forged + counters(envelope, pn=pn, n=n)[32:], AuthenticationFailed)
    assert drawn == []
    assert bob.decrypt(envelope) == b"next"


@CHAINS
def test_attack_26_and_40_the_last_envelope_of_a_chain(fast: bool) -> None:
    """2^32-2 is the last number; the one after it is neither sealed nor opened, and nothing wraps to 0."""
    sending, receiving = chains(COUNTER_MAX - 1, fast=fast)
    last = sending.seal(b"last")
    assert last[36:40] == b"\xff\xff\xff\xfe"
    assert receiving.open_next(last) == b"last"
    for _ in range(2):
        with pytest.raises(LimitExceeded):
            sending.seal(b"one more")
        with pytest.raises(LimitExceeded):
            receiving.open_next(counters(last, n=COUNTER_MAX))


def test_attack_40_no_message_key_serves_twice() -> None:
    """The nonce is constant, so that every key must be new: 2,000 envelopes, as many keys."""
    plain, used = parlour_parameters(AEGIS256, fast=False), []

    def encrypt(message_key: bytes, header: bytes, content: bytes) -> bytes:
        used.append(message_key)
        return plain.encrypt(message_key, header, content)

    alice, bob = pair(parameters=replace(plain, encrypt=encrypt))
    for turn in range(20):
        sender, receiver = (alice, bob) if turn % 2 == 0 else (bob, alice)
        for _ in range(100):
            receiver.decrypt(sender.encrypt(b"same content"))
    assert len(set(used)) == len(used) == 2_000


def test_attack_28_the_bound_holds_over_many_chains() -> None:
    alice, bob = pair(allow_skip=True)
    for _ in range(4):
        for _ in range(900):
            alice.encrypt(b"never arrives")
        bob.decrypt(alice.encrypt(b"arrives"))
        assert kept(bob) <= 2_000
        alice.decrypt(bob.encrypt(b"reply"))
    assert kept(bob) == 2_000


def test_attack_28_a_link_stores_none() -> None:
    alice, bob = pair()
    envelopes = [alice.encrypt(b"") for _ in range(3)]
    bob.decrypt(envelopes[0])
    refuse(bob, envelopes[2], Unexpected)
    assert bob._skipped is None


def _poly1305_terms(key: bytes, nonce: bytes) -> tuple[int, int]:
    """r and s of ChaCha20-Poly1305 (RFC 8439 §2.6), by the first block of the key stream."""
    block = Cipher(ChaCha20(key, bytes(4) + nonce), mode=None).encryptor().update(bytes(32))
    clamp = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    return int.from_bytes(block[:16], "little") & clamp, int.from_bytes(block[16:], "little")


def _two_key_ciphertext(one: bytes, two: bytes, nonce: bytes) -> bytes:
    """A ciphertext of two blocks that ChaCha20-Poly1305 opens under both keys, without associated data."""
    p = 2**130 - 5
    terms, lengths = [_poly1305_terms(key, nonce) for key in (one, two)], (32 << 64) + 2**128
    for attempt in range(1_000):
        filler = attempt + 2**128
        # (filler r^3 + x r^2 + lengths r) + s must be one number under both; x is the free block.
        rests = [(filler * r**3 + lengths * r + s) % p for r, s in terms]
        x = (rests[1] - rests[0]) * pow(terms[0][0] ** 2 - terms[1][0] ** 2, -1, p) % p
        tags = [((filler * r**3 + x * r**2 + lengths * r) % p + s) % 2**128 for r, s in terms]
        if 0 <= x - 2**128 < 2**128 and tags[0] == tags[1]:
            blocks = (filler - 2**128).to_bytes(16, "little") + (x - 2**128).to_bytes(16, "little")
            return blocks + tags[0].to_bytes(16, "little")
    raise AssertionError("no ciphertext found")


def test_attack_32_a_tag_commits_to_nothing() -> None:
    """The attack is real for one of the two AEADs, so that no rule may rest on a tag: ids decide."""
    one, two, nonce = bytes(range(32)), bytes(range(32, 64)), bytes(12)
    sealed = _two_key_ciphertext(one, two, nonce)
    first, second = (CHACHA20POLY1305.open(key, nonce, b"", sealed) for key in (one, two))
    assert first != second


@AEADS
def test_attack_32_associated_data_is_the_two_counters_alone(aead: Aead) -> None:
    """Free associated data would let an attacker build such a pair for AEGIS-256 too."""
    seen: list[bytes] = []

    def encrypt(data: bytes, ad: bytes, nonce: bytes, key: bytes) -> bytes:
        seen.append(ad)
        return aead.encrypt(data, ad, nonce, key)

    spied = replace(aead, encrypt=encrypt)
    alice, bob = pair(parameters=parlour_parameters(spied, fast=False))
    fast_alice, _ = pair(aead)
    for n in range(3):
        envelope = alice.encrypt(b"content")
        assert envelope == fast_alice.encrypt(b"content")
        assert seen[-1] == envelope[32:40] == bytes(7) + bytes([n])
        bob.decrypt(envelope)


@AEADS
def test_attack_32_an_envelope_opens_in_its_own_session_alone(aead: Aead) -> None:
    """Same ratchet keys, same counters, another root, another direction or another key: refused."""
    alice, _ = pair(aead)
    envelope = alice.encrypt(b"content")
    bob = X25519Pair(seeded("bob's first")(32))
    for root in (bytes(32), ROOT[:-1] + b"\x00"):
        other = RatchetSession.init_bob(root, bob, parameters=parlour_parameters(aead))
        refuse(other, envelope, AuthenticationFailed)


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


@CHAINS
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


@CHAINS
@PLACES
@pytest.mark.parametrize("padded", WRONG.values(), ids=WRONG)
def test_a_second_padded_form_is_refused(fast: bool, first: bool, padded: bytes) -> None:
    _, bob = met(fast=fast)
    refuse(bob, authentic(bob, padded, first=first), Malformed)
    assert bob.decrypt(authentic(bob, pad(b"content"), first=first)) == b"content"


@CHAINS
@pytest.mark.parametrize("value", LOW_ORDER)
def test_attack_04_a_low_order_ratchet_key_of_who_knows_the_root(fast: bool, value: int) -> None:
    """Its DH output is all zero whatever our secret is: the chain would be nobody's secret."""
    _, bob = met(fast=fast)
    refuse(bob, begun(bob, u(value), bytes(32), pad(b"content")), AuthenticationFailed)


@CHAINS
def test_a_ratchet_key_that_begins_a_second_chain_is_refused(fast: bool) -> None:
    """A peer that never renews its ratchet key would take the healing from the session."""
    alice, bob = met(fast=fast)
    alice._random = lambda size: seeded("alice's only key")(size)
    alice.decrypt(bob.encrypt(b"a turn"))
    bob.decrypt(alice.encrypt(b"under the key"))
    alice.decrypt(bob.encrypt(b"another turn"))
    refuse(bob, alice.encrypt(b"under the same key"), Unexpected)
