"""Attacks on the words, the link and the invitation of a pairing (SPEC §7.4, §7.5)."""

from __future__ import annotations

from dataclasses import replace as changed

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol import labels, primitives
from protocol.codec import encode
from protocol.errors import LocalMisuse
from protocol.link.states import LinkSecret, PairingFacts, Role
from protocol.messages import Close, Commit, Open, Record, Reveal
from protocol.pairing.invitation import invitation_check
from protocol.pairing.pairing import FINISHED, Pairing, State, WordsReady
from protocol.pairing.record import Transcript, make_record
from tests.support.protocol.pairings import (
    ANNA,
    BOB,
    MALLORY,
    REACHABLE,
    Person,
    Terminal,
    facts,
    id_of,
    identity,
    invited,
    nearby,
    nobody,
    reach,
    secret_pair,
    started,
    words_of,
)
from tests.support.protocol.samples import seeded

# --- Attacks on the words ---


def test_attack_01_a_man_in_the_middle_shows_other_words_and_gets_nothing() -> None:
    """Mallory pairs with each over links of its own; the words differ, both refuse, nothing is stored."""
    left = started(
        Pairing.nearby(facts("a-m"), Role.INITIATOR, identity(ANNA), nobody, seeded("1")),
        Pairing.nearby(facts("a-m"), Role.RESPONDER, identity(MALLORY), nobody, seeded("2")),
    ).carry()
    right = started(
        Pairing.nearby(facts("m-b"), Role.INITIATOR, identity(MALLORY), nobody, seeded("2")),
        Pairing.nearby(facts("m-b"), Role.RESPONDER, identity(BOB), nobody, seeded("3")),
    ).carry()
    anna, bob = left.initiator, right.responder
    assert words_of(anna) != words_of(bob)
    for side in (anna, bob):
        side.take(side.machine.refuse())
        assert side.pending is None
        assert not any(isinstance(message, Record) for message in side.sent)


def test_attack_01_messages_relayed_between_two_links_fail() -> None:
    """Mallory passes on what Anna and Bob send; their links differ, so Bob cannot open Anna's commitment."""
    meeting = nearby(ANNA, BOB, annas=facts("a-m"), bobs=facts("m-b")).carry()
    assert meeting.responder.failure == "authentication"
    assert not any(isinstance(event, WordsReady) for event in meeting.responder.events)


def test_attack_01_even_with_the_words_confirmed_a_foreign_link_fails() -> None:
    """If both people say yes without looking: the records are signed over another transcript."""
    meeting = nearby(ANNA, BOB, annas=facts("a-m")).carry(2)
    commitment = primitives.b2b(
        Transcript.of(facts(), Role.RESPONDER).t + seeded("nonce m")(32), personal=labels.COMMITMENT
    )
    bob = nearby(ANNA, BOB).responder
    bob.receive(Commit(commitment, "Anna")).receive(Open(seeded("nonce m")(32)))
    anna = meeting.initiator
    for side in (anna, bob):
        side.take(side.machine.confirm())
    anna.receive(bob.record)
    bob.receive(anna.record)
    assert (anna.failure, bob.failure) == ("authentication", "authentication")
    assert anna.pending is None
    assert bob.pending is None


def test_attack_02_a_nonce_chosen_after_the_peers_is_refused() -> None:
    """Whoever has seen nR cannot open another nonce than the one it committed to."""
    for index in range(64):
        responder = nearby(ANNA, BOB).carry(1).responder
        responder.receive(Open(seeded(f"ground {index}")(32)))
        assert responder.failure == "authentication"
        assert not any(isinstance(event, WordsReady) for event in responder.events)


def test_attack_02_the_commitment_tells_nothing_of_the_nonce() -> None:
    meeting = nearby(ANNA, BOB)
    commit = meeting.initiator.outbox[0]
    nonce = seeded("nonce a")(32)
    assert isinstance(commit, Commit)
    assert nonce not in encode(commit)
    others = {
        primitives.b2b(Transcript.of(facts(label), Role.INITIATOR).t + nonce, personal=labels.COMMITMENT)
        for label in ("link", "another link")
    }
    assert commit.commitment in others
    assert len(others) == 2


