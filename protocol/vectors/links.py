"""Own vectors of links: both ends, byte for byte, from the greeting to the end (SPEC §5, §6, §8).

Rules: a link is driven through its public calls, and what it gives is all that a step shows; time moves only
where a step says so. An error of the peer's ends the link in silence, and its class is what a test expects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from protocol import errors, labels
from protocol.agreement import agree
from protocol.codec import encode
from protocol.envelopes import OpenPhase
from protocol.errors import ProtocolError
from protocol.events import (
    Event,
    HandshakeAuthenticated,
    LinkClosed,
    LinkOpen,
    MessageReceived,
    PingAnswered,
    VersionRefused,
)
from protocol.keys import X25519Pair
from protocol.link import Link
from protocol.messages import MESSAGE, Close, Ping
from protocol.pairing_record import Transcript
from protocol.primitives import b2b, mlkem_from_seed
from protocol.vectors.frame import Json, VectorMismatch, expect_equal, read_bytes, write_bytes
from protocol.vectors.links_inputs import initiator, link_psk, responder
from protocol.vectors.links_peer import encoded_payloads
from protocol.vectors.script import Action, run_steps

AREA: Final = "links"
_CLASSES: Final[Mapping[str, type[ProtocolError]]] = {
    kind.error_class: kind
    for kind in (
        errors.Malformed,
        errors.Unexpected,
        errors.AuthenticationFailed,
        errors.LimitExceeded,
        errors.Untrusted,
    )
}

_SILENCE: Final[Json] = {"state": "CLOSED"}
"""What a step gives in which the peer broke a rule, unless it says something else."""


class World:
    """Both ends of one test, each made when its first step is taken; the time, in seconds from 0."""

    def __init__(self, inputs: Json) -> None:
        self.inputs = inputs
        self.now = 0.0
        self._links: dict[str, Link] = {}
        self.sent: dict[str, bytes] = {}

    def link(self, actor: str) -> Link:
        """The end that a step names."""
        if actor not in self._links:
            start = initiator(self.inputs) if actor == "initiator" else responder(self.inputs)
            self._links[actor] = Link(start, self.now)
        return self._links[actor]

    def gives(self, step: Json, events: Sequence[Event]) -> Json:
        """What a step gave. Raises the error of the class for which the link ended, if it did."""
        link, actor = self.link(step["actor"]), step["actor"]
        if "payload" in step:
            # That these were sent is shown by `h`, which an end with these payloads came to as well.
            expect_equal("a payload", step["payload"] in encoded_payloads(self.inputs), True)
        self.sent[actor] = link.data_to_send()
        sends: Json = {"sends": write_bytes(self.sent[actor])} if self.sent[actor] else {}
        told: Json = {name: value for event in events for name, value in _told(event)}
        messages = [encode(event.message) for event in events if isinstance(event, MessageReceived)]
        told |= {"messages": [write_bytes(message) for message in messages]} if messages else {}
        given = sends | told | {"state": link.state.name}
        for event in events:
            if isinstance(event, LinkOpen):
                given |= _secrets(self.inputs, event, step.get("h"))
            if isinstance(event, LinkClosed) and event.error_class is not None:
                expect_equal("what is sent in the end", given, step.get("gives", _SILENCE))
                raise _CLASSES[event.error_class](str(event.reason))
        return given


def _told(event: Event) -> list[tuple[str, Any]]:
    """What an event says, by name; messages stand together, and errors raise."""
    match event:
        case LinkOpen():
            replaced = [("replaces", event.replaces.hex())] if event.replaces else []
            return [("session_id", event.session_id.hex()), *replaced]
        case HandshakeAuthenticated(static, invitation):
            return [("joiner", static.hex()), ("invitation", invitation[0])]
        case PingAnswered(number):
            return [("answered", number)]
        case VersionRefused(minimum, maximum):
            return [("versions", [minimum, maximum])]
        case LinkClosed(reason, None):
            return [("ended", str(reason))]
    return []


# --- Intermediate values (SPEC §8, §7.4) ---


def _secrets(inputs: Json, event: LinkOpen, h: str | None) -> Json:
    """The secrets of a link that opened, computed from the inputs and the handshake hash of the step.

    VectorMismatch unless they lead to the link's session id, which stands for both S and h.
    """
    if h is None:
        return {}
    seed = mlkem_from_seed(bytes.fromhex(inputs["kem_seed"]))
    ciphertext = bytes.fromhex(inputs["kem_ciphertext"])
    expect_equal("the KEM secret", seed[0].decapsulate(ciphertext).hex(), inputs["kem_secret"])
    shares = bytes.fromhex(inputs["initiator_share"]), bytes.fromhex(inputs["responder_share"])
    kem = (seed[1], ciphertext, bytes.fromhex(inputs["kem_secret"]))
    ratchet, *statics = (
        X25519Pair(bytes.fromhex(secret)).public
        for secret in (
            inputs["responder_ratchet_keys"][0],
            inputs["initiator_static"],
            inputs["responder_static"],
        )
    )
    facts = agree(bytes.fromhex(h), shares, kem, ratchet)
    secret = facts.secret.reveal()
    root = b2b(b"".join(statics) + event.session_id, personal=labels.SESSION_ROOT, key=secret)
    session_id = b2b(facts.handshake_hash, personal=labels.SESSION_ID, key=secret, size=16)
    expect_equal("the session id", session_id, event.session_id)
    values: Json = {"S": secret.hex(), "session_root": root.hex()}
    if event.pairing is None:
        return values | _contact_values(inputs, event)
    expect_equal("what the handshake agreed on", event.pairing, facts)
    transcript = Transcript.of(event.pairing, event.role)
    return values | {"t": transcript.t.hex(), "pairing_root": transcript.root.hex()}


def _contact_values(inputs: Json, event: LinkOpen) -> Json:
    if event.contact_psk is None:
        raise VectorMismatch("a link of contacts without a psk")
    psk = event.contact_psk
    pairs = inputs["initiator_pairs"] if event.role == 0 else inputs["responder_pairs"]
    (pair,) = (pair for pair in pairs if (pair["own"], pair["theirs"]) == (psk.own, psk.theirs))
    expect_equal("the psk", psk.psk, link_psk(inputs, pair))
    return {"link_psk": psk.psk.hex(), "own": psk.own, "theirs": psk.theirs}


# --- Actions ---


def _begin(world: World, step: Json) -> Json:
    world.link(step["actor"])
    return world.gives(step, [])


def _receive(world: World, step: Json) -> Json:
    stream = world.sent[step["sent_by"]] if "sent_by" in step else read_bytes(step["stream"])
    return world.gives(step, world.link(step["actor"]).receive(stream, world.now))


def _receive_bytewise(world: World, step: Json) -> Json:
    link, events = world.link(step["actor"]), list[Event]()
    for byte in world.sent[step["sent_by"]]:
        events += link.receive(bytes([byte]), world.now)
    return world.gives(step, events)


def _send(world: World, step: Json) -> Json:
    link, message = world.link(step["actor"]), MESSAGE.decode(read_bytes(step["message"]))
    match message:
        case Ping(number):
            expect_equal("the number of the Ping", link.ping(world.now), number)
            return world.gives(step, [])
        case Close(reason):
            return world.gives(step, link.close(reason))
    if not link.send(message, world.now):
        raise VectorMismatch("no envelope is left")
    return world.gives(step, [])


def _burned(world: World, step: Json) -> Json:
    return world.gives(step, world.link(step["actor"]).resume(world.now))


def _wait(world: World, step: Json) -> Json:
    world.now = float(step["until"])
    return world.gives(step, world.link(step["actor"]).handle_timer(world.now))


def _cut(world: World, step: Json) -> Json:
    return world.gives(step, world.link(step["actor"]).end_of_stream())


def _count(world: World, step: Json) -> Json:
    # 2^20 envelopes are too many to write down: the state variables of SPEC §6.1 are set instead.
    phase = world.link(step["actor"])._phase
    if not isinstance(phase, OpenPhase):
        raise VectorMismatch("only an open link counts")
    phase._sent, phase._received = step.get("sent", phase._sent), step.get("received", phase._received)
    return {}


ACTIONS: Final[Mapping[str, Action[World]]] = {
    "begin": _begin,
    "receive": _receive,
    "receive_bytewise": _receive_bytewise,
    "send": _send,
    "burned": _burned,
    "wait": _wait,
    "cut": _cut,
    "count": _count,
}


def run(test: Json, inputs: Json) -> None:
    """One test, after the steps that all of its group begin with; VectorMismatch as run_steps."""
    whole = test | {"steps": [*inputs.get("before", []), *test["steps"]]}
    run_steps(whole, ACTIONS, World(inputs))
