"""Targets of pairing: the machine of either side fed any messages, the record, the invitation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from protocol.codec import encode
from protocol.errors import ProtocolError
from protocol.link.states import Role
from protocol.messages import MESSAGE, Close
from protocol.pairing.invitation import format_invitation, invitation_check, parse_invitation
from protocol.pairing.pairing import Pairing, PairingFailed, PendingReady, Step
from tests.fuzz.target import Target, cut, joined, published, text_of
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


TARGETS: Final[Mapping[str, Target]] = {
    "pairing": Target(_pairing, (), _meetings, slow=True),
    "invitation": Target(
        lambda data: parse_invitation(text_of(data)),
        (ProtocolError,),
        published("pairing", "Invitation", "read", "text"),
        lambda invitation: format_invitation(invitation).encode(),
        one_form=False,
    ),
}
