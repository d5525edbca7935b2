"""Ends of connections to a relay made of Noise and formulas alone: they say whatever a vector needs.

Rules: written after SPEC §11.7 and not with protocol/relay_end.py, so that both must agree byte for byte.
"""

from __future__ import annotations

from typing import Any, Final

from protocol import labels
from protocol.codec import encode
from protocol.keys import X25519Pair
from protocol.noise import Finished, HandshakeState
from protocol.primitives import b2b
from protocol.vectors.frame import Json
from protocol.vectors.links import Draws, pair
from protocol.vectors.relays import ONE
from tests.vectors.links_ends import frame

CHOICE: Final = b"\x01\x10"
SMALL: Final = 64
LARGE: Final = 2_320


def greeting(inputs: Json, connection: str = ONE) -> bytes:
    """The relay's greeting."""
    return b"PARELAY\x00\x01\x01\x00\x00" + bytes.fromhex(
        inputs["connections"][connection]["greeting_random"]
    )


def padded(content: Any, size: int = SMALL) -> bytes:
    """A message of any content (bytes: as they are), padded to a size."""
    encoded = content if isinstance(content, bytes) else encode(content)
    return (len(encoded).to_bytes(2, "big") + encoded).ljust(size, b"\x00")


class RelayPeer:
    """Both ends of one connection; what one of them seals, the end under test receives."""

    def __init__(self, inputs: Json, connection: str = ONE) -> None:
        drawn = inputs["connections"][connection]
        self.relay: X25519Pair = pair(inputs["relay_static"])
        self.greeting = greeting(inputs, connection)
        name, bound = "Noise_NK_25519_ChaChaPoly_BLAKE2b", b"parlour.relay.v1" + self.greeting + CHOICE
        ephemerals = [Draws(drawn[f"{end}_ephemeral"]) for end in ("terminal", "relay")]
        self._terminal = HandshakeState(
            name, initiator=True, prologue=bound, rs=self.relay.public, random=ephemerals[0]
        )
        self._relay = HandshakeState(
            name, initiator=False, prologue=bound, s=self.relay, random=ephemerals[1]
        )
        self._time = inputs["relay_time"]
        self._sealed: dict[str, Finished] = {}

    def mac(self, message: bytes) -> bytes:
        """What stands before a message 1."""
        data = self.greeting + CHOICE + message
        return b2b(data, personal=labels.RELAY_MAC, key=self.relay.public, size=16)

    def hello(self, message: bytes | None = None) -> bytes:
        """The body of the first frame, with the right mac of any message 1."""
        chosen = self._terminal.write_message() if message is None else message
        return CHOICE + self.mac(chosen) + chosen

    def reply(self, payload: bytes | None = None) -> bytes:
        """Message 2, with any payload."""
        self._relay.read_message(self.hello()[18:])
        return self._relay.write_message(padded([self._time]) if payload is None else payload)

    def welcomed(self) -> RelayPeer:
        """After the handshake."""
        self._terminal.read_message(self.reply())
        self._sealed = {"terminal": self._terminal.finish(), "relay": self._relay.finish()}
        return self

    def seals(self, end: str, content: bytes) -> bytes:
        """The next frame of an end, with any padded content."""
        return frame(self._sealed[end].send.encrypt_with_ad(b"", content))