def test_attack_02_there_is_no_second_try_within_a_pairing() -> None:
    """One attempt a user action: a second commitment, reveal or opening ends it, and it stays ended."""
    initiator = nearby(ANNA, BOB).carry(2).initiator
    initiator.receive(Reveal(seeded("another")(32), "Bob"))
    assert initiator.failure == "unexpected"
    responder = nearby(ANNA, BOB).carry(1).responder
    responder.receive(Commit(bytes(32), "Anna"))
    assert responder.failure == "unexpected"
    sent = list(responder.sent)
    responder.receive(Open(seeded("nonce a")(32)))
    assert responder.sent == sent
    with pytest.raises(LocalMisuse):
        responder.machine.start()


def test_attack_02_the_words_depend_on_both_nonces_and_the_link() -> None:
    def words_with(first: str, second: str, link: str) -> tuple[str, ...]:
        meeting = started(
            Pairing.nearby(facts(link), Role.INITIATOR, identity(ANNA), nobody, seeded(first)),
            Pairing.nearby(facts(link), Role.RESPONDER, identity(BOB), nobody, seeded(second)),
        ).carry()
        return words_of(meeting.responder)

    shown = [
        words_with("1", "2", "x"),
        words_with("3", "2", "x"),
        words_with("1", "3", "x"),
        words_with("1", "2", "y"),
    ]
    assert len(set(shown)) == 4


# --- Attacks by what is sent ---


@pytest.mark.parametrize("state", [state for state in REACHABLE if state not in FINISHED])
def test_attack_06_own_messages_sent_back_end_the_pairing(state: State) -> None:
    """Reflection: nothing that a side sent is ever taken as the other's."""
    for message in reach(state).sent:
        side = reach(state).receive(message)
        assert side.failure in ("unexpected", "untrusted", "authentication")
        assert not side.completed


def test_attack_06_ones_own_person_is_no_contact() -> None:
    for meeting in (nearby(ANNA, ANNA), invited(ANNA, ANNA)):
        meeting.carry().confirm()
        assert "untrusted" in {side.failure for side in meeting.sides}
        assert not any(side.pending for side in meeting.sides)


FIELDS = ["handshake_hash", "share_initiator", "share_responder", "kem_key", "kem_ciphertext", "ratchet_key"]


@pytest.mark.parametrize("field", [*FIELDS, "secret"])
def test_attack_12_every_part_of_the_handshake_is_in_words_records_and_root(field: str) -> None:
    """KEM key or ciphertext swapped, or any other part: nothing that one side makes fits on the other."""
    good = facts()
    other: PairingFacts
    if field == "secret":
        other = changed(good, secret=LinkSecret(bytes(32)))
    else:
        value = getattr(good, field)
        other = changed(good, **{field: bytes([value[0] ^ 1]) + value[1:]})
    ours, theirs = Transcript.of(good, Role.INITIATOR), Transcript.of(other, Role.INITIATOR)
    assert ours.root != theirs.root
    assert (ours.t == theirs.t) == (field == "secret")
    meeting = nearby(ANNA, BOB, bobs=other).finish() if field != "secret" else None
    if meeting is not None:
        assert meeting.responder.failure == "authentication"
        assert not any(side.pending for side in meeting.sides)


def test_attack_12_another_kem_secret_is_noticed_at_the_latest_by_accept() -> None:
    meeting = nearby(ANNA, BOB, bobs=changed(facts(), secret=LinkSecret(bytes(32)))).carry().confirm()
    meeting.store()
    assert {side.failure for side in meeting.sides} & {"authentication"}
    assert not any(side.completed for side in meeting.sides)


# --- Invitations ---


