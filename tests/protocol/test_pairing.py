"""Pairing by words and by invitation (SPEC §7.4, §7.5): its course, and everything that must end it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as changed

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol import labels, primitives
from protocol.codec import encode
from protocol.errors import LocalMisuse
from protocol.events import LinkSecret, PairingFacts, Role
from protocol.invitation import invitation_check
from protocol.messages import Accept, Close, Commit, Message, Open, Ping, Record, Reveal
from protocol.pairing import (
    FINISHED,
    TRANSITIONS,
    Call,
    JoinerKnown,
    Pairing,
    PendingReady,
    State,
    WordsReady,
)
from protocol.pairing_record import Transcript, accept_tag, make_record
from tests.protocol.meeting import (
    Meeting,
    Side,
    facts,
    identity,
    invited,
    nearby,
    nobody,
    secret_pair,
    started,
)
from tests.protocol.people import Person, Terminal, id_of
from tests.protocol.points import seeded

ANNA, BOB, MALLORY = Person("Anna"), Person("Bob"), Person("Mallory")


def words_of(side: Side) -> tuple[str, ...]:
    (event,) = (event for event in side.events if isinstance(event, WordsReady))
    return event.words


# --- The course ---


def test_two_people_nearby_become_contacts() -> None:
    meeting = nearby(ANNA, BOB).carry()
    assert words_of(meeting.initiator) == words_of(meeting.responder)
    assert len(words_of(meeting.initiator)) == 5
    names = [event.name for side in meeting.sides for event in side.events if isinstance(event, WordsReady)]
    assert names == ["Bob", "Anna"]
    meeting.confirm()
    assert not any(side.accepted or side.completed for side in meeting.sides)
    meeting.store()
    assert (meeting.initiator.completed, meeting.responder.completed) == (BOB.id, ANNA.id)
    check_agreement(meeting, ANNA, BOB)


def test_somebody_invited_becomes_a_contact() -> None:
    meeting = invited(ANNA, BOB).carry()
    assert not meeting.initiator.events
    assert meeting.responder.events == [JoinerKnown("Anna", ANNA.id)]
    assert not meeting.responder.sent
    meeting.confirm().store()
    assert (meeting.initiator.completed, meeting.responder.completed) == (BOB.id, ANNA.id)
    check_agreement(meeting, ANNA, BOB)


def check_agreement(meeting: Meeting, first: Person, second: Person) -> None:
    """Both hold each other's whole log, and one contact secret."""
    contacts = [side.pending for side in meeting.sides]
    assert contacts[0] is not None
    assert contacts[1] is not None
    assert (contacts[0].state, contacts[1].state) == (second.state, first.state)
    assert contacts[0].operations == tuple(second.operations)
    assert (contacts[0].terminal, contacts[0].name) == (second.first.id, second.name)
    assert contacts[0].own == contacts[1].theirs
    assert contacts[0].theirs == contacts[1].own
    one, other = secret_pair(first, contacts[0]), secret_pair(second, contacts[1])
    assert one.newest() == other.newest()


@given(st.data())
def test_messages_answers_and_disks_may_come_in_any_order(data: st.DataObject) -> None:
    """Whatever comes first of a message, a person's yes and a disk's done: Accept never leaves before the
    contact is stored, and both complete, once.
    """
    meeting = nearby(ANNA, BOB) if data.draw(st.booleans()) else invited(ANNA, BOB)
    stored: set[int] = set()
    while moves := possible_moves(meeting, stored):
        data.draw(st.sampled_from(moves))()
        for place, side in enumerate(meeting.sides):
            assert not side.accepted or place in stored
    assert (meeting.initiator.completed, meeting.responder.completed) == (BOB.id, ANNA.id)
    check_agreement(meeting, ANNA, BOB)


