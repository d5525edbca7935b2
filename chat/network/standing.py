"""How it stands with a relay after a line to it has ended (SPEC §11.7.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chat.interface import RelayStanding
from chat.network.relay_line import Lost
from protocol.relay_states import RelayEnding, RelayState

_SAID: Final[Mapping[RelayEnding, RelayStanding]] = {
    RelayEnding.BUSY: RelayStanding.REFUSED,
    RelayEnding.NOT_A_RELAY: RelayStanding.NO_RELAY,
    RelayEnding.VERSION: RelayStanding.OTHER_VERSION,
    RelayEnding.REFUSED: RelayStanding.OTHER_VERSION,
}


def standing_after(lost: Lost) -> RelayStanding:
    """What the end of a line says.

    A relay hangs up without a word on whoever calls it by a key that is not its own, after its greeting; one
    that has no room hangs up before.
    """
    if lost.reason in _SAID:
        return _SAID[lost.reason]
    if lost.before is RelayState.HANDSHAKE and lost.reason in (RelayEnding.CUT, RelayEnding.ERROR):
        return RelayStanding.OTHER_KEY
    if lost.before is RelayState.GREETING and lost.reason is RelayEnding.CUT:
        return RelayStanding.REFUSED
    if lost.reason is RelayEnding.ERROR:
        return RelayStanding.NO_RELAY
    return RelayStanding.UNREACHABLE
