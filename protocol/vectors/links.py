"""Runs the vectors of links: both ends, byte for byte, from greeting to end (SPEC §5, §6, §8).

Every random draw is a named input. A draw of another size, or without an input, is a mismatch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

from protocol import errors, labels
from protocol.codec import Wire, encode
from protocol.errors import ProtocolError
from protocol.keys import X25519Pair
from protocol.link.agreement import agree
from protocol.link.envelopes import OpenPhase
from protocol.link.framing import Pattern
from protocol.link.handshake import Initiator, Responder
from protocol.link.link import Link
from protocol.link.states import (
    ContactPsk,
    Event,
    HandshakeAuthenticated,
    InvitationKeys,
    LinkClosed,
    LinkOpen,
    MessagePassedOver,
    MessageReceived,
    PingAnswered,
    VersionRefused,
    closes,
)
from protocol.messages import (
    MESSAGE,
    Close,
    ContactHello,
    ContactReply,
    PairingFinish,
    PairingReply,
    Ping,
    ShareNames,
)
from protocol.pairing.contact_secret import ContactSecret
from protocol.pairing.record import Transcript
from protocol.primitives import b2b, mlkem_encapsulate, mlkem_from_seed
from protocol.vectors.frame import (
    Action,
    Json,
    VectorMismatch,
    expect_equal,
    read_bytes,
    run_steps,
    write_bytes,
)

PATTERNS: Final = {
    "XX": Pattern.XX,
    "XXpsk0": Pattern.XXPSK0,
    "IKpsk2": Pattern.IKPSK2,
    "linking": Pattern.LINKING,
}
OWN_SHARE, THEIR_SHARE = "own", "theirs"


class Draws:
    """A source of randomness that gives these values in their order."""

    def __init__(self, *values: str) -> None:
        self._values = [bytes.fromhex(value) for value in values]

    def __call__(self, size: int) -> bytes:
        """The next value. VectorMismatch if there is none, or it has another size."""
        if not self._values or len(self._values[0]) != size:
            raise VectorMismatch(f"no input for a draw of {size} bytes")
        return self._values.pop(0)


@dataclass(frozen=True)
class Encapsulation:
    """Gives the ciphertext and secret of the inputs, for a key that is checked as every key is."""

    secret: str
    ciphertext: str

    def __call__(self, public: bytes) -> tuple[bytes, bytes]:
        """(secret, ciphertext). Malformed as mlkem_encapsulate."""
        mlkem_encapsulate(public)
        return bytes.fromhex(self.secret), bytes.fromhex(self.ciphertext)


def encapsulation(inputs: Json) -> Encapsulation:
    """Fixed result of the encapsulation."""
    return Encapsulation(inputs["kem_secret"], inputs["kem_ciphertext"])


def link_psk(inputs: Json, pair: Json) -> bytes:
    """The psk, 32 bytes, that comes from a contact secret of the inputs (SPEC §7.6)."""
    persons = (bytes.fromhex(inputs[f"{role}_person"]) for role in ("initiator", "responder"))
    return ContactSecret(bytes.fromhex(pair["contact_secret"])).link_psk(*persons)


def _contact_psk(inputs: Json, pair: Json) -> ContactPsk:
    own, theirs = (bytes.fromhex(pair[side]) for side in (OWN_SHARE, THEIR_SHARE))
    return ContactPsk(link_psk(inputs, pair), own, theirs)


# --- Initiator ---


def initiator(inputs: Json) -> Initiator:
    """The initiator of the inputs."""
    return _contact_call(inputs) if inputs["pattern"] == "IKpsk2" else _pairing_call(inputs)


def _pairing_call(inputs: Json) -> Initiator:
    draws = Draws(inputs["initiator_ephemeral"], inputs["initiator_share"], *inputs["initiator_ratchet_keys"])
    invited = inputs["pattern"] == "XXpsk0"
    return Initiator.pairing(
        PATTERNS[inputs["pattern"]],
        bytes.fromhex(inputs["initiator_psk"]) if invited else None,
        responder=bytes.fromhex(inputs["initiator_one_time"]) if invited else b"",
        static=X25519Pair(bytes.fromhex(inputs["initiator_static"])),
        random=draws,
        aes=inputs["initiator_aes"],
        features=inputs.get("initiator_features", ()),
        encapsulate=encapsulation(inputs),
    )


def _contact_call(inputs: Json) -> Initiator:
    names = ("kem_seed", "initiator_share", "initiator_ephemeral")
    return Initiator.contact(
        X25519Pair(bytes.fromhex(inputs["initiator_static"])),
        bytes.fromhex(inputs["initiator_knows"]),
        bytes.fromhex(inputs["initiator_person"]),
        bytes.fromhex(inputs["responder_person"]),
        [_contact_psk(inputs, pair) for pair in inputs["initiator_pairs"]],
        replaces=bytes.fromhex(inputs["replaces"]),
        random=Draws(*(inputs[name] for name in names), *inputs["initiator_ratchet_keys"]),
        aes=inputs["initiator_aes"],
        features=inputs.get("initiator_features", ()),
    )


# --- Responder ---


class InputPolicy:
    """The policy of a responder, from the inputs."""

    def __init__(self, inputs: Json) -> None:
        self._inputs = inputs

    def pairing_open(self) -> bool:
        """Whether it is visible and no attempt is under way."""
        return bool(self._inputs["responder_visible"])

    def linking_open(self) -> bool:
        """Whether its person adds a terminal, and none is being added."""
        return bool(self._inputs.get("responder_adds"))

    def open_invitations(self) -> Sequence[InvitationKeys]:
        """The open invitations, known by their place in the list."""
        opened = self._inputs["responder_invitations"]
        return [
            InvitationKeys(bytes([place]), bytes.fromhex(one["psk"]), pair(one["static"]))
            for place, one in enumerate(opened)
        ]

    def contact_psk(self, static: bytes, hello: ContactHello) -> tuple[bytes, ContactPsk] | None:
        """The one contact, if it is the caller and a share of each is held by both."""
        inputs = self._inputs
        known = (inputs["responder_knows"], inputs["responder_knows_person"])
        if (static.hex(), hello.person.hex()) != known:
            return None
        pairs = {(pair[OWN_SHARE], pair[THEIR_SHARE]): pair for pair in inputs["responder_pairs"]}
        named = {(own.hex(), theirs.hex()) for own in hello.names.theirs for theirs in hello.names.own}
        found = next((pair for shares, pair in pairs.items() if shares in named), None)
        return None if found is None else (hello.person, _contact_psk(inputs, found))


def responder(inputs: Json) -> Responder:
    """The responder of the inputs."""
    ratchet, *later = inputs["responder_ratchet_keys"]
    last = (ratchet, inputs["responder_share"], inputs["responder_ephemeral"], *later)
    return Responder(
        X25519Pair(bytes.fromhex(inputs["responder_static"])),
        InputPolicy(inputs),
        random=Draws(inputs["greeting_random"], *_first_draws(inputs), *last),
        aes=inputs["responder_aes"],
        features=inputs.get("responder_features", ()),
        encapsulate=encapsulation(inputs),
    )


def _first_draws(inputs: Json) -> list[str]:
    if inputs["pattern"] == "IKpsk2":
        return [inputs["stranger_psk"]]
    psks = inputs["missing_psks"] if inputs["pattern"] == "XXpsk0" else []
    return [inputs["responder_static"], *psks, inputs["kem_seed"]]


def pair(secret: str) -> X25519Pair:
    """The pair of a secret in hex."""
    return X25519Pair(bytes.fromhex(secret))


@dataclass(frozen=True)
class Payloads:
    """The structs of a handshake, in the order in which they are sent."""

    hello: Wire | None
    reply: Wire
    finish: Wire | None

    @classmethod
    def of(cls, inputs: Json) -> Payloads:
        """Those of the inputs."""
        ciphertext, seed = (bytes.fromhex(inputs[name]) for name in ("kem_ciphertext", "kem_seed"))
        shares = [bytes.fromhex(inputs[f"{role}_share"]) for role in ("initiator", "responder")]
        ratchet, kem_key = pair(inputs["responder_ratchet_keys"][0]).public, mlkem_from_seed(seed)[1]
        if inputs["pattern"] != "IKpsk2":
            finish = PairingFinish(ciphertext, shares[0])
            return cls(None, PairingReply(kem_key, shares[1], ratchet), finish)
        held = inputs["initiator_pairs"]
        names = [sorted({bytes.fromhex(one[end]) for one in held}) for end in (OWN_SHARE, THEIR_SHARE)]
        person = bytes.fromhex(inputs["initiator_person"])
        hello = ContactHello(person, ShareNames(*names), kem_key, shares[0])
        return cls(hello, ContactReply(ciphertext, shares[1], ratchet), None)


def encoded_payloads(inputs: Json) -> tuple[str, str, str]:
    """The structs of the three messages, encoded and in hex; empty where a message has none."""
    sent = Payloads.of(inputs)
    hello, finish = ("" if one is None else encode(one).hex() for one in (sent.hello, sent.finish))
    return hello, encode(sent.reply).hex(), finish


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
        self._features: dict[str, tuple[int, ...]] = {}
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
        over = [event.number for event in events if isinstance(event, MessagePassedOver)]
        told |= {"passed_over": over} if over else {}
        told |= {"messages": [write_bytes(message) for message in messages]} if messages else {}
        given = sends | told | self._named(actor) | {"state": link.state.name}
        for event in events:
            if isinstance(event, LinkOpen):
                given |= _secrets(self.inputs, event, step.get("h"))
            if isinstance(event, LinkClosed) and event.error_class is not None:
                expect_equal("what is sent in the end", given, step.get("gives", _SILENCE))
                raise _CLASSES[event.error_class](str(event.reason))
        return given

    def _named(self, actor: str) -> Json:
        """The features of the other end, when they become known."""
        features = self.link(actor).peer_features
        if not features or features == self._features.get(actor):
            return {}
        self._features[actor] = features
        return {"features": list(features)}


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
    own = pair(inputs[f"{event.role.name.lower()}_static"])
    facts = agree(bytes.fromhex(h), shares, kem, ratchet, (own, event.peer_static))
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
    names = psk.own.hex(), psk.theirs.hex()
    pairs = inputs["initiator_pairs"] if event.role == 0 else inputs["responder_pairs"]
    (pair,) = (pair for pair in pairs if (pair[OWN_SHARE], pair[THEIR_SHARE]) == names)
    expect_equal("the psk", psk.psk, link_psk(inputs, pair))
    return {"link_psk": psk.psk.hex(), "own": names[0], "theirs": names[1]}


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


class _Standing(NamedTuple):
    session: bytes
    began: bool
    replaces: bytes

    @classmethod
    def of(cls, link: Json) -> Self:
        return cls(bytes.fromhex(link["session_id"]), link["began"], bytes.fromhex(link["replaces"]))


def _closes(_: World, step: Json) -> Json:
    """Whether an endpoint closes one of two open links with the same terminal."""
    working, other = (_Standing.of(step[name]) for name in ("answered", "other"))
    own, peer = (bytes.fromhex(step[name]) for name in ("own_static", "peer_static"))
    closing = closes(working, other, other_is_older=step["other_is_older"], outranks=own > peer)
    return {"closes": closing}


ACTIONS: Final[Mapping[str, Action[World]]] = {
    "closes": _closes,
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
