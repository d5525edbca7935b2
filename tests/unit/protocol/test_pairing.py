"""The course of a pairing by words and by invitation (SPEC §7.4, §7.5), and what is not in it."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol import limits
from protocol.errors import LocalMisuse
from protocol.identity.safety import WordList, digits, word_list, words
from protocol.link.framing import Pattern
from protocol.link.states import InvitationKeys, Role
from protocol.messages import Accept, Close, LogOperations, Message, Record
from protocol.pairing.comparison import WordsReady, shown_list
from protocol.pairing.invitation import make_invitation
from protocol.pairing.pairing import (
    FINISHED,
    TRANSITIONS,
    Call,
    Pairing,
    PendingReady,
    State,
)
from protocol.pairing.record import Transcript, accept_tag
from tests.support.protocol.links import INVITATION, ONE_TIME, End, Pair, contacts
from tests.support.protocol.pairings import (
    ANNA,
    BOB,
    EXAMPLES,
    MALLORY,
    REACHABLE,
    Meeting,
    Person,
    Side,
    Terminal,
    chain,
    facts,
    identity,
    invited,
    nearby,
    reach,
    secret_pair,
    started,
)
from tests.support.protocol.samples import seeded


def check_agreement(meeting: Meeting, first: Person, second: Person) -> None:
    """Both hold each other's whole log, and one contact secret."""
    contacts = [side.pending for side in meeting.sides]
    assert contacts[0] is not None
    assert contacts[1] is not None
    assert (contacts[0].state, contacts[1].state) == (second.state, first.state)
    assert contacts[0].operations == tuple(second.operations)
    assert (contacts[0].terminal, contacts[0].name) == (second.first.id, second.name)
    assert contacts[0].own == contacts[1].theirs.operation == first.id
    assert contacts[0].theirs.operation == contacts[1].own == second.id
    one, other = secret_pair(first, contacts[0]), secret_pair(second, contacts[1])
    assert one.announced() == other.announced()
    assert one.secrets() == other.secrets() == one.announced()


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


# --- Long logs ---


