"""Runs the vectors of linking in both roles, with results of the handshake as inputs (SPEC §7.8.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocol.codec import encode
from protocol.errors import (
    AuthenticationFailed,
    LimitExceeded,
    LocalMisuse,
    Malformed,
    ProtocolError,
    Unexpected,
    Untrusted,
)
from protocol.identity.author import NewTerminal, add_operation
from protocol.identity.log import parse_operation, sign_add, terminal_id
from protocol.identity.reduction import reduce
from protocol.keys import X25519Pair
from protocol.link.states import Role
from protocol.messages import MESSAGE, Close, LinkState, SharedPairing
from protocol.pairing.comparison import WordsReady
from protocol.pairing.handover import Handover, SharedContact, pins_of
from protocol.pairing.linking import (
    AddDue,
    Adding,
    BeingAdded,
    HandoverDue,
    Linked,
    LinkingEvent,
    LinkingFailed,
    ProfileDue,
    Step,
)
from protocol.primitives import ed25519_from_seed
from protocol.vectors.frame import Action, Json, VectorMismatch, run_steps
from protocol.vectors.pairing import facts_of

AREA: Final = "linking"
_REFUSED: Final = Close(3)
_ERRORS: Final[Mapping[str, type[ProtocolError]]] = {
    error.error_class: error
    for error in (Malformed, Unexpected, AuthenticationFailed, LimitExceeded, Untrusted)
}


def keys_of(end: Json) -> NewTerminal:
    """The keys of the new terminal."""
    seed, secret = bytes.fromhex(end["signing_seed"]), bytes.fromhex(end["static_secret"])
    signing, static = ed25519_from_seed(seed), X25519Pair(secret).public
    return NewTerminal(terminal_id(signing, static), signing, static, seed, secret)


def handover_of(end: Json) -> Handover:
    """What the person's terminals share."""
    state = MESSAGE.decode(bytes.fromhex(end["state"]))
    contacts = []
    for contact in end["contacts"]:
        shared = MESSAGE.decode(bytes.fromhex(contact["shared"]))
        if not isinstance(shared, SharedPairing):
            raise VectorMismatch("no SharedPairing")
        contacts.append(SharedContact(tuple(map(bytes.fromhex, contact["operations"])), shared))
    if not isinstance(state, LinkState):
        raise VectorMismatch("no LinkState")
    return Handover(tuple(map(bytes.fromhex, end["operations"])), state, tuple(contacts))


class World:
    """Both ends of one linking, each made when a step names it first."""

    def __init__(self, inputs: Json) -> None:
        self.inputs = inputs
        self._ends: dict[str, BeingAdded | Adding] = {}
        self._due: AddDue | None = None

    def end(self, actor: str) -> BeingAdded | Adding:
        """The machine of an actor."""
        if actor not in self._ends:
            self._ends[actor] = self._new() if actor == "initiator" else self._old()
        return self._ends[actor]

    def _new(self) -> BeingAdded:
        end = self.inputs["initiator"]
        nonce = bytes.fromhex(end["nonce"])
        facts = facts_of(self.inputs, Role.INITIATOR)
        return BeingAdded(facts, keys_of(end), end["name"], lambda size: nonce[:size])

    def _old(self) -> Adding:
        end = self.inputs["responder"]
        nonce, given = bytes.fromhex(end["nonce"]), handover_of(end)
        known = frozenset(key for one in given.operations for key in parse_operation(one).keys)
        name = reduce(given.operations, pins_of(given.state)).name
        facts = facts_of(self.inputs, Role.RESPONDER)
        return Adding(facts, name, lambda: known, lambda size: nonce[:size])

    def share(self) -> Step:
        """What the responder shares, and the Add upon that."""
        old, given = self.end("responder"), handover_of(self.inputs["responder"])
        if not isinstance(old, Adding):
            raise VectorMismatch("only the responder shares")
        log, new = reduce(given.operations, pins_of(given.state)), old.new
        return old.share(given, add_operation(log, given.state.terminal, new.signing, new.static, new.name))

    def added(self) -> Step:
        """The responder has signed and stored the Add."""
        old = self.end("responder")
        if not isinstance(old, Adding) or self._due is None:
            raise VectorMismatch("no Add is due")
        seed = bytes.fromhex(self.inputs["responder"]["signing_seed"])
        return old.added(sign_add(self._due.add, seed, self._due.signature))

    def told(self, event: LinkingEvent) -> Json:
        """How a file says an event."""
        match event:
            case WordsReady():
                return {"event": "words", "words": list(event.words), "name": event.name}
            case HandoverDue():
                return {"event": "handover"}
            case AddDue():
                self._due = event
                return {"event": "add", "operation": encode(event.add).hex()}
            case ProfileDue():
                contacts = [contact.shared.person.hex() for contact in event.handover.contacts]
                return {"event": "profile", "signed": event.signed.hex(), "contacts": contacts}
            case Linked():
                return {"event": "linked"}
            case LinkingFailed():
                return {"event": "failed", "by": event.error_class, "unsure": event.unsure}


def _told(world: World, actor: str, step: Step) -> Json:
    """What a step gives; raises what the end found wrong, which ends the linking with Close 3."""
    for event in step.events:
        if isinstance(event, LinkingFailed) and event.error_class in _ERRORS:
            if step.send != (_REFUSED,):
                raise VectorMismatch("a linking that fails ends with Close 3")
            raise _ERRORS[event.error_class]("the linking failed")
    return {
        "send": [encode(message).hex() for message in step.send],
        "events": [world.told(event) for event in step.events],
        "state": world.end(actor).state.name,
    }


def _start(world: World, step: Json) -> Json:
    return _told(world, step["actor"], world.end(step["actor"]).start())


def _receive(world: World, step: Json) -> Json:
    message = MESSAGE.decode(bytes.fromhex(step["message"]))
    return _told(world, step["actor"], world.end(step["actor"]).receive(message))


def _confirm(world: World, step: Json) -> Json:
    return _told(world, step["actor"], world.end(step["actor"]).confirm())


def _refuse(world: World, step: Json) -> Json:
    return _told(world, step["actor"], world.end(step["actor"]).refuse())


def _cut(world: World, step: Json) -> Json:
    return _told(world, step["actor"], world.end(step["actor"]).link_closed())


def _share(world: World, step: Json) -> Json:
    return _told(world, step["actor"], world.share())


def _stored(world: World, step: Json) -> Json:
    end = world.end(step["actor"])
    if isinstance(end, BeingAdded):
        return _told(world, step["actor"], end.stored())
    try:
        return _told(world, step["actor"], world.added())
    except LocalMisuse as misuse:
        raise VectorMismatch(str(misuse)) from None


ACTIONS: Final[Mapping[str, Action[World]]] = {
    "start": _start,
    "receive": _receive,
    "confirm": _confirm,
    "refuse": _refuse,
    "cut": _cut,
    "share": _share,
    "stored": _stored,
}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if it does not hold."""
    run_steps(test, ACTIONS, World(inputs))