def possible_moves(meeting: Meeting, stored: set[int]) -> list[Callable[[], object]]:
    """Everything that could happen next."""
    moves: list[Callable[[], object]] = []
    for place, side in enumerate(meeting.sides):
        other = meeting.sides[1 - place]

        def carry(source: Side = side, target: Side = other) -> None:
            target.receive(source.outbox.popleft())

        def confirm(side: Side = side) -> None:
            side.take(side.machine.confirm())

        def store(side: Side = side, place: int = place) -> None:
            stored.add(place)
            side.take(side.machine.stored())

        if side.outbox:
            moves.append(carry)
        if side.machine.awaits_person:
            moves.append(confirm)
        if side.pending and place not in stored:
            moves.append(store)
    return moves


def test_nothing_of_a_person_leaves_before_its_consent() -> None:
    """By words neither side shows its record until its own person has compared."""
    meeting = nearby(ANNA, BOB).carry()
    assert not any(isinstance(message, Record) for side in meeting.sides for message in side.sent)
    meeting.initiator.take(meeting.initiator.machine.confirm())
    meeting.carry()
    assert not any(isinstance(message, Record) for message in meeting.responder.sent)
    assert meeting.responder.pending is None


def test_a_lost_accept_leaves_a_pending_contact_on_both_sides() -> None:
    meeting = nearby(ANNA, BOB).carry().confirm()
    for side in meeting.sides:
        side.take(side.machine.stored())
    meeting.responder.receive(meeting.initiator.outbox.popleft())
    assert meeting.responder.completed == ANNA.id
    assert not meeting.responder.take(meeting.responder.machine.link_closed()).failure
    meeting.initiator.take(meeting.initiator.machine.link_closed())
    assert meeting.initiator.failure == "cut"
    assert meeting.initiator.pending is not None


# --- What is not in the table ---

INITIATOR_PATH = [State.COMMITTED, State.COMPARING, State.OFFERED, State.READY, State.STORED, State.DONE]
EXAMPLES: dict[type[Message], Message] = {
    Commit: Commit(bytes(32), "Bob"),
    Reveal: Reveal(bytes(32), "Bob"),
    Open: Open(bytes(32)),
    Record: make_record(identity(BOB), Transcript.of(facts(), Role.RESPONDER)),
    Accept: Accept(bytes(32)),
    Ping: Ping(1),
}


def reach(state: State) -> Side:
    """A machine that has come to a state in the ordinary way."""
    if state is State.INVITED:
        return invited(ANNA, BOB).responder
    if state in (State.LISTENING, State.REVEALED):
        return nearby(ANNA, BOB).carry(0 if state is State.LISTENING else 1).responder
    meeting = nearby(ANNA, BOB)
    initiator, responder = meeting.sides
    if state is State.COMMITTED:
        return initiator
    meeting.carry()
    if state in (State.RECEIVED, State.READY, State.ACCEPTED, State.STORED, State.DONE):
        initiator.receive(responder.take(responder.machine.confirm()).outbox.popleft())
    if state in (State.OFFERED, State.READY, State.ACCEPTED, State.STORED, State.DONE):
        initiator.take(initiator.machine.confirm())
    if state in (State.ACCEPTED, State.DONE):
        responder.receive(initiator.outbox.popleft())
        initiator.receive(responder.take(responder.machine.stored()).outbox.popleft())
    if state in (State.STORED, State.DONE):
        initiator.take(initiator.machine.stored())
    assert initiator.machine.state is state
    return initiator


REACHABLE = [state for state in State if state not in (State.NEW, State.FAILED)]


@pytest.mark.parametrize("state", REACHABLE)
@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_message_out_of_turn_ends_the_pairing(state: State, kind: type[Message]) -> None:
    side = reach(state)
    assert side.machine.state is state
    if (state, kind) in TRANSITIONS or state in FINISHED:
        return
    before = list(side.sent)
    side.receive(EXAMPLES[kind])
    assert side.failure == "unexpected"
    assert side.sent == [*before, Close(3)]
    assert side.machine.state is State.FAILED


