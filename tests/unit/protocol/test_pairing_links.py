"""Pairing over real links (SPEC §6, §7.4, §7.5): what the handshake gives is what pairing binds."""

from __future__ import annotations

import pytest

from protocol.link.framing import Pattern
from protocol.link.link import Link
from protocol.link.states import Role
from protocol.messages import Message
from protocol.pairing.invitation import invitation_check, make_invitation
from protocol.pairing.pairing import Pairing, WordsReady
from tests.support.protocol.links import INVITATION, Pair, contacts
from tests.support.protocol.pairings import Meeting, Person, identity, nobody, secret_pair, started
from tests.support.protocol.samples import seeded

ANNA, BOB, MALLORY = Person("Anna"), Person("Bob"), Person("Mallory")


def opened(pattern: Pattern, psk: bytes = bytes(32)) -> Pair:
    """Two terminals that never met, with an open link between them."""
    caller, called = contacts()
    called.policy.invitations = ((INVITATION, psk),)
    return Pair(caller.calls(called, pattern, psk=psk), called.answers()).run()


def machine(link: Pair, role: Role, person: Person, nonce: str) -> Pairing:
    """The pairing of one end, by words."""
    end = link.ends[role]
    found = end.opened().pairing
    assert found is not None
    assert end.opened().role is role
    return Pairing.nearby(found, role, identity(person), nobody, seeded(nonce))


def carry_over(link: Pair, meeting: Meeting) -> Meeting:
    """Every message of the two machines goes over the link."""
    moved = True
    while moved:
        moved = False
        for place, side in enumerate(meeting.sides):
            while side.outbox:
                moved = True
                over(link, link.ends[place].link, side.outbox.popleft())
        for place, side in enumerate(meeting.sides):
            for message in link.ends[place].messages()[side.read :]:
                side.read += 1
                side.take(side.machine.receive(message))
    return meeting


def over(link: Pair, sender: Link, message: Message) -> None:
    assert sender.send(message, link.now)
    link.run()


def test_pairing_by_words_over_a_link() -> None:
    link = opened(Pattern.XX)
    meeting = started(
        machine(link, Role.INITIATOR, ANNA, "a"),
        machine(link, Role.RESPONDER, BOB, "b"),
    )
    carry_over(link, meeting)
    for side in meeting.sides:
        side.take(side.machine.confirm())
    carry_over(link, meeting)
    for side in meeting.sides:
        side.take(side.machine.stored())
    carry_over(link, meeting)
    anna, bob = meeting.sides
    assert (anna.completed, bob.completed) == (BOB.id, ANNA.id)
    assert anna.pending is not None
    assert bob.pending is not None
    assert secret_pair(ANNA, anna.pending).newest() == secret_pair(BOB, bob.pending).newest()


def test_pairing_by_invitation_over_a_link() -> None:
    invitation = make_invitation(BOB.id, BOB.first.static, 0, (), (), seeded("invitation"))
    link = opened(Pattern.XXPSK0, invitation.psk())
    facts = [end.opened().pairing for end in link.ends]
    assert facts[0] is not None
    assert facts[1] is not None
    check = invitation_check(BOB.id, BOB.first.static)
    meeting = started(
        Pairing.joiner(facts[0], identity(ANNA), nobody, check),
        Pairing.inviter(facts[1], identity(BOB), nobody),
    )
    carry_over(link, meeting)
    meeting.responder.take(meeting.responder.machine.confirm())
    carry_over(link, meeting)
    for side in meeting.sides:
        side.take(side.machine.stored())
    carry_over(link, meeting)
    assert (meeting.initiator.completed, meeting.responder.completed) == (BOB.id, ANNA.id)


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
    assert left.initiator.pending is None
    assert right.responder.pending is None