def grown(person: Person, count: int) -> Person:
    """The person after so many operations more, by two terminals."""
    second = Terminal.named(f"second {person.name}")
    person.add(person.first, second)
    for by in (person.first, second):
        person.operations += chain(person, by, count // 2)
    person.rename(second, person.name)
    return person


BOTH_WAYS = pytest.mark.parametrize("pairing", [nearby, invited])


@BOTH_WAYS
def test_a_log_that_is_too_long_for_one_record_pairs(pairing: Callable[[Person, Person], Meeting]) -> None:
    """Both logs are: that of the joiner, who sends first, and that of the inviter."""
    anna, bob = (grown(Person(name), 2 * limits.LOG_OPERATIONS_MAX - 10) for name in ("Anna", "Bob"))
    meeting = pairing(anna, bob).finish()
    check_agreement(meeting, anna, bob)
    assert [side.completed for side in meeting.sides] == [bob.id, anna.id]
    for side in meeting.sides:
        sent = [message for message in side.sent if isinstance(message, LogOperations | Record)]
        assert [len(message.operations) for message in sent] == [256, 250]


def test_a_record_covers_the_operations_that_came_before_it() -> None:
    """Others before the same Record, fewer or in another order are not what its terminal signed."""
    anna = grown(Person("Anna"), limits.LOG_OPERATIONS_MAX)
    before, rest = invited(anna, BOB).initiator.sent
    assert isinstance(before, LogOperations)
    assert isinstance(rest, Record)
    operations = before.operations
    for wrong in ([*operations[:2], *operations[1:]], operations[::-1], [*operations, operations[0]]):
        side = invited(anna, BOB).responder
        for start in range(0, len(wrong), 200):
            side.receive(LogOperations(wrong[start : start + 200]))
        assert side.receive(rest).failure == "authentication"
    side = invited(anna, BOB).responder.receive(before).receive(rest)
    assert not side.failure
    assert reach(State.INVITED).receive(rest).failure == "malformed"


def test_case_94_operations_before_a_record_are_bounded_before_any_is_read() -> None:
    side = invited(ANNA, BOB).responder
    for _ in range(limits.LOG_HELD_MAX // limits.LOG_OPERATIONS_MAX):
        side.receive(LogOperations([b"no operation"] * limits.LOG_OPERATIONS_MAX))
    assert not side.failure
    assert side.receive(LogOperations([b"one more"])).failure == "limit"


@pytest.mark.parametrize(
    "state", [one for one in REACHABLE if one not in (State.COMPARING, State.OFFERED, State.INVITED)]
)
def test_operations_belong_before_a_record_alone(state: State) -> None:
    side = reach(state).receive(LogOperations([b"operation"]))
    assert side.failure == ("unexpected" if state not in FINISHED else "")


# --- Accept ---


def test_attack_10_accept_is_bound_to_role_records_and_link() -> None:
    meeting = nearby(ANNA, BOB).carry().confirm()
    anna, bob = meeting.initiator.record, meeting.responder.record
    ours = Transcript.of(facts(role=Role.RESPONDER), Role.RESPONDER)
    link, elsewhere = (ours.root, ours.t), Transcript.of(facts("elsewhere"), Role.INITIATOR)
    right = accept_tag(*link, Role.RESPONDER, bob, anna)
    wrong = [
        accept_tag(*link, Role.INITIATOR, anna, bob),
        accept_tag(*link, Role.RESPONDER, anna, bob),
        accept_tag(*link, Role.INITIATOR, bob, anna),
        accept_tag(*link, Role.RESPONDER, bob, replace(anna, drawn=bytes(32))),
        accept_tag(*link, Role.RESPONDER, replace(bob, share=bytes(32)), anna),
        accept_tag(ours.root, elsewhere.t, Role.RESPONDER, bob, anna),
        accept_tag(bytes(32), ours.t, Role.RESPONDER, bob, anna),
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


# --- Secrets ---


def test_no_secret_is_in_a_text() -> None:
    meeting = nearby(ANNA, BOB).finish()
    contact = meeting.initiator.pending
    assert contact is not None
    own = identity(ANNA)
    texts = (
        repr(contact) + repr(own) + repr(Transcript.of(facts(), Role.INITIATOR)) + repr(PendingReady(contact))
    )
    for secret in (contact.root, own.drawn.secret, contact.theirs.share, own.signing_seed):
        assert secret.hex() not in texts
        assert repr(secret) not in texts


READS: Final[set[int]] = {1}
OFFERS: Final = (set[int](), READS)
"""What a terminal names: nothing, or that its person reads Chinese words."""


def opened(
    pattern: Pattern, begins: Set[int] = frozenset(), responds: Set[int] = frozenset(), psk: bytes = bytes(32)
) -> Pair:
    """Two terminals that never met, with an open link between them, and the features of each end."""
    caller, called = contacts()
    caller.features, called.features = set(begins), set(responds)
    called.policy.invitations = (InvitationKeys(INVITATION, psk, ONE_TIME),)
    return Pair(caller.calls(called, pattern, psk=psk), called.answers()).run()


def machine(link: Pair, role: Role, person: Person, nonce: str) -> Pairing:
    """The pairing of one end, by words."""
    end = link.ends[role]
    found = end.opened().pairing
    assert found is not None
    assert end.opened().role is role
    return Pairing.nearby(found, role, identity(person), seeded(nonce))


def carry_over(link: Pair, meeting: Meeting) -> Meeting:
    """Every message of the two machines goes over the link."""
    moved = True
    while moved:
        moved = False
        for place, side in enumerate(meeting.sides):
            while side.outbox:
                moved = True
                link.send(link.ends[place], side.outbox.popleft())
        for place, side in enumerate(meeting.sides):
            for message in link.ends[place].messages()[side.read :]:
                side.read += 1
                side.take(side.machine.receive(message))
    return meeting


def by_words() -> tuple[Pair, Meeting]:
    link = opened(Pattern.XX)
    anna, bob = machine(link, Role.INITIATOR, ANNA, "a"), machine(link, Role.RESPONDER, BOB, "b")
    return link, started(anna, bob)


def by_invitation() -> tuple[Pair, Meeting]:
    invitation = make_invitation(BOB.id, BOB.first.static, ONE_TIME.public, 0, (), (), seeded("invitation"))
    link = opened(Pattern.XXPSK0, psk=invitation.psk())
    annas, bobs = (end.opened().pairing for end in link.ends)
    assert annas is not None
    assert bobs is not None
    joiner = Pairing.joiner(annas, identity(ANNA), invitation.check)
    return link, started(joiner, Pairing.inviter(bobs, identity(BOB)))


@pytest.mark.parametrize("begin", [by_words, by_invitation])
def test_pairing_over_a_link(begin: Callable[[], tuple[Pair, Meeting]]) -> None:
    link, meeting = begin()
    carry_over(link, meeting)
    for side in meeting.sides:
        if side.machine.awaits_person:
            side.take(side.machine.confirm())
    carry_over(link, meeting)
    for side in meeting.sides:
        side.take(side.machine.stored())
    carry_over(link, meeting)
    assert (meeting.initiator.completed, meeting.responder.completed) == (BOB.id, ANNA.id)
    check_agreement(meeting, ANNA, BOB)


@pytest.mark.parametrize("attempt", range(4))
def test_attack_01_static_keys_swapped_in_the_middle_give_other_words(attempt: int) -> None:
    """Mallory stands between two real links with keys of its own: what the two people read aloud differs."""
    to_anna, to_bob = opened(Pattern.XX), opened(Pattern.XX)
    assert to_anna.initiator.opened().peer_static != to_bob.responder.opened().peer_static
    left = started(
        machine(to_anna, Role.INITIATOR, ANNA, f"anna {attempt}"),
        machine(to_anna, Role.RESPONDER, MALLORY, f"mallory {attempt}"),
    )
    right = started(
        machine(to_bob, Role.INITIATOR, MALLORY, f"mallory {attempt}"),
        machine(to_bob, Role.RESPONDER, BOB, f"bob {attempt}"),
    )
    carry_over(to_anna, left)
    carry_over(to_bob, right)
    (anna,) = (event for event in left.initiator.events if isinstance(event, WordsReady))
    (bob,) = (event for event in right.responder.events if isinstance(event, WordsReady))
    assert anna.words != bob.words
    assert digits(anna.five) != digits(bob.five)
    for side in (left.initiator, right.responder):
        side.take(side.machine.refuse())
        assert side.pending is None
        assert not any(isinstance(message, Record) for message in side.sent)


@pytest.mark.parametrize("responds", OFFERS)
@pytest.mark.parametrize("begins", OFFERS)
def test_both_ends_of_a_link_show_the_list_that_both_read(begins: set[int], responds: set[int]) -> None:
    link = opened(Pattern.XX, begins, responds)
    meeting = started(machine(link, Role.INITIATOR, ANNA, "anna"), machine(link, Role.RESPONDER, BOB, "bob"))
    carry_over(link, meeting)
    mine, theirs = on_screen(link.initiator, meeting.initiator), on_screen(link.responder, meeting.responder)
    assert mine == theirs
    assert set(mine) <= set(word_list(WordList.CHINESE if begins & responds else WordList.ENGLISH))


@pytest.mark.parametrize("to_one", OFFERS)
@pytest.mark.parametrize("to_other", OFFERS)
def test_attack_01_offers_changed_in_the_middle_give_no_match(to_one: set[int], to_other: set[int]) -> None:
    """Both people read Chinese words. Mallory names what it likes to each, and what they see differs."""
    left, right = opened(Pattern.XX, READS, to_one), opened(Pattern.XX, to_other, READS)
    annas = started(
        machine(left, Role.INITIATOR, ANNA, "anna"), machine(left, Role.RESPONDER, MALLORY, "mallory")
    )
    bobs = started(
        machine(right, Role.INITIATOR, MALLORY, "mallory"), machine(right, Role.RESPONDER, BOB, "bob")
    )
    carry_over(left, annas)
    carry_over(right, bobs)
    anna, bob = on_screen(left.initiator, annas.initiator), on_screen(right.responder, bobs.responder)
    assert anna != bob
    assert bool(set(anna) & set(word_list(WordList.CHINESE))) == bool(to_one)
    assert bool(set(bob) & set(word_list(WordList.CHINESE))) == bool(to_other)


def on_screen(end: End, side: Side) -> tuple[str, ...]:
    """The words that a person sees."""
    (event,) = (event for event in side.events if isinstance(event, WordsReady))
    return words(event.five, shown_list(end.link.common_features))
