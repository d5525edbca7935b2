"""Whatever can be encoded decodes to itself, for structs, operations, texts and lines of the socket."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.interface import Event, ParlourError
from chat.ipc import wire
from chat.network import connection, mdns
from chat.ports import Announcement
from protocol import addresses, profile_header
from protocol import messages as m
from protocol.codec import Codec, Wire, encode
from protocol.discovery import SLOT_COUNTS
from protocol.identity.log import Add, Remove, Rename, parse_operation, sign_operation
from protocol.identity.names import is_name, is_terminal_name
from protocol.limits import KEEP_MAX, SLOT_BYTES
from protocol.link.agreement import CONTACT_HELLO, CONTACT_REPLY, PAIRING_FINISH, PAIRING_REPLY
from protocol.pairing.invitation import Invitation, format_invitation, parse_invitation
from tests.fuzz.values import values
from tests.support.protocol.pairings import SECOND, Terminal

FEW = settings(max_examples=40)
STRUCTS: list[tuple[type[Wire], Codec[Any]]] = [
    *((kind, m.MESSAGE) for kind in get_args(m.Message)),
    (m.EntryHeader, m.ENTRY_HEADER),
    (m.TextBody, m.TEXT_BODY),
    (m.CutBody, m.CUT_BODY),
    (m.TimerBody, m.TIMER_BODY),
    (m.BotBody, m.BOT_BODY),
    (m.StateBody, m.STATE_BODY),
    (m.ContactHello, CONTACT_HELLO),
    (m.ContactReply, CONTACT_REPLY),
    (m.PairingReply, PAIRING_REPLY),
    (m.PairingFinish, PAIRING_FINISH),
]


@pytest.mark.parametrize(("kind", "codec"), STRUCTS, ids=lambda part: getattr(part, "__name__", ""))
@FEW
@given(data=st.data())
def test_structs(kind: type[Wire], codec: Codec[Any], data: st.DataObject) -> None:
    value = data.draw(values(kind))
    assert codec.decode(encode(value)) == value


IDS = st.binary(min_size=32, max_size=32)
PARENTS = st.lists(IDS, min_size=1, max_size=16, unique=True).map(sorted)
KEEP = st.lists(IDS, max_size=KEEP_MAX, unique=True).map(sorted)
NAMES = st.text(min_size=1, max_size=64).filter(is_name)
TERMINAL_NAMES = st.text(min_size=1, max_size=32).filter(is_terminal_name)
TERMINALS = st.text(max_size=5).map(Terminal.named)
OPERATIONS = st.one_of(
    st.builds(Rename, IDS, IDS, PARENTS, NAMES),
    st.builds(Remove, IDS, IDS, PARENTS, IDS, KEEP),
    TERMINALS.flatmap(
        lambda added: st.builds(
            Add, IDS, IDS, PARENTS, st.just(added.signing), st.just(added.static), TERMINAL_NAMES
        )
    ),
)


@FEW
@given(operation=OPERATIONS)
def test_operations(operation: Rename | Remove | Add) -> None:
    signed = sign_operation(operation, SECOND.seed)
    parsed = parse_operation(signed)
    assert (parsed.operation, parsed.signed) == (operation, signed)


V4 = st.ip_addresses(v=4).map(str)
V6 = st.ip_addresses(v=6).map(str).map(addresses.canonical)
PORTS = st.integers(1, 65_535)
PLACES = st.builds(connection.format_address, st.one_of(V4, V6), PORTS)
RELAYS = st.from_regex(r"\A[!-~]{1,255}\Z")


@given(
    invitation=st.builds(
        Invitation,
        st.binary(min_size=16, max_size=16),
        st.integers(0, 2**32 - 1),
        IDS,
        IDS,
        st.lists(PLACES, max_size=8).map(tuple),
        st.lists(RELAYS, max_size=4).map(tuple),
    ),
    width=st.integers(1, 80),
    lower=st.booleans(),
)
def test_invitations(invitation: Invitation, width: int, lower: bool) -> None:
    """In either case and with any line breaks."""
    text = format_invitation(invitation)
    lines = "\n".join(text[start : start + width] for start in range(0, len(text), width))
    assert parse_invitation(text) == invitation
    if len(lines) <= 4_096:
        assert parse_invitation(lines.lower() if lower else lines) == invitation


@given(host=st.one_of(V4.map(addresses.canonical), V6), port=PORTS)
def test_addresses(host: str, port: int) -> None:
    assert connection.parse(connection.format_address(host, port)) == (host, port)


@FEW
@given(
    slots=st.sampled_from(SLOT_COUNTS).flatmap(
        lambda count: st.lists(
            st.binary(min_size=SLOT_BYTES, max_size=SLOT_BYTES), min_size=count, max_size=count
        )
    ),
    name=st.text(max_size=40, alphabet=st.characters(exclude_categories=("Cc", "Cs"))),
)
def test_announcements(slots: list[bytes], name: str) -> None:
    announced = Announcement("a1b2c3", ("10.0.0.1",), 4747, tuple(slots), name)
    assert mdns.decode("a1b2c3", 4747, ("10.0.0.1",), mdns.encode_text(announced)) == announced


@FEW
@given(
    salt=st.binary(min_size=16, max_size=16),
    cost=st.builds(profile_header.Cost, st.integers(1, 10), st.integers(8 * 2**20, 2**30)),
    wrapped=st.binary(min_size=48, max_size=48),
    port=st.integers(0, 65_535),
)
def test_profile_headers(salt: bytes, cost: profile_header.Cost, wrapped: bytes, port: int) -> None:
    blank = profile_header.Header(
        profile_header.MAGIC,
        profile_header.VERSION,
        salt,
        cost.operations,
        cost.memory_bytes,
        wrapped,
        0,
        bytes(16),
    )
    made = blank.with_port(port)
    assert profile_header.parse(made.to_bytes()) == made
    assert made.cost == cost


@pytest.mark.parametrize("call", wire.CALLS)
@FEW
@given(data=st.data())
def test_requests(call: str, data: st.DataObject) -> None:
    arguments = data.draw(values(wire.CALLS[call].arguments))
    request = wire.Request(7, call, msgspec.Raw(msgspec.json.encode(arguments)))
    line = wire.encode(request)
    assert line.count(b"\n") == 1
    assert wire.read_arguments(wire.decoded(line, wire.Request)) == arguments


@pytest.mark.parametrize("kind", get_args(Event))
@FEW
@given(data=st.data())
def test_events(kind: type[Any], data: st.DataObject) -> None:
    event = data.draw(values(kind))
    line = wire.read_line(wire.happened(7, event))
    assert isinstance(line, wire.Happened)
    assert wire.event_of(line) == event


@given(kind=st.sampled_from(sorted(wire._ERRORS.values(), key=str)), text=st.text(max_size=200))
def test_failures(kind: type[ParlourError], text: str) -> None:
    line = wire.read_line(wire.failure(7, kind(text)))
    assert isinstance(line, wire.Failure)
    error = wire.error_of(line)
    assert (type(error), str(error)) == (kind, text)
