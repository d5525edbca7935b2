"""Attacks on the words, the link and the invitation of a pairing (SPEC §7.4, §7.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as changed

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol import labels, primitives
from protocol.codec import encode
from protocol.errors import LocalMisuse
from protocol.identity.exchange import before_recovery, in_view
from protocol.identity.reduction import NO_PINS, Pins
from protocol.keys import X25519Pair
from protocol.link.states import LinkSecret, PairingFacts, Role
from protocol.messages import Close, Commit, Open, Record, Reveal
from protocol.pairing.comparison import WordsReady
from protocol.pairing.invitation import invitation_check
from protocol.pairing.pairing import FINISHED, Pairing, State
from protocol.pairing.record import Identity, Transcript, make_record
from tests.support.protocol.pairings import (
    ANNA,
    BOB,
    MALLORY,
    REACHABLE,
    SECOND,
    THIEF,
    THIRD,
    Meeting,
    Person,
    Terminal,
    facts,
    id_of,
    identity,
    invited,
    last_of,
    nearby,
    reach,
    secret_pair,
    started,
)
from tests.support.protocol.samples import seeded

NEW = Terminal.named("new")

# --- Attacks on the words ---


def test_attack_01_messages_relayed_between_two_links_fail() -> None:
    """Mallory passes on what Anna and Bob send; their links differ, so Bob cannot open Anna's commitment."""
    meeting = nearby(ANNA, BOB, annas=facts("a-m"), bobs=facts("m-b", Role.RESPONDER)).carry()
    assert meeting.responder.failure == "authentication"
    assert not any(isinstance(event, WordsReady) for event in meeting.responder.events)


