"""Runs the vectors of pairing in both roles, with results of the handshake as inputs (SPEC §7.4, §7.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from protocol import labels, primitives
from protocol.codec import encode
from protocol.errors import (
    AuthenticationFailed,
    LimitExceeded,
    Malformed,
    ProtocolError,
    Unexpected,
    Untrusted,
)
from protocol.identity.log import parse_operation
from protocol.identity.safety import WordList, digits, words
from protocol.keys import X25519Pair
from protocol.link.agreement import one_time_hash
from protocol.link.states import LinkSecret, PairingFacts, Role
from protocol.messages import MESSAGE, Close, Record, SharedDrawn
from protocol.pairing.comparison import WordsReady, shown_list
from protocol.pairing.contact_secret import contact_secret, own_share
from protocol.pairing.invitation import (
    Invitation,
    check_joiner,
    format_invitation,
    invitation_check,
    make_invitation,
    parse_invitation,
)
from protocol.pairing.pairing import (
    Completed,
    JoinerKnown,
    Pairing,
    PairingEvent,
    PairingFailed,
    PendingReady,
    Step,
    goes_on,
    is_forgotten,
)
from protocol.pairing.record import Identity, PendingContact, Transcript, accept_tag
from protocol.vectors.frame import Action, Json, VectorMismatch, run_steps

AREA: Final = "pairing"
_REFUSED: Final = Close(3)
_ERRORS: Final[Mapping[str, type[ProtocolError]]] = {
    error.error_class: error
    for error in (Malformed, Unexpected, AuthenticationFailed, LimitExceeded, Untrusted)
}


def _bytes(values: Iterable[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


# --- An end of a pairing ---


_AGREED: Final = (
    "handshake_hash",
    "share_initiator",
    "share_responder",
    "kem_key",
    "kem_ciphertext",
    "ratchet_key",
)


def facts_of(inputs: Json, role: Role) -> PairingFacts:
    """What the handshake agreed on, as the end of this role has it."""
    facts = inputs["facts"]
    secret = LinkSecret(bytes.fromhex(facts["link_secret"]))
    pairs = [X25519Pair(bytes.fromhex(facts[f"{end}_one_time"])) for end in ("initiator", "responder")]
    agreed = {name: bytes.fromhex(facts[name]) for name in _AGREED}
    return PairingFacts(**agreed, secret=secret, own=pairs[role], peer=pairs[1 - role].public)


def identity_of(end: Json) -> Identity:
    """The person that an end shows."""
    drawn = end["drawn"]
    return Identity(
        tuple(_bytes(end["operations"])),
        bytes.fromhex(end["terminal"]),
        bytes.fromhex(end["signing_seed"]),
        X25519Pair(bytes.fromhex(end["static_secret"])),
        SharedDrawn(bytes.fromhex(drawn["operation"]), bytes.fromhex(drawn["secret"])),
    )


def _held(end: Json) -> Callable[[bytes], Iterable[bytes]]:
    operations = _bytes(end.get("held", []))
    return lambda person: [signed for signed in operations if parse_operation(signed).person == person]


class World:
    """Both ends of one pairing, each made when a step names it first."""

    def __init__(self, inputs: Json) -> None:
        self.inputs = inputs
        self._ends: dict[str, Pairing] = {}

    def end(self, actor: str) -> Pairing:
        """The machine of an actor."""
        if actor not in self._ends:
            self._ends[actor] = self._made(actor)
        return self._ends[actor]

    def person(self, actor: str) -> bytes:
        """The person id of an actor."""
        return parse_operation(bytes.fromhex(self.inputs[actor]["operations"][0])).person

    def _made(self, actor: str) -> Pairing:
        role = Role.INITIATOR if actor == "initiator" else Role.RESPONDER
        end, facts = self.inputs[actor], facts_of(self.inputs, role)
        identity, held = identity_of(end), _held(end)
        if end["course"] == "joiner":
            return Pairing.joiner(facts, identity, bytes.fromhex(end["check"]), held)
        if end["course"] == "inviter":
            return Pairing.inviter(facts, identity, held)
        nonce = bytes.fromhex(end["nonce"])
        return Pairing.nearby(facts, role, identity, lambda size: nonce[:size], held)


# --- What comes of a step ---


def _pending(world: World, actor: str, contact: PendingContact) -> Json:
    person, drawn = world.person(actor), identity_of(world.inputs[actor]).drawn
    own, theirs = own_share(contact.root, drawn), contact.theirs
    secret = contact_secret(contact.root, person, own.share, contact.person, theirs.share)
    return {
        "event": "pending",
        "person": contact.person.hex(),
        "terminal": contact.terminal.hex(),
        "name": contact.name,
        "new_operations": [signed.hex() for signed in contact.operations],
        "own_share": own.name.hex(),
        "their_share": theirs.name.hex(),
        "contact_secret": secret.reveal().hex(),
    }


def _event(world: World, actor: str, event: PairingEvent) -> Json:
    match event:
        case WordsReady():
            return {"event": "words", "words": list(event.words), "name": event.name}
        case JoinerKnown():
            return {"event": "joiner", "person": event.person.hex(), "name": event.name}
        case PendingReady():
            return _pending(world, actor, event.contact)
        case Completed():
            return {"event": "completed", "person": event.person.hex()}
        case PairingFailed():
            return {"event": "failed", "by": event.error_class}


def _told(world: World, actor: str, step: Step) -> Json:
    """What a step gives; raises what the end found wrong, which ends the pairing with Close 3."""
    for event in step.events:
        if isinstance(event, PairingFailed) and event.error_class in _ERRORS:
            if step.send != (_REFUSED,):
                raise VectorMismatch("a pairing that fails ends with Close 3")
            raise _ERRORS[event.error_class]("the pairing failed")
    return {
        "send": [encode(message).hex() for message in step.send],
        "events": [_event(world, actor, event) for event in step.events],
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


def _stored(world: World, step: Json) -> Json:
    return _told(world, step["actor"], world.end(step["actor"]).stored())


# --- Values ---


def _transcript(world: World, _: Json) -> Json:
    transcript = Transcript.of(facts_of(world.inputs, Role.INITIATOR), Role.INITIATOR)
    return {"t": transcript.t.hex(), "pairing_root": transcript.root.hex()}


def _words(_: World, step: Json) -> Json:
    t, first, second = _bytes(step[name] for name in ("t", "nonce_I", "nonce_R"))
    five = primitives.b2b(t + first + second, personal=labels.WORDS, size=5)
    commitment = primitives.b2b(t + first, personal=labels.COMMITMENT)
    return {
        "commitment": commitment.hex(),
        "five": five.hex(),
        "words": list(words(five)),
        "words_zh": list(words(five, WordList.CHINESE)),
        "digits": list(digits(five)),
    }


def _shown_list(_: World, step: Json) -> Json:
    common = frozenset(step["initiator_features"]).intersection(step["responder_features"])
    return {"list": shown_list(common).value}


def _tag(_: World, step: Json) -> Json:
    root, t = _bytes(step[name] for name in ("pairing_root", "t"))
    own, other = (MESSAGE.decode(bytes.fromhex(step[name])) for name in ("own_record", "other_record"))
    if not isinstance(own, Record) or not isinstance(other, Record):
        raise VectorMismatch("a tag is over two records")
    role = Role(step["role"])
    return {"accept_tag": accept_tag(root, t, role, own, other).hex()}


# --- Invitations ---


def _check(_: World, step: Json) -> Json:
    return {"check": invitation_check(*_bytes(step[name] for name in ("person", "static"))).hex()}


def _one_time(_: World, step: Json) -> Json:
    return {"one_time": one_time_hash(bytes.fromhex(step["one_time_key"])).hex()}


def _write(_: World, step: Json) -> Json:
    secret, check, one_time = _bytes(step[name] for name in ("secret", "check", "one_time"))
    places = tuple(step["addresses"]), tuple(step["relays"])
    made = Invitation(secret, step["expires"], check, one_time, *places)
    return {"text": format_invitation(made)}


def _make(_: World, step: Json) -> Json:
    names = ("person", "static", "one_time_key", "secret")
    person, static, one_time, secret = _bytes(step[name] for name in names)
    places = step["addresses"], step["relays"]
    made = make_invitation(person, static, one_time, step["now"], *places, lambda size: secret[:size])
    return {"expires": made.expires, "text": format_invitation(made)}


def _read(_: World, step: Json) -> Json:
    found = parse_invitation(step["text"])
    return {
        "secret": found.secret.hex(),
        "expires": found.expires,
        "check": found.check.hex(),
        "one_time": found.one_time.hex(),
        "addresses": list(found.addresses),
        "relays": list(found.relays),
        "psk": found.psk().hex(),
    }


def _expired(_: World, step: Json) -> Json:
    return {"expired": parse_invitation(step["text"]).expired(step["now"])}


def _use(_: World, step: Json) -> Json:
    burned_by = step["burned_by"]
    check_joiner(None if burned_by is None else bytes.fromhex(burned_by), bytes.fromhex(step["static"]))
    return {"burned_by": step["static"]}


def _both_began(_: World, step: Json) -> Json:
    return {"goes_on": goes_on(bytes.fromhex(step["h"]), bytes.fromhex(step["other_h"]))}


def _forgotten(_: World, step: Json) -> Json:
    return {"forgotten": is_forgotten(step["stored"], step["now"])}


ACTIONS: Final[Mapping[str, Action[World]]] = {
    "both_began": _both_began,
    "forgotten": _forgotten,
    "start": _start,
    "receive": _receive,
    "confirm": _confirm,
    "refuse": _refuse,
    "stored": _stored,
    "transcript": _transcript,
    "words": _words,
    "shown_list": _shown_list,
    "accept_tag": _tag,
    "check": _check,
    "one_time": _one_time,
    "write": _write,
    "make": _make,
    "read": _read,
    "expired": _expired,
    "use": _use,
}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if it does not hold."""
    run_steps(test, ACTIONS, World(inputs))
