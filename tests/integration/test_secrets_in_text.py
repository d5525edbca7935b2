"""What bears a secret does not print it: an exception or a debugger may quote any of these."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chat.interface import InvitationUsed, InvitationView
from chat.network.links import Identity
from chat.service.keyring import OpenInvitation
from protocol.keys import X25519Pair
from protocol.link.states import HandshakeAuthenticated, LinkOpen, Role
from protocol.pairing.invitation import format_invitation, make_invitation
from protocol.primitives import system_random

NEEDLE = b"needle in repr!!"
MADE = make_invitation(bytes(32), bytes(32), bytes(32), 1, (), (), lambda size: NEEDLE[:size])
TEXT = format_invitation(MADE)


@pytest.mark.parametrize(
    "value",
    [
        MADE,
        OpenInvitation(MADE, TEXT, X25519Pair(NEEDLE * 2), None),
        InvitationView(TEXT, datetime.now(UTC)),
        InvitationUsed(TEXT, ""),
        HandshakeAuthenticated(bytes(32), NEEDLE),
        LinkOpen(bytes(16), Role.RESPONDER, 2, bytes(32), invitation=NEEDLE),
        Identity(bytes(32), X25519Pair.generate(system_random), {bytes(32): NEEDLE}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_attack_78_no_value_prints_the_secret_that_it_bears(value: object) -> None:
    for shown in (repr(value), repr(getattr(value, "__rich_repr__", list)())):
        assert "needle" not in shown
        assert TEXT not in shown