def test_attack_01_even_with_the_words_confirmed_a_foreign_link_fails() -> None:
    """If both people say yes without looking: the records are signed over another transcript."""
    meeting = nearby(ANNA, BOB, annas=facts("a-m")).carry(2)
    commitment = primitives.b2b(
        Transcript.of(facts(), Role.RESPONDER).t + seeded("nonce m")(32),
        personal=labels.COMMITMENT,
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
    good = facts(role=Role.RESPONDER)
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
    other = changed(facts(role=Role.RESPONDER), secret=LinkSecret(bytes(32)))
    meeting = nearby(ANNA, BOB, bobs=other).carry().confirm()
    meeting.store()
    assert {side.failure for side in meeting.sides} & {"authentication"}
    assert not any(side.completed for side in meeting.sides)


# --- Invitations ---


def test_attack_17_an_invitation_serves_only_for_who_made_it() -> None:
    """A thief of the secret can open the link but not be the inviter, whom the check names."""
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


# --- Records that must not be taken ---


def verdict(record: Record) -> str:
    """How Anna, having confirmed the words, takes this record of Bob's."""
    anna = nearby(ANNA, BOB).carry().initiator
    anna.take(anna.machine.confirm()).receive(record)
    assert (anna.failure == "") == (anna.pending is not None)
    assert not anna.completed
    return anna.failure


BOBS = make_record(identity(BOB), Transcript.of(facts(role=Role.RESPONDER), Role.RESPONDER))


def test_attack_09_a_record_of_another_link_is_refused() -> None:
    """Unknown key share: Bob's record, made for his link with Mallory, comes on Mallory's link with Anna."""
    elsewhere = Transcript.of(facts("bob and mallory", Role.RESPONDER), Role.RESPONDER)
    assert verdict(make_record(identity(BOB), elsewhere)) == "authentication"


def test_attack_11_signatures_of_other_uses_are_refused() -> None:
    """A signature of the person log, or one over the same text without its prefix, makes no record."""
    bare = replace(BOBS, proof=bytes(32), signature=bytes(64))
    core = primitives.b2b(encode(bare), personal=labels.RECORD_CORE)
    text = bytes([Role.RESPONDER]) + Transcript.of(facts(), Role.RESPONDER).t + core + BOBS.proof
    for prefix in (labels.SIGN_OPERATION, b"", labels.SIGN_RECORD[:-1], labels.SIGN_RECORD):
        signature = primitives.ed25519_sign(BOB.first.seed, prefix + text)
        right = prefix == labels.SIGN_RECORD
        assert verdict(replace(BOBS, signature=signature)) == ("" if right else "authentication")


def test_a_share_of_what_draws_nothing_is_refused() -> None:
    """Of a Renew or the genesis alone both persons have a place in the order of shares."""
    bob = Person("Bob")
    bob.add(bob.first, SECOND)
    bob.renew(bob.first)
    genesis, rename, add, renew = map(id_of, bob.operations)
    for operation, failure in (
        (genesis, ""),
        (renew, ""),
        (rename, "malformed"),
        (add, "malformed"),
        (ANNA.id, "malformed"),
        (bytes(32), "malformed"),
    ):
        shown = replace(identity(bob), drawn=replace(bob.drawn, operation=operation))
        record = make_record(shown, Transcript.of(facts(role=Role.RESPONDER), Role.RESPONDER))
        assert verdict(record) == failure


def test_every_field_of_a_record_is_signed() -> None:
    for fields in (
        {"drawn": bytes(32)},
        {"share": bytes(32)},
        {"operations": [BOB.operations[1], BOB.operations[0]]},
        {"proof": bytes(32)},
        {"signature": bytes(64)},
    ):
        assert verdict(replace(BOBS, **fields)) == "authentication"


def test_attack_14_two_contacts_of_one_name_are_two_persons() -> None:
    first = nearby(ANNA, BOB).finish().initiator.pending
    mallory = Person("Mallory")
    mallory.rename(mallory.first, "Bob")
    second = nearby(ANNA, mallory).finish().initiator.pending
    assert first is not None
    assert second is not None
    assert first.name == second.name == "Bob"
    assert first.person != second.person
    assert secret_pair(ANNA, first).announced() != secret_pair(ANNA, second).announced()


@given(
    st.lists(st.binary(max_size=80) | st.sampled_from(BOB.operations), min_size=1, max_size=4), st.binary()
)
def test_whatever_a_record_holds_the_machine_fails_and_never_raises(
    operations: list[bytes], data: bytes
) -> None:
    sized = (data + bytes(64))[:64]
    record = Record(operations, sized[:32], sized[32:], sized[32:], sized[:32], sized)
    for state in (State.COMPARING, State.OFFERED, State.INVITED):
        side = reach(state).receive(record)
        assert side.failure in ("malformed", "untrusted", "authentication", "limit")
        assert side.sent[-1] == Close(3)


# --- Records of persons who are known, or whose log was attacked ---


def recovered_with_a_rival() -> tuple[Person, bytes]:
    """Anna, who has recovered with THIRD, and the recovery that a thief of her seed made too."""
    anna = Person("Anna")
    anna.add(anna.first, SECOND)
    upon = anna.now
    anna.recover({anna.first: last_of(upon, anna.first.id)}, THIRD, upon=upon)
    rival = anna.recover({anna.first: [], SECOND: []}, THIEF, upon=upon)
    anna.operations.pop()
    return anna, rival


def meet(
    person: Person,
    terminal: Terminal,
    held: Sequence[bytes] = (),
    pins: Pins = NO_PINS,
) -> Meeting:
    """Bob, who holds these operations, pairs by words with a terminal of the person."""
    operations = in_view(person.operations, pins)
    shown = Identity(operations, terminal.id, terminal.seed, X25519Pair(terminal.secret), person.drawn)
    initiator = Pairing.nearby(facts(), Role.INITIATOR, shown, seeded("nonce a"))
    ends = facts(role=Role.RESPONDER), Role.RESPONDER, identity(BOB), seeded("nonce b"), lambda _: held
    return started(initiator, Pairing.nearby(*ends)).finish()


def test_case_84_a_thiefs_recovery_in_ones_own_log_keeps_nobody_from_pairing() -> None:
    """The owner's log has the rival, which contacts handed over."""
    anna, rival = recovered_with_a_rival()
    own = id_of(anna.operations[-1])
    anna.operations.append(rival)
    meeting = meet(anna, THIRD, pins=Pins(seen=frozenset([own])))
    assert meeting.responder.completed == anna.id
    assert rival not in meeting.initiator.record.operations


def test_case_84_who_saw_the_thiefs_recovery_pairs_with_the_owner() -> None:
    anna, rival = recovered_with_a_rival()
    pending = meet(anna, THIRD, [*anna.operations[:-1], rival]).responder.pending
    assert pending is not None
    assert THIRD.id in pending.state.live
    assert pending.state.rivals == {id_of(rival)}


def test_case_88_a_removed_terminal_that_shows_an_old_log_is_refused() -> None:
    """By who knows of the removal. Its record alone is a good one."""
    anna = Person("Anna")
    anna.add(anna.first, THIEF)
    old = list(anna.operations)
    anna.remove(anna.first, THIEF)
    new, anna.operations = anna.operations, old
    assert meet(anna, THIEF).responder.completed == anna.id
    meeting = meet(anna, THIEF, new)
    assert meeting.responder.failure == "untrusted"
    assert meeting.responder.pending is None


def test_a_terminal_that_does_not_know_of_a_removal_pairs_again() -> None:
    """It went back to an old copy. Its share is that of the genesis."""
    anna = Person("Anna")
    anna.add(anna.first, THIEF)
    old = list(anna.operations)
    anna.remove(anna.first, THIEF)
    new, anna.operations = anna.operations, old
    assert meet(anna, anna.first).responder.completed == anna.id
    assert meet(anna, anna.first, new).responder.completed == anna.id
    assert meet(anna, THIEF, new).responder.failure == "untrusted"


def test_case_92_a_copied_only_terminal_pairs_again_by_words_after_its_recovery() -> None:
    """Its contact knows what both wrote, and no recovery."""
    anna = Person("Anna")
    upon = anna.state
    anna.rename(anna.first, "Anne", upon=upon)
    anna.add(anna.first, THIEF, upon=upon)
    held = list(anna.operations)
    base = before_recovery(held, NO_PINS, [anna.first.id])
    assert base.state().copied.keys() <= {anna.first.id}
    anna.recover({anna.first: []}, NEW, upon=base)
    anna.rename(NEW, "Anna")
    anna.first = NEW
    bob = nearby(anna, BOB, held=lambda person: held if person == anna.id else ()).finish().responder
    assert bob.pending is not None
    assert bob.completed == anna.id
    assert list(bob.pending.state.live) == [NEW.id]
    assert bob.pending.recoveries == bob.pending.state.path
