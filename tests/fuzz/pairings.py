"""Targets of pairing and linking: the machines of either side fed any messages, and the invitation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from protocol.codec import encode
from protocol.errors import ProtocolError
from protocol.link.states import Role
from protocol.messages import MESSAGE, Close
from protocol.pairing.invitation import format_invitation, invitation_check, parse_invitation
from protocol.pairing.linking import AddDue, LinkingFailed, ProfileDue
from protocol.pairing.pairing import Pairing, PairingFailed, PendingReady, Step
from tests.fuzz.target import Target, cut, joined, published, text_of
from tests.support.protocol import linkings
from tests.support.protocol.pairings import ANNA, BOB, Meeting, facts, identity, invited, nearby
from tests.support.protocol.samples import seeded

# --- The machine ---


@lru_cache(maxsize=1)
def _sides() -> tuple[Callable[[], Pairing], ...]:
    """Each side of each way to pair, as `nearby` and `invited` make them."""
    anna, bob, check = identity(ANNA), identity(BOB), invitation_check(BOB.id, BOB.first.static)
    return (
        lambda: Pairing.nearby(facts(), Role.INITIATOR, anna, seeded("nonce a")),
        lambda: Pairing.nearby(facts(role=Role.RESPONDER), Role.RESPONDER, bob, seeded("nonce b")),
        lambda: Pairing.joiner(facts(), anna, check),
        lambda: Pairing.inviter(facts(role=Role.RESPONDER), bob),
    )


def _pairing(data: bytes) -> int:
    """The first byte says which side; its person and its disk agree as soon as they are asked.

    Messages that do not decode never reach a machine. Gives the number of steps that did something.
    """
    machine = _sides()[data[0] % len(_sides())]() if data else _sides()[0]()
    steps = [machine.start()]
    for part in cut(data[1:]):
        try:
            message = MESSAGE.decode(part)
        except ProtocolError:
            continue
        was_finished = machine.finished
        steps.append(machine.receive(message))
        assert not was_finished or steps[-1] == Step()
        steps += _agreed(machine, steps[-1])
    told = [event for step in steps for event in step.events]
    assert sum(isinstance(event, PairingFailed) for event in told) <= 1
    assert sum(isinstance(event, PendingReady) for event in told) <= 1
    return sum(step != Step() for step in steps)


def _agreed(machine: Pairing, last: Step) -> list[Step]:
    steps = [last]
    if machine.awaits_person:
        steps.append(machine.confirm())
    if any(isinstance(event, PendingReady) for step in steps for event in step.events):
        steps.append(machine.stored())
    return steps[1:]


def _heard(meeting: Meeting) -> list[bytes]:
    """What the initiator and what the responder of a whole pairing hear."""
    meeting.finish()
    return [joined(*map(encode, side.sent)) for side in reversed(meeting.sides)]


def _meetings() -> dict[str, bytes]:
    words, invitation = _heard(nearby(ANNA, BOB)), _heard(invited(ANNA, BOB))
    heard = [*words, *invitation]
    names = ("words-initiator", "words-responder", "joiner", "inviter")
    whole = {name: bytes((number,)) + heard[number] for number, name in enumerate(names)}
    return {**whole, "refused": b"\x00" + joined(encode(Close(3)))}


# --- Linking ---


def _linking(data: bytes) -> int:
    """The first byte says which side; its person, log and disk agree as soon as they are asked.

    Gives the number of messages that did something.
    """
    new = not data or data[0] & 1 == 0
    end = linkings.End(linkings.being_added() if new else linkings.adding())
    end.take(end.machine.start())
    taken = 0
    for part in cut(data[1:]):
        try:
            message = MESSAGE.decode(part)
        except ProtocolError:
            continue
        before = len(end.sent), len(end.events), end.machine.state
        end.receive(message)
        if end.machine.awaits_person:
            end.confirm()
        taken += before != (len(end.sent), len(end.events), end.machine.state)
    for kind in (LinkingFailed, ProfileDue, AddDue):
        assert len(end.told(kind)) <= 1
    return taken


def _linkings() -> dict[str, bytes]:
    both = linkings.Linked.begun().finish()
    return {
        "new": b"\x00" + joined(*map(encode, both.old.sent)),
        "old": b"\x01" + joined(*map(encode, both.new.sent)),
    }


TARGETS: Final[Mapping[str, Target]] = {
    "linking": Target(_linking, (), _linkings, slow=True),
    "pairing": Target(_pairing, (), _meetings, slow=True),
    "invitation": Target(
        lambda data: parse_invitation(text_of(data)),
        (ProtocolError,),
        published("pairing", "Invitation", "read", "text"),
        lambda invitation: format_invitation(invitation).encode(),
        one_form=False,
    ),
}