def test_attack_17_an_invitation_serves_only_for_who_made_it() -> None:
    """Whoever learned the secret can open the link but not be the inviter, whom the check names."""
    for check in (
        invitation_check(MALLORY.id, BOB.first.static),
        invitation_check(BOB.id, MALLORY.first.static),
        bytes(32),
    ):
        meeting = invited(ANNA, BOB, check=check).finish()
        assert meeting.initiator.failure == "untrusted"
        assert meeting.initiator.pending is None
        assert not meeting.initiator.accepted
        assert meeting.responder.failure == "refused"
        assert not meeting.responder.completed


def test_attack_17_the_inviter_decides_about_the_joiner() -> None:
    meeting = invited(MALLORY, BOB).carry()
    meeting.responder.take(meeting.responder.machine.refuse())
    meeting.carry()
    assert meeting.initiator.failure == "refused"
    assert not any(side.pending or side.completed for side in meeting.sides)
    assert not any(isinstance(message, Record) for message in meeting.responder.sent)


# --- Records that must not be taken ---


# Each of these makes, of the record that Bob would send, one that Anna must not take.


def resigned(
    record: Record, seed: bytes = BOB.first.seed, role: Role = Role.RESPONDER, **fields: object
) -> Record:
    """The record with other fields, signed as it should be (or by another key or for another role)."""
    record = replace(record, **fields)
    core = encode(replace(record, signature=bytes(64)))
    digest = primitives.b2b(core, personal=labels.RECORD_CORE)
    text = labels.SIGN_RECORD + bytes([role]) + Transcript.of(facts(), role).t + digest
    return replace(record, signature=primitives.ed25519_sign(seed, text))


def verdict(record: Record, **rules: object) -> str:
    """How Anna, having confirmed the words, takes this record of Bob's."""
    anna = nearby(ANNA, BOB, **rules).carry().initiator  # type: ignore[arg-type]
    anna.take(anna.machine.confirm()).receive(record)
    assert (anna.failure == "") == (anna.pending is not None)
    assert not anna.completed
    return anna.failure


BOBS = make_record(identity(BOB), Transcript.of(facts(), Role.RESPONDER))


def test_attack_09_a_record_of_another_link_is_refused() -> None:
    """Unknown key share: Bob's record, made for his link with Mallory, comes on Mallory's link with Anna."""
    elsewhere = make_record(identity(BOB), Transcript.of(facts("bob and mallory"), Role.RESPONDER))
    assert verdict(elsewhere) == "authentication"


def test_attack_09_a_log_under_another_name_than_was_shown_is_refused() -> None:
    bob = Person("Bob")
    bob.rename(bob.first, "Carol")
    record = make_record(identity(bob), Transcript.of(facts(), Role.RESPONDER))
    assert verdict(record) == "untrusted"


def test_attack_09_a_key_of_another_person_is_refused() -> None:
    """Mallory's log with Bob's key in it would have Bob's link taken for Mallory's."""
    mallory = Person("Bob")
    mixed = Terminal(Terminal.named("mixed").seed, ANNA.first.secret)
    mallory.add(mallory.first, mixed)
    record = make_record(identity(mallory), Transcript.of(facts(), Role.RESPONDER))

    def foreign(key: bytes, person: bytes) -> bool:
        return person != ANNA.id and key in (ANNA.first.static, ANNA.first.signing)

    assert verdict(record, foreign=foreign) == "untrusted"
    assert verdict(BOBS, foreign=foreign) == ""


def test_attack_10_a_record_of_the_other_role_is_refused() -> None:
    assert verdict(make_record(identity(BOB), Transcript.of(facts(), Role.INITIATOR))) == "authentication"
    assert verdict(resigned(BOBS, role=Role.INITIATOR)) == "authentication"


def test_attack_10_a_record_names_a_terminal_and_nothing_else() -> None:
    for wrong in (BOB.id, BOB.first.signing, BOB.first.static, id_of(BOB.operations[1]), bytes(32)):
        assert verdict(resigned(BOBS, terminal=wrong)) == "untrusted"


