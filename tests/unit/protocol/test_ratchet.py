"""Sessions: what they do, the fast and the plain route that are one, and foreign parameters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import hotpath, labels, ratchet
from protocol.errors import AuthenticationFailed, LimitExceeded, LocalMisuse, Malformed, ProtocolError
from protocol.hotpath import FastReceiving, FastRoot, FastSending, Workspace
from protocol.keys import X25519Pair
from protocol.limits import COUNTER_MAX
from protocol.primitives import AEGIS256, SODIUM, Aead
from protocol.ratchet import PlainSending, RatchetSession, parlour_parameters
from tests.support.protocol import ratchets as olm
from tests.support.protocol.ratchets import AEADS, CHAINS, chains, counters, kept, pair, refuse, snapshot
from tests.support.protocol.samples import seeded, u

# --- What a session does ---


def test_bob_cannot_send_first() -> None:
    _, bob = pair()
    with pytest.raises(LocalMisuse):
        bob.encrypt(b"")


def keys_in(state: object) -> set[bytes]:
    """Every byte string in a snapshot."""
    if isinstance(state, tuple):
        return set().union(*(keys_in(part) for part in state))
    return {state} if isinstance(state, bytes) else set()


def test_every_key_heals_after_a_round_trip() -> None:
    """A copy of all of Alice's state opens nothing that follows a round trip with new randomness."""
    alice, bob = pair()
    bob.decrypt(alice.encrypt(b"before"))
    alice.decrypt(bob.encrypt(b"answer"))
    stolen = snapshot(alice)
    bob.decrypt(alice.encrypt(b"still readable by the thief"))
    alice.decrypt(bob.encrypt(b"answer"))
    bob.decrypt(alice.encrypt(b"healed"))
    assert not keys_in(stolen) & keys_in(snapshot(alice))


def test_a_message_key_is_gone_once_used() -> None:
    """Forward secrecy in memory: after an envelope neither end holds its key, nor the chain key before."""
    alice, bob = pair()
    keys = []
    parameters = parlour_parameters(AEGIS256)
    sending = alice._sending
    assert isinstance(sending, FastSending)
    for _ in range(3):
        keys.append(parameters.kdf_ck(bytes(sending._view[:32])))
        bob.decrypt(alice.encrypt(b"content"))
    receiving = bob._receiving
    assert isinstance(receiving, FastReceiving)
    memory = bytes(sending._view[:]) + receiving.chain_key + bytes(receiving._step_view[:])
    for chain_key, message_key in keys:
        assert message_key not in memory
        assert (chain_key in memory) == (chain_key == keys[-1][0])


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turn_leaves_no_key_but_the_root_key_and_our_secret(turns: int) -> None:
    """The DH output, the root key between the two steps and both chain keys are wiped where they arose."""
    alice, bob = pair()
    for _ in range(turns):
        bob.decrypt(alice.encrypt(b"there"))
        alice.decrypt(bob.encrypt(b"and back"))
    for root in (alice._root, bob._root):
        assert isinstance(root, FastRoot)
        assert bytes(root._block[:32]) != bytes(32)
        assert bytes(root._block[32:160]) == bytes(128)


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "plain"])
def test_a_used_up_chain_is_followed_by_none(fast: bool) -> None:
    """A PN of 2^32-1 is refused on both routes, even where it would be the right one."""
    alice, bob = pair(parameters=parlour_parameters(AEGIS256, fast=fast))
    for _ in range(2):
        bob.decrypt(alice.encrypt(b"there"))
        alice.decrypt(bob.encrypt(b"and back"))
    bob.decrypt(alice.encrypt(b"there once more"))
    assert bob._receiving is not None
    assert alice._sending is not None
    bob._receiving.n = COUNTER_MAX
    alice._sending.n = COUNTER_MAX
    alice.decrypt(bob.encrypt(b"a turn"))
    refuse(bob, alice.encrypt(b"of a new chain"), LimitExceeded)


def test_erase_ends_a_session() -> None:
    alice, bob = pair()
    bob.decrypt(alice.encrypt(b"content"))
    bob.decrypt(alice.encrypt(b"x" * 20_000))
    envelope, sending, work, root = alice.encrypt(b"more"), alice._sending, bob._work, bob._root
    receiving = bob._receiving
    assert isinstance(sending, FastSending)
    assert isinstance(root, FastRoot)
    alice.erase()
    bob.erase()
    assert bytes(sending._view[:]) == bytes(64)
    assert work is not None
    assert bytes(work.opened.view[:]) == bytes(work.opened.size)
    assert isinstance(receiving, FastReceiving)
    assert bytes(receiving._view) == bytes(len(receiving._view))
    assert bytes(root._block) + bytes(root._secret) == bytes(256)
    for session in (alice, bob):
        with pytest.raises(LocalMisuse):
            session.encrypt(b"")
    with pytest.raises(LocalMisuse):
        bob.decrypt(envelope)


def test_the_sizes_that_a_peer_picks_fill_no_more_than_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hotpath, "_takers", {})
    monkeypatch.setattr(hotpath, "_TAKERS_MAX", 8)
    alice, bob = pair()
    for size in (*range(20), 3, 19):
        assert bob.decrypt(alice.encrypt(bytes(size))) == bytes(size)
        assert 0 < len(hotpath._takers) <= 8


def test_erase_leaves_no_key_of_a_skipped_envelope() -> None:
    alice, bob = pair(allow_skip=True)
    alice.encrypt(b"lost")
    bob.decrypt(alice.encrypt(b"content"))
    assert kept(bob) == 1
    bob.erase()
    assert kept(bob) == 0


# --- Two routes ---