@pytest.mark.parametrize("state", REACHABLE)
@pytest.mark.parametrize("call", Call)
def test_a_call_out_of_turn_is_a_mistake_of_ours(state: State, call: Call) -> None:
    side = reach(state)
    calls = {Call.CONFIRM: side.machine.confirm, Call.STORED: side.machine.stored}
    if (state, call) in TRANSITIONS:
        calls[call]()
        return
    with pytest.raises(LocalMisuse):
        calls[call]()
    assert side.machine.state is state
    with pytest.raises(LocalMisuse):
        side.machine.start()


@pytest.mark.parametrize("state", REACHABLE)
def test_a_person_may_refuse_at_any_time_and_so_may_the_other(state: State) -> None:
    refusing, refused, cut = reach(state), reach(state), reach(state)
    before = list(refusing.sent)
    refusing.take(refusing.machine.refuse())
    refused.receive(Close(3))
    cut.take(cut.machine.link_closed())
    over = state in FINISHED
    assert refusing.sent == (before if over else [*before, Close(3)])
    assert refusing.failure == ""
    assert (refused.failure, cut.failure) == (("", "") if over else ("refused", "cut"))
    assert all(side.machine.finished for side in (refusing, refused, cut))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_after_its_end_nothing_has_an_effect(kind: type[Message]) -> None:
    for side in (reach(State.DONE), reach(State.OFFERED).receive(Close(3))):
        events, sent = list(side.events), list(side.sent)
        side.receive(EXAMPLES[kind]).take(side.machine.refuse())
        assert (side.events, side.sent) == (events, sent)


def test_the_table_takes_each_message_only_where_it_may_stand() -> None:
    """Pinned apart from the table: an Accept counts only where both records have passed."""
    places = {kind: {state for state, cause in TRANSITIONS if cause is kind} for kind in (*EXAMPLES, *Call)}
    assert places == {
        Commit: {State.LISTENING},
        Reveal: {State.COMMITTED},
        Open: {State.REVEALED},
        Record: {State.INVITED, State.COMPARING, State.OFFERED},
        Accept: {State.READY, State.STORED},
        Ping: set(),
        Call.CONFIRM: {State.COMPARING, State.RECEIVED},
        Call.STORED: {State.READY, State.ACCEPTED},
    }


def test_the_table_covers_every_state_and_ends() -> None:
    """Every state but the last leads on, and no course is endless."""
    leading = {state for state, _ in TRANSITIONS}
    assert leading | FINISHED | {State.NEW} == set(State)
    steps: dict[State, set[State]] = {}
    for (state, _), following in TRANSITIONS.items():
        steps.setdefault(state, set()).add(following)
    reached = {State.COMMITTED, State.LISTENING, State.OFFERED, State.INVITED}
    for _ in State:
        reached |= {following for state in reached for following in steps.get(state, ())}
        assert State.NEW not in reached
    assert State.DONE in reached


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


def test_the_unaltered_record_passes() -> None:
    assert verdict(BOBS) == ""
    assert verdict(resigned(BOBS)) == ""


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


def test_a_record_without_a_whole_log_is_refused() -> None:
    assert verdict(resigned(BOBS, operations=[BOB.operations[0]])) == "untrusted"
    assert verdict(resigned(BOBS, operations=[BOB.operations[1]])) == "malformed"
    joiner = invited(ANNA, BOB).initiator
    genesis_only = resigned(BOBS, operations=[BOB.operations[0]], heads=[BOB.id])
    assert joiner.receive(genesis_only).failure == "untrusted"
    longer = Person("Bob")
    longer.rename(longer.first, "Robert")
    longer.rename(longer.first, "Bob")
    gap = [*longer.operations[:2], longer.operations[3]]
    assert verdict(resigned(BOBS, operations=gap)) == "malformed"
    assert verdict(resigned(BOBS, operations=[*BOB.operations, *MALLORY.operations])) == "malformed"


def test_a_share_needs_a_number_and_heads_of_its_log() -> None:
    assert verdict(resigned(BOBS, number=0)) == "malformed"
    for heads in ([], [bytes(32)], [BOB.id, BOB.id], [BOB.id, bytes(32)]):
        assert verdict(resigned(BOBS, heads=heads)) == "malformed"


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


