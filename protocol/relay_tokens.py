"""What a terminal waits on and what its contact asks for at a relay: tokens of one day (SPEC §11.7.5).

Rules: whoever lacks the key sees noise, and two days' tokens have nothing in common; the day is the relay's,
so both ends take the same one, and a relay whose day is far from one's own gets no token at all.
"""

from __future__ import annotations

from typing import Final

from protocol import labels, primitives
from protocol.errors import Unexpected
from protocol.invitation import Invitation
from protocol.limits import RELAY_DAYS, RELAY_TOKEN_BYTES

DAY_SECONDS: Final = 86_400


class OtherDay(Unexpected):
    """The relay's clock and this terminal's are more than a day apart."""


def relay_day(time: int, own_time: int) -> int:
    """The day whose tokens a relay with this time gets, both in Unix seconds: the relay's UTC day from 1970.

    OtherDay if it is more than one from the own day.
    """
    day = time // DAY_SECONDS
    if abs(day - own_time // DAY_SECONDS) > RELAY_DAYS:
        raise OtherDay("the relay's day is far from the own")
    return day


def day_ends_in(time: int) -> int:
    """Seconds from a Unix time to the next day: 1 to 86,400."""
    return DAY_SECONDS - time % DAY_SECONDS


def contact_token(meeting_key: bytes, day: int, relay: bytes, static: bytes) -> bytes:
    """The token, 16 bytes, on which the terminal with this static key waits that day at the relay.

    `meeting_key` is of the waiting person towards the dialler (ContactSecret.meeting_key); `relay` and
    `static` are X25519 keys; 32 bytes each.
    """
    data = day.to_bytes(4) + relay + static
    return primitives.b2b(data, personal=labels.RELAY_TOKEN, key=meeting_key, size=RELAY_TOKEN_BYTES)


def invitation_token(invitation: Invitation, day: int, relay: bytes) -> bytes:
    """The token, 16 bytes, on which an inviter waits that day for its joiner at the relay with this key."""
    data = day.to_bytes(4) + relay + invitation.check + invitation.expires.to_bytes(4)
    return primitives.b2b(
        data, personal=labels.RELAY_INVITATION, key=invitation.secret, size=RELAY_TOKEN_BYTES
    )
