"""What a change of a contact's person log means here, whichever way it came (SPEC §7.3).

Rules: every change is shown with its signed cause; one that could be a thief's drops *verified* and holds
sending until this person has looked.
"""

from __future__ import annotations

from collections.abc import Sequence

from chat.interface import ContactChanged, IdentityChanged
from chat.phrases import phrase
from chat.service.views import Views
from chat.service.world import World
from protocol.person import Cause, CauseKind

HOLDING = {CauseKind.RECOVERED, CauseKind.FORKED}
"""Changes after which *verified* is dropped and sending waits for this person."""

TEXTS = {
    CauseKind.FOUNDED: phrase("is new"),
    CauseKind.ADDED: phrase("added a terminal"),
    CauseKind.REMOVED: phrase("removed a terminal"),
    CauseKind.VOIDED: phrase("lost a terminal that a removed one had added"),
    CauseKind.RENAMED: phrase("changed the name"),
    CauseKind.RECOVERED: phrase("used the recovery key: compare the safety number before you go on"),
    CauseKind.FORKED: phrase("shows two histories of its keys: compare the safety number before you go on"),
}


def holds(causes: Sequence[Cause]) -> bool:
    """Whether sending has to wait for this person."""
    return any(cause.kind in HOLDING for cause in causes)


def tell(world: World, views: Views, person: bytes, causes: Sequence[Cause]) -> None:
    """Show what happened to a contact."""
    for cause in causes:
        world.hub.publish(IdentityChanged(person.hex(), views.name(person), TEXTS[cause.kind]))
    world.hub.publish(ContactChanged(views.contact(person)))
