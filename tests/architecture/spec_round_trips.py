"""Every example of SPEC.md goes through its decoder and its encoder, and comes back as it was.

Rules: as in spec_checks.py, a check takes the document's text and returns what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from protocol import errors, limits, messages, profile_header
from protocol.codec import encode
from protocol.discovery import read_text, write_text
from protocol.identity import log, safety
from protocol.link.agreement import CONTACT_HELLO, CONTACT_REPLY, PAIRING_FINISH, PAIRING_REPLY
from protocol.link.framing import (
    LAST,
    REFUSAL,
    Choice,
    FrameReader,
    Greeting,
    check_refusal,
    length_of,
    pad,
    unpad,
)
from protocol.pairing import invitation
from protocol.primitives import AEGIS256
from protocol.ratchet import parlour_parameters
from tests.architecture import spec_relay_examples, spec_text


def examples_decode_and_encode_back(text: str) -> list[str]:
    found = dict(spec_text.examples(text))
    wrong = []
    for name, example in found.items():
        try:
            again = _round_trip(name, example, found)
        except (errors.ProtocolError, AssertionError, ValueError) as error:
            again = repr(error)
        if again != example.replace("\n", ""):
            wrong.append(f"example {name}: {again}")
    return wrong


def _round_trip(name: str, example: str, others: dict[str, str]) -> str:
    """An example through its decoder and encoder."""
    if (relayed := spec_relay_examples.again(name, example)) is not None:
        return relayed
    if name == "invitation":
        return invitation.format_invitation(invitation.parse_invitation(example))
    if name == "words":
        rows = (bytes(range(start, start + 16)) for start in range(0, 256, 16))
        return "".join(" ".join(safety.word_list()[value] for value in row) for row in rows)
    data = bytes.fromhex(example)
    if name in {struct.__name__ for struct in get_args(messages.Message)}:
        decoded = messages.MESSAGE.decode(data)
        assert type(decoded).__name__ == name
        return encode(decoded).hex()
    return _READERS[name](
        data, {other: bytes.fromhex(others[other]) for other in ("greeting", "message-key")}
    ).hex()


Others = dict[str, bytes]


def _refusal(data: bytes, _: Others) -> bytes:
    reader = FrameReader()
    reader.feed(data)
    body = reader.next_frame(limits.HANDSHAKE_FRAME_MAX)
    assert body is not None
    with pytest.raises(errors.Unexpected):
        check_refusal(body)
    return length_of(REFUSAL) + body


def _operation(data: bytes, _: Others) -> bytes:
    parsed = log.parse_operation(data)
    return encode([encode(parsed.operation), list(parsed.signatures)])


def _envelope(data: bytes, others: Others) -> bytes:
    """Opened with the message key beside it, checked to be Confirm, and sealed again."""
    parameters = parlour_parameters(AEGIS256)
    decoded, size = parameters.decode_header(data)
    content = parameters.decrypt(others["message-key"], data[:size], data[size:])
    assert messages.MESSAGE.decode(content.removeprefix(LAST)) == messages.Confirm(b"")
    again = parameters.encode_header(decoded)
    return again + parameters.encrypt(others["message-key"], again, content)


_READERS: dict[str, Callable[[bytes, Others], bytes]] = {
    "greeting": lambda data, _: Greeting.decode(data).encode(),
    "choice": lambda data, others: Choice.decode(data, Greeting.decode(others["greeting"])).encode(),
    "refusal": _refusal,
    "padded": lambda data, _: pad(unpad(data)),
    "envelope": _envelope,
    "message-key": lambda data, _: data,
    "EntryHeader": lambda data, _: encode(messages.ENTRY_HEADER.decode(data)),
    "TextBody": lambda data, _: encode(messages.TEXT_BODY.decode(data)),
    "Genesis": _operation,
    "Add": _operation,
    "Remove": _operation,
    "Rename": _operation,
    "Recover": _operation,
    "ContactHello": lambda data, _: encode(CONTACT_HELLO.decode(data)),
    "ContactReply": lambda data, _: encode(CONTACT_REPLY.decode(data)),
    "PairingReply": lambda data, _: encode(PAIRING_REPLY.decode(data)),
    "PairingFinish": lambda data, _: encode(PAIRING_FINISH.decode(data)),
    "Invitation": lambda data, _: encode(invitation._CODEC.decode(data)),
    "announcement": lambda data, _: write_text(*read_text(data)),
    "Header": lambda data, _: profile_header.parse(data).to_bytes(),
}


ROUND_TRIPS: tuple[Callable[[str], list[str]], ...] = (examples_decode_and_encode_back,)
