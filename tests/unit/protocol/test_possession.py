"""Static keys that the other side must hold: that of an invitation, and that of a terminal."""

from __future__ import annotations

import pytest

from protocol.keys import X25519Pair
from protocol.link.framing import Pattern
from protocol.link.handshake import Initiator, Responder
from protocol.link.states import Ending, HandshakeAuthenticated, InvitationKeys
from protocol.pairing.invitation import Invitation, format_invitation, make_invitation, parse_invitation
from tests.support.protocol.links import OpenPolicy, Pair, frames
from tests.support.protocol.pairings import ANNA, BOB
from tests.support.protocol.samples import seeded

ONE_TIME = X25519Pair(seeded("one-time of Bob's invitation")(32))


def bobs_invitation() -> Invitation:
    """As the joiner reads it."""
    places = ["192.168.1.20:4747"], ()
    made = make_invitation(BOB.id, BOB.first.static, ONE_TIME.public, 0, *places, seeded("invitation"))
    return parse_invitation(format_invitation(made))


def answered_by(static: X25519Pair) -> Pair:
    """Anna joins, and an end with the invitation's psk and this static key answers."""
    invitation = bobs_invitation()
    keys = InvitationKeys(invitation.secret, invitation.psk(), static)
    joiner = Initiator.pairing(Pattern.XXPSK0, invitation.psk(), responder=invitation.one_time)
    policy = OpenPolicy(invitations=[keys])
    return Pair(joiner, Responder(X25519Pair.generate(), policy)).run()


@pytest.mark.parametrize(
    "static",
    [X25519Pair.generate(), X25519Pair(BOB.first.secret), X25519Pair(ANNA.first.secret)],
    ids=["a new key", "the inviter's terminal key", "the joiner's terminal key"],
)
def test_case_83_a_thief_of_an_invitation_hears_no_more_than_message_1(static: X25519Pair) -> None:
    """The thief knows the whole text and answers at an address of it."""
    pair = answered_by(static)
    closed = pair.initiator.closed()
    assert closed is not None
    assert (closed.reason, closed.error_class) == (Ending.ERROR, "untrusted")
    assert len(frames(b"".join(pair.initiator.sent))) == 1
    assert not any(isinstance(event, HandshakeAuthenticated) for event in pair.responder.events)
    assert pair.responder.messages() == []


def test_the_one_time_key_of_the_invitation_opens_the_link() -> None:
    pair = answered_by(ONE_TIME)
    assert pair.initiator.opened().peer_static == ONE_TIME.public
    assert pair.responder.opened().invitation == bobs_invitation().secret
