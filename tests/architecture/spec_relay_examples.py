"""The examples and values of SPEC §11.7, made by the code from the public seed phrase.

Rules: as in spec_examples.py and spec_values.py; one relay and one connection to it serve all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import wrap
from typing import get_args

from msgspec import Struct

from protocol.codec import Wire, encode
from protocol.keys import X25519Pair
from protocol.noise import HandshakeState
from protocol.relay.cluster import ClusterKeys
from protocol.relay.messages import (
    CHOICE,
    PROTOCOL_NAME,
    WELCOME,
    Answer,
    Called,
    Dial,
    End,
    Joined,
    RelayGreeting,
    RelayMessage,
    Wait,
    Welcome,
    pad_message,
    prologue,
    read_from_relay,
    read_from_terminal,
    read_hello,
    write_hello,
)
from protocol.relay.rendezvous import (
    RelayAddress,
    contact_token,
    format_relay,
    invitation_token,
    key_text,
    parse_relay,
)
from tests.architecture.spec_examples import FIRST, HEX_WIDTH, TIME_MS, draw, example_invitation, key_pair
from tests.architecture.spec_formulas import Value
from tests.architecture.spec_shapes import fields

DAY = TIME_MS // 86_400_000
HOST, PORT = "relay.example.org", 4746
RELAY = key_pair("relay")
GREETING = RelayGreeting(draw("relay greeting", 16)).encode()
FRAMED = 2

RELAY_TYPES: tuple[type[Wire], ...] = get_args(RelayMessage)
_PAYLOADS: tuple[type[Wire], ...] = (Welcome,)
RELAY_STRUCTS: dict[str, type[Wire]] = {
    struct.__name__: struct for struct in (*RELAY_TYPES, *_PAYLOADS) if list(fields(struct))
}
"""Those with fields: the others have no table of their own."""


def blocks() -> dict[str, str]:
    """Every example by its name, as it stands in the document."""
    made = {name: "\n".join(wrap(data.hex(), HEX_WIDTH)) for name, data in _hex_examples().items()}
    return made | {"relay-address": str(_address())}


def values() -> dict[str, dict[str, Value]]:
    """Every block of values by the name of the formulas that it belongs to."""
    return {
        "relay-address": _address_values(),
        "relay-hello": _hello_values(),
        "relay-tokens": _token_values(),
        "relay-cluster": _cluster_values(),
    }


def _address() -> RelayAddress:
    return RelayAddress(HOST, PORT, RELAY.public)


def _hex_examples() -> Mapping[str, bytes]:
    tokens = sorted(draw(f"token {n}", 16) for n in range(2))
    structs: tuple[Wire, ...] = (
        Welcome(TIME_MS // 1_000),
        Wait(tokens),
        Dial(tokens[0], 0),
        Called(tokens[0]),
        Joined(0),
        End(0),
    )
    return {
        "relay-greeting": GREETING,
        "relay-hello": write_hello(RELAY.public, GREETING, _message()),
        **{type(struct).__name__: encode(struct) for struct in structs},
        "relay-padded": pad_message(Answer()),
    }


def _message() -> bytes:
    """Noise message 1 of the terminal that this greeting came to."""
    handshake = HandshakeState(
        PROTOCOL_NAME,
        initiator=True,
        prologue=prologue(GREETING, CHOICE),
        rs=RELAY.public,
        random=lambda _: draw("relay ephemeral"),
    )
    return handshake.write_message()


def _address_values() -> dict[str, Value]:
    return {
        "host": HOST,
        "port": str(PORT),
        "base32": key_text(RELAY.public),
        "address": format_relay(_address()),
    }


def _hello_values() -> dict[str, Value]:
    message, choice = _message(), CHOICE
    return {
        "relay": RELAY.public,
        "greeting": GREETING,
        "choice": choice,
        "message_1": message,
        "prologue": prologue(GREETING, choice),
        "mac": write_hello(RELAY.public, GREETING, message)[FRAMED + len(choice) :][:16],
    }


def _cluster_values() -> dict[str, Value]:
    keys, token = ClusterKeys(RELAY), draw("token 0", 16)
    return {
        "secret": RELAY.reveal(),
        "token": token,
        "psk": keys._psk,
        "name": keys.name(token),
    }


def _token_values() -> dict[str, Value]:
    key, static = draw("meeting key"), X25519Pair(FIRST.static_secret).public
    invitation = example_invitation()
    return {
        "meeting_key": key,
        "day": DAY,
        "relay": RELAY.public,
        "static": static,
        "token": contact_token(key, DAY, RELAY.public, static),
        "secret": invitation.secret,
        "check": invitation.check,
        "expires": invitation.expires,
        "invitation_token": invitation_token(invitation, DAY, RELAY.public),
    }


# --- Through the decoders again ---


def again(name: str, example: str) -> str | None:
    """An example of this file through its decoder and encoder; None where the example is another's."""
    if name == "relay-address":
        return format_relay(parse_relay(example))
    reader = _READERS.get(name)
    return None if reader is None else reader(bytes.fromhex(example)).hex()


def _hello(data: bytes) -> bytes:
    """Opened by the relay, and written again."""
    hello = read_hello(RELAY.public, GREETING, data[FRAMED:])
    bound = prologue(GREETING, hello.choice)
    handshake = HandshakeState(PROTOCOL_NAME, initiator=False, prologue=bound, s=RELAY)
    assert handshake.read_message(hello.message) == b""
    return write_hello(RELAY.public, GREETING, hello.message)


def _message_of(kind: type[Struct], read: Callable[[bytes], Struct]) -> Callable[[bytes], bytes]:
    def through(data: bytes) -> bytes:
        size = 2_320 if kind is Wait else 64
        message = read((len(data).to_bytes(2) + data).ljust(size, b"\x00"))
        assert type(message) is kind
        return encode(message)

    return through


_READERS: dict[str, Callable[[bytes], bytes]] = {
    "relay-greeting": lambda data: RelayGreeting.decode(data).encode(),
    "relay-hello": _hello,
    "Welcome": lambda data: encode(WELCOME.decode(data)),
    "Wait": _message_of(Wait, read_from_terminal),
    "Dial": _message_of(Dial, read_from_terminal),
    "Called": _message_of(Called, read_from_relay),
    "Joined": _message_of(Joined, read_from_relay),
    "End": _message_of(End, read_from_relay),
    "relay-padded": lambda data: pad_message(read_from_terminal(data)),
}
