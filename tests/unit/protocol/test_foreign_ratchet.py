"""The same core under the parameters of others: Olm, recorded with vodozemac, bit for bit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from protocol.errors import AuthenticationFailed, ProtocolError
from protocol.keys import X25519Pair
from protocol.ratchet import RatchetSession
from tests.support.protocol import ratchets as olm
from tests.support.protocol.ratchets import snapshot


def recorded() -> dict[str, Any]:
    transcript: dict[str, Any] = json.loads(olm.TRANSCRIPT.read_text(encoding="utf-8"))
    return transcript


def bob(transcript: dict[str, Any]) -> RatchetSession:
    """Our end, from the first recorded message."""
    identity, one_time = (X25519Pair(bytes.fromhex(transcript[name])) for name in ("identity", "one_time"))
    first = bytes.fromhex(transcript["steps"][0]["message"])
    return olm.inbound(first, identity, one_time, iter([bytes.fromhex(key) for key in transcript["keys"]]))


def envelope(message: str) -> bytes:
    """The envelope within a recorded message: the first ones carry the beginning of the session too."""
    data = bytes.fromhex(message)
    return data if data[1:3] == b"\x0a\x20" and data[35] == 0x10 else olm.pre_key_parts(data)[3]


def test_a_recorded_conversation_runs_bit_for_bit() -> None:
    """Both directions, three chains each way, envelopes early and late: what vodozemac sealed opens here, and
    what it opened is what we seal."""
    transcript = recorded()
    session, done = bob(transcript), {"encrypt": 0, "decrypt": 0}
    for step in transcript["steps"]:
        content, done[step["do"]] = bytes.fromhex(step["content"]), done[step["do"]] + 1
        if step["do"] == "decrypt":
            assert session.decrypt(envelope(step["message"])) == content
        else:
            assert session.encrypt(content).hex() == step["message"]
    assert done == {"encrypt": 4, "decrypt": 6}
    assert session.skipped == 0


@pytest.mark.parametrize("position", [3, 30, 36, 40, -1])
def test_a_changed_byte_of_a_recorded_message_is_refused_and_changes_nothing(position: int) -> None:
    transcript = recorded()
    session = bob(transcript)
    first = bytearray(envelope(transcript["steps"][0]["message"]))
    first[position] ^= 1
    before = snapshot(session)
    with pytest.raises(ProtocolError):
        session.decrypt(bytes(first))
    assert snapshot(session) == before
    assert session.decrypt(envelope(transcript["steps"][0]["message"])) == b"first"


def test_a_recorded_message_opens_once() -> None:
    transcript = recorded()
    session = bob(transcript)
    first = envelope(transcript["steps"][0]["message"])
    session.decrypt(first)
    with pytest.raises(ProtocolError):
        session.decrypt(first)


def test_another_identity_cannot_open_it() -> None:
    transcript = recorded() | {"identity": bytes(32).hex()}
    with pytest.raises(AuthenticationFailed):
        bob(transcript).decrypt(envelope(transcript["steps"][0]["message"]))
