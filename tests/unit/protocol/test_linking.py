"""The machines of linking an own terminal (SPEC §7.8.1). The vectors have what each message can break."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol.codec import encode
from protocol.errors import LimitExceeded, LocalMisuse
from protocol.identity.author import add_operation
from protocol.identity.exchange import extend
from protocol.identity.log import parse_operation
from protocol.identity.reduction import reduce
from protocol.link.states import Role
from protocol.messages import Addition, Close, Consent, LinkState, LogOperations, Message, NewTerminal, Open
from protocol.pairing.comparison import WordsReady
from protocol.pairing.linking import (
    AddDue,
    Linked,
    LinkingFailed,
    ProfileDue,
    State,
    Step,
)
from tests.support.protocol import linkings
from tests.support.protocol.linkings import NEW, being_added
from tests.support.protocol.pairings import ANNA, BOB, Person, Terminal, chain, facts


def words(end: linkings.End) -> tuple[str, ...]:
    (event,) = (event for event in end.events if isinstance(event, WordsReady))
    return event.words


def test_both_see_the_same_words_and_the_new_terminal_gets_what_is_shared() -> None:
    both = linkings.Linked.begun().finish()
    assert words(both.new) == words(both.old)
    (due,) = (event for event in both.new.events if isinstance(event, ProfileDue))
    assert due.handover == both.old.given
    log = reduce([*ANNA.operations, due.signed])
    assert log.live[NEW.id].name == "laptop"
    assert [both.new.machine.state, both.old.machine.state] == [State.DONE, State.DONE]
    assert both.new.told(Linked) == both.old.told(Linked) == [Linked()]
    assert both.new.sent[-1] == Close(0)


def test_nothing_is_shared_before_the_second_yes() -> None:
    """Violation: words that nobody compares."""
    both = linkings.Linked.begun().carry()
    both.new.confirm()
    both.carry()
    assert both.old.machine.state is State.OFFERED
    assert not any(isinstance(one, LogOperations | LinkState) for one in both.old.sent)
    assert both.new.machine.state is State.OFFERED
    other = linkings.Linked.begun().carry()
    other.old.confirm()
    assert not any(isinstance(one, LogOperations | LinkState) for one in other.old.sent)


def test_somebody_between_the_two_shows_other_words() -> None:
    new, old = (
        linkings.Linked.begun(facts(label), facts(label, Role.RESPONDER)).carry()
        for label in ("one", "other")
    )
    assert words(new.new) == words(new.old)
    assert words(new.new) != words(old.old)


def test_a_forged_consent_signs_nothing() -> None:
    both = linkings.Linked.begun().carry()
    both.new.confirm()
    both.old.confirm()
    both.carry(1)  # NewTerminal
    both.old.receive(Consent(bytes(64)))
    assert both.old.failure == "authentication"
    assert not both.old.told(AddDue)
    assert not any(parse_operation(one).author for one in _signed_adds(both.old))


def _signed_adds(end: linkings.End) -> list[bytes]:
    return [
        one
        for message in end.sent
        if isinstance(message, LogOperations)
        for one in message.operations
        if one not in (*ANNA.operations, *BOB.operations)
    ]


def test_an_add_of_other_keys_than_were_proven_gets_no_consent() -> None:
    both = linkings.Linked.begun().carry()
    both.new.confirm()
    both.old.confirm()
    thief = Terminal.named("thief")
    for message in _until_addition(both):
        if isinstance(message, Addition):
            log = reduce(ANNA.operations)
            other = add_operation(log, ANNA.first.id, thief.signing, thief.static, "laptop")
            both.new.receive(Addition(encode(other)))
        else:
            both.new.receive(message)
    assert both.new.failure == "untrusted"
    assert not any(isinstance(one, Consent) for one in both.new.sent)


def _until_addition(both: linkings.Linked) -> list[Message]:
    both.old.receive(both.new.outbox.popleft())
    sent = list(both.old.outbox)
    assert isinstance(sent[-1], Addition)
    return sent


def test_a_second_yes_is_a_misuse() -> None:
    both = linkings.Linked.begun().carry()
    for end in (both.new, both.old):
        end.confirm()
        assert not end.machine.awaits_person
        with pytest.raises(LocalMisuse):
            end.machine.confirm()


def test_a_second_new_terminal_ends_the_linking() -> None:
    both = linkings.Linked.begun().carry()
    both.new.confirm()
    (offered,) = (one for one in both.new.sent if isinstance(one, NewTerminal))
    both.old.receive(offered).receive(replace(offered, name="desk"))
    assert both.old.failure == "unexpected"
    assert both.old.sent[-1] == Close(3)


@pytest.mark.parametrize("side", ["new", "old"])
def test_a_no_is_told_by_close_and_nothing_follows(side: str) -> None:
    both = linkings.Linked.begun().carry()
    end, other = (both.new, both.old) if side == "new" else (both.old, both.new)
    end.take(end.machine.refuse())
    both.carry()
    assert (end.failure, other.failure) == ("", "refused")
    assert end.machine.receive(Open(bytes(32))) == Step()
    assert end.machine.refuse() == Step()


def test_a_link_that_ends_after_the_add_is_stored_leaves_the_adder_unsure() -> None:
    both = linkings.Linked.begun().carry()
    both.new.confirm()
    both.old.confirm()
    while both.old.machine.state is not State.ADDED:
        both.carry(1)
    both.old.take(both.old.machine.link_closed())
    (failed,) = (event for event in both.old.events if isinstance(event, LinkingFailed))
    assert failed == LinkingFailed("cut", unsure=True)


def test_a_contact_whose_log_grew_within_its_bounds_keeps_no_device_out() -> None:
    """Violation: a log that is held, and that nobody would take at once (V-LG-10 is excepted)."""
    carol, held = Person("Carol"), list[bytes]()

    def grow() -> None:
        found = extend(held, carol.operations[len(held) :])
        assert found.whole
        held.extend(found.new)

    for number in range(3):
        thief = Terminal.named(f"thief {number}")
        carol.add(carol.first, thief)
        carol.operations += chain(carol, thief, 200)
        grow()
        carol.remove(carol.first, thief)
        grow()
    with pytest.raises(LimitExceeded):
        extend((), held)
    both = linkings.Linked.begun()
    both.old.given = linkings.handover(ANNA, carol)
    both.finish()
    assert (both.new.failure, both.old.failure) == ("", "")
    assert both.new.machine.state is State.DONE


def test_a_device_has_a_name() -> None:
    for name in ("", " laptop", "l" * 33, "lap\ntop"):
        with pytest.raises(LocalMisuse):
            being_added(name=name)


MOVES: list[Callable[[linkings.Linked], object]] = [
    lambda both: both.carry(1),
    lambda both: both.new.confirm() if both.new.machine.awaits_person else None,
    lambda both: both.old.confirm() if both.old.machine.awaits_person else None,
    lambda both: both.old.receive(both.new.sent[0]) if both.new.sent else None,
    lambda both: both.new.receive(both.old.sent[-1]) if both.old.sent else None,
    lambda both: both.old.take(both.old.machine.link_closed()),
]


@given(st.lists(st.integers(0, len(MOVES) - 1), max_size=24))
def test_in_every_order_a_profile_comes_only_with_an_add_that_both_have_signed(moves: list[int]) -> None:
    both = linkings.Linked.begun()
    for move in moves:
        MOVES[move](both)
    made = [event for event in both.new.events if isinstance(event, ProfileDue)]
    assert len(made) <= len(both.old.told(AddDue)) <= 1
    for end in (both.new, both.old):
        assert len(end.told(LinkingFailed)) <= 1