def test_a_share_from_before_a_removal_is_refused() -> None:
    bob, second = two_terminals()
    heads = list(bob.state.heads)
    bob.remove(bob.first, second)
    record = resigned(BOBS, operations=bob.operations, heads=heads)
    assert verdict(record) == "untrusted"


def test_a_forked_log_is_refused() -> None:
    bob = Person("Bob")
    upon = bob.state
    bob.rename(bob.first, "Bob", upon=upon)
    bob.rename(bob.first, "Robert", upon=upon)
    name = bob.state.name
    meeting = nearby(ANNA, BOB)
    anna = meeting.initiator
    anna.receive(Reveal(bytes(32), name))
    anna.take(anna.machine.confirm())
    anna.receive(resigned(BOBS, operations=bob.operations, heads=sorted(bob.state.heads)))
    assert anna.failure == "untrusted"


def test_a_known_person_paired_again_brings_what_is_new() -> None:
    bob, second = two_terminals()
    held = bob.operations[:2]
    record = resigned(BOBS, operations=bob.operations, heads=list(bob.state.heads))
    anna = nearby(ANNA, BOB, held=lambda person: held if person == bob.id else ()).carry().initiator
    anna.take(anna.machine.confirm()).receive(record)
    assert anna.pending is not None
    assert anna.pending.operations == tuple(bob.operations[2:])
    assert anna.pending.state == bob.state
    assert second.id in anna.pending.state.live


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


def test_by_invitation_no_words_are_exchanged() -> None:
    for kind in (Commit, Reveal, Open):
        for side in invited(ANNA, BOB).sides:
            assert side.receive(EXAMPLES[kind]).failure == "unexpected"


# --- Accept ---


def test_attack_10_accept_is_bound_to_role_records_and_link() -> None:
    meeting = nearby(ANNA, BOB).carry().confirm()
    anna, bob = meeting.initiator.record, meeting.responder.record
    ours = Transcript.of(facts(), Role.RESPONDER)
    right = accept_tag(ours, Role.RESPONDER, bob, anna)
    wrong = [
        accept_tag(ours, Role.INITIATOR, anna, bob),
        accept_tag(ours, Role.RESPONDER, anna, bob),
        accept_tag(ours, Role.INITIATOR, bob, anna),
        accept_tag(ours, Role.RESPONDER, bob, replace(anna, number=2)),
        accept_tag(ours, Role.RESPONDER, replace(bob, share=bytes(32)), anna),
        accept_tag(Transcript.of(facts("elsewhere"), Role.RESPONDER), Role.RESPONDER, bob, anna),
        accept_tag(changed(ours, root=bytes(32)), Role.RESPONDER, bob, anna),
        bytes(32),
    ]
    assert right not in wrong
    for tag in wrong:
        side = nearby(ANNA, BOB).carry().confirm().initiator
        assert side.receive(Accept(tag)).failure == "authentication"
    assert meeting.initiator.receive(Accept(right)).failure == ""


def test_a_disk_that_is_done_after_the_end_changes_nothing() -> None:
    """The link may fail while the contact is being stored: it stays pending, and no Accept leaves."""
    side = reach(State.READY)
    side.take(side.machine.link_closed()).take(side.machine.stored())
    assert side.failure == "cut"
    assert not side.accepted


def test_accept_does_not_complete_before_the_contact_is_stored() -> None:
    side = reach(State.ACCEPTED)
    assert not side.completed
    assert not side.accepted
    side.take(side.machine.stored())
    assert side.accepted
    assert side.completed == BOB.id


# --- Secrets ---


def test_no_secret_is_in_a_text() -> None:
    meeting = nearby(ANNA, BOB).finish()
    contact = meeting.initiator.pending
    assert contact is not None
    own = identity(ANNA)
    texts = (
        repr(contact) + repr(own) + repr(Transcript.of(facts(), Role.INITIATOR)) + repr(PendingReady(contact))
    )
    for secret in (contact.root, contact.own.share, contact.theirs.share, own.signing_seed):
        assert secret.hex() not in texts
        assert repr(secret) not in texts


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
