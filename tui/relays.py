"""How a relay is told: its place, and how it stands, by a sign and in words. Pure functions.

Rules: what a relay sees is said in one place and in one sentence, for every client of the interface.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from chat.interface import RelayStanding, RelayView
from tui.texts import N_, _

SEES: Final = N_(
    "A relay joins terminals whose networks do not reach each other. It sees addresses, which of them meet, "
    "and when how much is sent; never who they are or what they say."
)
GONE: Final = N_(
    "You meet nobody there any more. Invitations that you gave may still name it; those whom you meet only "
    "there are not reached until you share another."
)
_WORDS: Final[Mapping[RelayStanding, str]] = {
    RelayStanding.UNKNOWN: N_("not tried yet"),
    RelayStanding.CONNECTING: N_("connecting…"),
    RelayStanding.WAITING: N_("ready"),
    RelayStanding.UNREACHABLE: N_("cannot be reached"),
    RelayStanding.OTHER_KEY: N_("has another key"),
    RelayStanding.OTHER_VERSION: N_("speaks another version"),
    RelayStanding.NO_RELAY: N_("is no relay"),
    RelayStanding.OTHER_DATE: N_("has another date"),
    RelayStanding.REFUSED: N_("is busy"),
}
_UNDECIDED: Final = frozenset((RelayStanding.UNKNOWN, RelayStanding.CONNECTING))


def place(view: RelayView) -> str:
    """HOST:PORT, with an IPv6 address in brackets."""
    host = f"[{view.host}]" if ":" in view.host else view.host
    return f"{host}:{view.port}"


def words(view: RelayView) -> str:
    """How it stands, in the language in use."""
    return _(_WORDS[view.standing])


def sign(view: RelayView) -> tuple[str, str]:
    """The same as a sign with the style that belongs to it."""
    if view.standing is RelayStanding.WAITING:
        return "●", "$success"
    return ("○", "$quiet") if not is_decided(view) else ("✗", "$error")


def is_decided(view: RelayView) -> bool:
    """Whether it is known how it stands."""
    return view.standing not in _UNDECIDED


def followed(relays: Iterable[RelayView], changed: RelayView) -> tuple[RelayView, ...]:
    """Relays after one of them was named or stands otherwise."""
    held = {view.address: view for view in relays}
    held[changed.address] = changed
    return tuple(held.values())
