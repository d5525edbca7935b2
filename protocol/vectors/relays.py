"""Runs the vectors of relays: addresses, tokens, and both ends of a connection byte for byte (SPEC §11.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from protocol import errors
from protocol.errors import ProtocolError
from protocol.keys import X25519Pair
from protocol.pairing.contact_secret import ContactSecret
from protocol.pairing.invitation import Invitation
from protocol.relay.connection import RelayConnection
from protocol.relay.relay_end import RelayEnd
from protocol.relay.rendezvous import (
    RelayAddress,
    contact_token,
    format_relay,
    invitation_token,
    parse_relay,
    relay_day,
)
from protocol.relay.states import (
    END_REASONS,
    Answers,
    Dials,
    RelayEnded,
    RelayEvent,
    WaitBegun,
    Waits,
    WasAbsent,
    WasCalled,
    WasJoined,
    Welcomed,
)
from protocol.relay.terminal_end import RelayTerminal
from protocol.vectors.frame import Action, Json, expect_equal, read_bytes, run_steps, write_bytes
from protocol.vectors.links import Draws

AREA: Final = "relays"
ONE: Final = "one"
"""The connection of a step that names none."""
_CLASSES: Final[Mapping[str | None, type[ProtocolError]]] = {
    kind.error_class: kind
    for kind in (errors.Malformed, errors.Unexpected, errors.AuthenticationFailed, errors.LimitExceeded)
}
_SILENCE: Final[Json] = {"state": "CLOSED"}
"""What a step gives in which the other end broke a rule, unless it says something else."""

_Place = tuple[str, str]
"""A connection and the end of it."""


class World:
    """All connections of one test, each end made when a step first names it; the time, in seconds from 0."""

    def __init__(self, inputs: Json) -> None:
        self.inputs = inputs
        self.now = 0.0
        self.ends: dict[_Place, RelayConnection] = {}
        self.sent: dict[_Place, bytes] = {}

    def end(self, step: Json) -> RelayConnection:
        """The end that a step names."""
        place = _place(step, "actor")
        if place not in self.ends:
            self.ends[place] = self._make(*place)
        return self.ends[place]

    def terminal(self, step: Json) -> RelayTerminal:
        end = self.end(step)
        assert isinstance(end, RelayTerminal)
        return end

    def relay(self, step: Json) -> RelayEnd:
        end = self.end(step)
        assert isinstance(end, RelayEnd)
        return end

    def _make(self, connection: str, actor: str) -> RelayConnection:
        drawn = self.inputs["connections"][connection]
        pair = X25519Pair(bytes.fromhex(self.inputs["relay_static"]))
        if actor == "terminal":
            return RelayTerminal(pair.public, self.now, Draws(drawn["terminal_ephemeral"]))
        draws = Draws(drawn["greeting_random"], drawn["relay_ephemeral"])
        return RelayEnd(pair, self.now, self.inputs["relay_time"], draws)

    def gives(self, step: Json, events: Sequence[RelayEvent], circuit: bytes | None = None) -> Json:
        """What a step gave. Raises the error of the class for which the connection ended, if it did."""
        end, place = self.end(step), _place(step, "actor")
        self.sent[place] = end.data_to_send()
        given: Json = {"sends": write_bytes(self.sent[place])} if self.sent[place] else {}
        given |= {name: value for event in events for name, value in _told(event)}
        given |= {} if circuit is None else {"circuit": circuit.hex()}
        given |= {"state": end.state.name}
        for event in events:
            if isinstance(event, RelayEnded) and event.error_class is not None:
                expect_equal("what is sent in the end", given, step.get("gives", _SILENCE))
                raise _CLASSES[event.error_class](str(event.reason))
        return given


def _place(step: Json, which: str) -> _Place:
    return step.get("connection", ONE), step[which]


def _told(event: RelayEvent) -> list[tuple[str, Any]]:
    """What an event says, by name; errors raise."""
    match event:
        case Welcomed(time):
            return [("time", time)]
        case WaitBegun():
            return [("waits", True)]
        case WasAbsent():
            return [("absent", True)]
        case WasJoined(others, rest):
            return [("others", others), ("circuit", rest.hex())]
        case WasCalled(token, rest):
            return [("called", token.hex()), ("circuit", rest.hex())]
        case Answers(rest):
            return [("circuit", rest.hex())]
        case Waits(tokens):
            return [("tokens", [token.hex() for token in tokens])]
        case Dials(token, place):
            return [("token", token.hex()), ("place", place)]
        case RelayEnded(reason, None):
            return [("ended", str(reason))]
    return []


# --- Actions: a connection ---


def _begin(world: World, step: Json) -> Json:
    world.end(step)
    return world.gives(step, [])


def _stream(world: World, step: Json) -> bytes:
    """What a step receives: bytes of its own, those that the other end sent last, or both, in this order."""
    sent = world.sent[_place(step, "sent_by")] if "sent_by" in step else b""
    return sent + read_bytes(step.get("stream", ""))


def _receive(world: World, step: Json) -> Json:
    return world.gives(step, world.end(step).receive(_stream(world, step), world.now))


def _receive_bytewise(world: World, step: Json) -> Json:
    end, events = world.end(step), list[RelayEvent]()
    for byte in _stream(world, step):
        events += end.receive(bytes([byte]), world.now)
    return world.gives(step, events)


def _wait_on(world: World, step: Json) -> Json:
    tokens = [bytes.fromhex(token) for token in step["tokens"]]
    world.terminal(step).wait(tokens, world.now)
    return world.gives(step, [])


def _dial(world: World, step: Json) -> Json:
    world.terminal(step).dial(bytes.fromhex(step["token"]), world.now, step["place"])
    return world.gives(step, [])


def _waiting(world: World, step: Json) -> Json:
    world.relay(step).waiting()
    return world.gives(step, [])


def _absent(world: World, step: Json) -> Json:
    world.relay(step).absent(world.now)
    return world.gives(step, [])


def _call(world: World, step: Json) -> Json:
    world.relay(step).call(bytes.fromhex(step["token"]), world.now)
    return world.gives(step, [])


def _join(world: World, step: Json) -> Json:
    return world.gives(step, [], world.relay(step).join(step["others"]))


def _end(world: World, step: Json) -> Json:
    return world.gives(step, world.relay(step).end(END_REASONS[step["reason"]]))


def _close(world: World, step: Json) -> Json:
    return world.gives(step, world.terminal(step).close())


def _cut(world: World, step: Json) -> Json:
    return world.gives(step, world.end(step).end_of_stream())


def _wait(world: World, step: Json) -> Json:
    world.now = float(step["until"])
    return world.gives(step, world.end(step).handle_timer(world.now))


# --- Actions: one step each ---


def _bytes(step: Json, *names: str) -> list[bytes]:
    return [bytes.fromhex(step[name]) for name in names]


def _parse_address(_: World, step: Json) -> Json:
    relay = parse_relay(step["text"])
    return {"host": relay.host, "port": relay.port, "relay": relay.key.hex(), "is_name": relay.is_name}


def _format_address(_: World, step: Json) -> Json:
    return {"text": format_relay(RelayAddress(step["host"], step["port"], bytes.fromhex(step["relay"])))}


def _meeting_key(_: World, step: Json) -> Json:
    secret, waiter, dialler = _bytes(step, "contact_secret", "waiter", "dialler")
    return {"meeting_key": ContactSecret(secret).meeting_key(waiter, dialler).hex()}


def _token(_: World, step: Json) -> Json:
    key, relay, static = _bytes(step, "meeting_key", "relay", "static")
    return {"token": contact_token(key, step["day"], relay, static).hex()}


def _invitation_token(_: World, step: Json) -> Json:
    secret, check, relay = _bytes(step, "secret", "check", "relay")
    invitation = Invitation(secret, step["expires"], check, bytes(32), (), ())
    return {"token": invitation_token(invitation, step["day"], relay).hex()}


def _day(_: World, step: Json) -> Json:
    return {"day": relay_day(step["time"], step["own_time"])}


ACTIONS: Final[Mapping[str, Action[World]]] = {
    "begin": _begin,
    "receive": _receive,
    "receive_bytewise": _receive_bytewise,
    "wait_on": _wait_on,
    "dial": _dial,
    "waiting": _waiting,
    "absent": _absent,
    "call": _call,
    "join": _join,
    "end": _end,
    "close": _close,
    "cut": _cut,
    "wait": _wait,
    "parse_address": _parse_address,
    "format_address": _format_address,
    "meeting_key": _meeting_key,
    "token": _token,
    "invitation_token": _invitation_token,
    "day": _day,
}


def run(test: Json, inputs: Json) -> None:
    """One test, after the steps that all of its group begin with; VectorMismatch as run_steps."""
    whole = test | {"steps": [*inputs.get("before", []), *test["steps"]]}
    run_steps(whole, ACTIONS, World(inputs))