@AEADS
@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5_000)), max_size=20))
def test_the_plain_route_gives_the_same_bytes(aead: Aead, turns: list[tuple[bool, int]]) -> None:
    """Every envelope of the hot path is that of its plain twin, and each opens the other's."""
    fast = pair(aead)
    plain = pair(parameters=parlour_parameters(aead, fast=False))
    alice_spoke = False
    for from_alice, size in turns:
        alice_spoke = alice_spoke or from_alice
        sender = 0 if from_alice or not alice_spoke else 1
        alice_spoke = True
        content = seeded(str(size))(size)
        envelope = fast[sender].encrypt(content)
        assert envelope == plain[sender].encrypt(content)
        assert fast[1 - sender].decrypt(envelope) == plain[1 - sender].decrypt(envelope) == content
        assert [snapshot(end)[:3] for end in fast] == [snapshot(end)[:3] for end in plain]


def test_without_the_binding_a_session_takes_the_plain_route(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratchet, "SODIUM", None)
    alice, bob = pair()
    assert isinstance(alice._sending, PlainSending)
    assert bob.decrypt(alice.encrypt(b"content")) == b"content"


@CHAINS
def test_a_chain_opens_only_its_next_envelope(fast: bool) -> None:
    sending, receiving = chains(5, fast=fast, pn=3)
    envelope = sending.seal(b"content")
    for other in (counters(envelope, n=4), counters(envelope, pn=2), u(10) + envelope[32:]):
        assert receiving.open_next(other) is None
    with pytest.raises(Malformed):
        receiving.open_next(envelope[:-1])
    assert receiving.open_next(envelope) == b"content"
    assert (receiving.n, receiving.pn) == (6, 3)


@CHAINS
@pytest.mark.parametrize("size", [0, 1, 253, 254, 8_000, 61_437])
def test_a_piece_after_its_flag_is_sealed_as_one_content(fast: bool, size: int) -> None:
    """Into a buffer that held a longer content before, so that the padding is written and not left over."""
    piece = seeded(str(size))(size)
    (whole, receiving), (parted, _) = chains(0, fast=fast), chains(0, fast=fast)
    for content in (b"\x01" * 61_438, b"\x01" + piece):
        envelope = whole.seal(content)
        assert parted.seal(memoryview(content)[1:], content[:1]) == envelope
        assert receiving.open_next(envelope) == content
    with pytest.raises(LocalMisuse):
        parted.seal(bytes(61_438), b"\x01")


@CHAINS
def test_a_wiped_chain_holds_no_key(fast: bool) -> None:
    sending, receiving = chains(0, fast=fast)
    sending.seal(b"content")
    sending.wipe()
    receiving.wipe()
    assert receiving.chain_key == bytes(32)
    with pytest.raises(AuthenticationFailed):
        chains(1, fast=fast)[1].open_next(sending.seal(b"under a wiped key"))


def test_a_buffer_that_grows_keeps_the_header_and_wipes_what_it_leaves() -> None:
    sending, receiving = chains(0, fast=True, pn=7)
    assert isinstance(sending, FastSending)
    left = sending._work.sealed.view
    large = b"x" * 20_000
    assert receiving.open_next(sending.seal(large)) == large
    assert bytes(left[:]) == bytes(len(left))
    assert receiving.open_next(sending.seal(b"small")) == b"small"


def test_the_hot_path_uses_the_registered_label() -> None:
    assert SODIUM is not None
    work = Workspace(SODIUM, AEGIS256)
    assert bytes(work.ffi.buffer(work.label, labels.PERSONAL_SIZE)).rstrip(b"\x00") == labels.CHAIN


# --- Foreign parameters ---


def recorded() -> dict[str, Any]:
    transcript: dict[str, Any] = json.loads(olm.TRANSCRIPT.read_text(encoding="utf-8"))
    return transcript


def bob(transcript: dict[str, Any]) -> RatchetSession:
    """Our end, from the first recorded message."""
    identity, one_time = (X25519Pair(bytes.fromhex(transcript[name])) for name in ("identity", "one_time"))
    first = bytes.fromhex(transcript["steps"][0]["message"])
    return olm.inbound(first, identity, one_time, iter([bytes.fromhex(key) for key in transcript["keys"]]))


def envelope(message: str) -> bytes:
    """The envelope within a recorded message: the first ones carry the beginning of the session too."""
    data = bytes.fromhex(message)
    return data if data[1:3] == b"\x0a\x20" and data[35] == 0x10 else olm.pre_key_parts(data)[3]


def test_a_recorded_conversation_runs_bit_for_bit() -> None:
    """Both directions, three chains each way, envelopes early and late: what vodozemac sealed opens here, and
    what it opened is what we seal."""
    transcript = recorded()
    session, done = bob(transcript), {"encrypt": 0, "decrypt": 0}
    for step in transcript["steps"]:
        content, done[step["do"]] = bytes.fromhex(step["content"]), done[step["do"]] + 1
        if step["do"] == "decrypt":
            assert session.decrypt(envelope(step["message"])) == content
        else:
            assert session.encrypt(content).hex() == step["message"]
    assert done == {"encrypt": 4, "decrypt": 6}
    assert kept(session) == 0


@pytest.mark.parametrize("position", [3, 30, 36, 40, -1])
def test_a_changed_byte_of_a_recorded_message_is_refused_and_changes_nothing(position: int) -> None:
    transcript = recorded()
    session = bob(transcript)
    first = bytearray(envelope(transcript["steps"][0]["message"]))
    first[position] ^= 1
    before = snapshot(session)
    with pytest.raises(ProtocolError):
        session.decrypt(bytes(first))
    assert snapshot(session) == before
    assert session.decrypt(envelope(transcript["steps"][0]["message"])) == b"first"