def test_attack_11_signatures_of_other_uses_are_refused() -> None:
    """A signature of the person log, or one over the same text without its prefix, makes no record."""
    core = primitives.b2b(encode(replace(BOBS, signature=bytes(64))), personal=labels.RECORD_CORE)
    text = bytes([Role.RESPONDER]) + Transcript.of(facts(), Role.RESPONDER).t + core
    for prefix in (labels.SIGN_OPERATION, b"", labels.SIGN_RECORD[:-1]):
        signature = primitives.ed25519_sign(BOB.first.seed, prefix + text)
        assert verdict(replace(BOBS, signature=signature)) == "authentication"
    assert verdict(resigned(BOBS, seed=BOB.new.recovery_seed)) == "authentication"


def test_every_field_of_a_record_is_signed() -> None:
    for fields in (
        {"number": 2},
        {"share": bytes(32)},
        {"heads": [BOB.id]},
        {"operations": [BOB.operations[1], BOB.operations[0]]},
        {"signature": bytes(64)},
    ):
        assert verdict(replace(BOBS, **fields)) == "authentication"


def test_the_unaltered_record_passes() -> None:
    assert verdict(BOBS) == ""
    assert verdict(resigned(BOBS)) == ""


def two_terminals() -> tuple[Person, Terminal]:
    bob, second = Person("Bob"), Terminal.named("second of bob")
    bob.add(bob.first, second)
    return bob, second


def test_attack_15_a_removed_terminal_is_refused() -> None:
    bob, second = two_terminals()
    bob.remove(bob.first, second)
    record = resigned(
        BOBS, seed=second.seed, operations=bob.operations, terminal=second.id, heads=list(bob.state.heads)
    )
    assert verdict(record) == "untrusted"


def test_attack_15_a_removed_terminal_cannot_come_back_with_the_log_of_before() -> None:
    """A thief pairs anew with the log as it was before its removal; what is held of the person decides."""
    bob, second = two_terminals()
    before, heads = list(bob.operations), list(bob.state.heads)
    record = resigned(BOBS, seed=second.seed, operations=before, terminal=second.id, heads=heads)
    assert verdict(record) == ""
    bob.remove(bob.first, second)
    held = {bob.id: bob.operations}
    assert verdict(record, held=lambda person: held.get(person, ())) == "untrusted"


def test_attack_14_a_name_that_steers_a_screen_ends_the_pairing() -> None:
    for name in ("\x1b]52;c;x\x07", "\u202ebob", " ", "Bob\n"):
        initiator = nearby(ANNA, BOB).initiator.receive(Reveal(bytes(32), name))
        responder = nearby(ANNA, BOB).responder.receive(Commit(bytes(32), name))
        assert (initiator.failure, responder.failure) == ("malformed", "malformed")


def test_attack_14_two_contacts_of_one_name_are_two_persons() -> None:
    first = nearby(ANNA, BOB).finish().initiator.pending
    mallory = Person("Mallory")
    mallory.rename(mallory.first, "Bob")
    second = nearby(ANNA, mallory).finish().initiator.pending
    assert first is not None
    assert second is not None
    assert first.name == second.name == "Bob"
    assert first.person != second.person
    assert secret_pair(ANNA, first).newest() != secret_pair(ANNA, second).newest()


@given(
    st.lists(st.binary(max_size=80) | st.sampled_from(BOB.operations), min_size=1, max_size=4), st.binary()
)
def test_whatever_a_record_holds_the_machine_fails_and_never_raises(
    operations: list[bytes], data: bytes
) -> None:
    sized = (data + bytes(64))[:64]
    record = Record(operations, sized[:32], 1, sized[32:], [sized[:32]], sized)
    for state in (State.COMPARING, State.OFFERED, State.INVITED):
        side = reach(state).receive(record)
        assert side.failure in ("malformed", "untrusted", "authentication", "limit")
        assert side.sent[-1] == Close(3)
