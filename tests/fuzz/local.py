"""Targets of what this machine and its network hand over: announcements, addresses, profile, sockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from chat.errors import phrase
from chat.interface import BadData, EntryState, Notice, SettingsView
from chat.ipc import wire
from chat.network import connection, mdns, mdns_browser, netlink
from chat.ports import Announcement
from chat.storage import folder
from protocol import addresses, profile_header
from protocol.discovery import SERVICE, Known, make_slots, recognise
from protocol.errors import ProtocolError
from tests.fuzz.target import Target, drawn, text_of

# --- Announcements and addresses ---

INSTANCE, PORT, ADDRESSES, DAY, KEY = "a1b2c3", 4747, ("192.168.1.20",), 20_000, bytes(32)


def _announcement(data: bytes) -> Announcement:
    announced = mdns.decode(INSTANCE, PORT, ADDRESSES, data)
    known = Known(b"person", b"terminal", b"s" * 32, KEY)
    recognise(announced.slots, announced.instance, announced.port, announced.addresses, [known], DAY)
    return announced


def _announcements() -> dict[str, bytes]:
    draw = drawn("announcement")
    slots = make_slots([KEY], DAY, b"s" * 32, INSTANCE, PORT, ADDRESSES, draw)
    announced = Announcement(INSTANCE, ADDRESSES, PORT, slots)
    visible = Announcement(INSTANCE, ADDRESSES, PORT, slots, "Ada 小雨")
    return {"hidden": mdns.encode_text(announced), "visible": mdns.encode_text(visible)}


def _resolved(data: bytes) -> Announcement:
    """Lines as a resolver gives them: a full name, a port, addresses."""
    name, port, *hosts = text_of(data).split("\n") if data.count(b"\n") else ("", "")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 9 else None
    text = mdns.encode_text(Announcement(INSTANCE, ADDRESSES, PORT, (bytes(8),) * 32))
    announced = mdns.decode(mdns_browser.instance_of(name), number, hosts, text)
    assert all(addresses.is_local(address) for address in announced.addresses)
    return announced


def _resolutions() -> dict[str, bytes]:
    mixed = "192.168.1.20\nfe80::1%eth0\n8.8.8.8\n127.0.0.1\n::ffff:10.0.0.1"
    return {"mixed": f"{INSTANCE}.{SERVICE}\n4747\n{mixed}".encode()}


def _request(data: bytes) -> tuple[wire.Request, object]:
    request = wire.decoded(data, wire.Request)
    return request, wire.read_arguments(request)


def _requests() -> dict[str, bytes]:
    settings = SettingsView(read_receipts=True, typing=False)
    calls: dict[str, dict[str, object]] = {
        "me": {},
        "send": {"contact": "ab" * 32, "text": "Good morning, 小雨 🙂"},
        "history": {"contact": "ab" * 32, "limit": 10, "before": None},
        "pair_address": {"host": "192.168.1.20", "port": 4747},
        "change_settings": {"settings": settings},
    }
    return {
        name: wire.encode(wire.Request(number, name, msgspec.Raw(msgspec.json.encode(arguments))))
        for number, (name, arguments) in enumerate(calls.items())
    }


def _answer(data: bytes) -> wire.Hello | wire.Line:
    if b"version" in data:
        return wire.decoded(data, wire.Hello)
    line = wire.read_line(data)
    if isinstance(line, wire.Happened):
        wire.event_of(line)
    elif isinstance(line, wire.Failure):
        wire.error_of(line)
    return line


def _answers() -> dict[str, bytes]:
    return {
        "hello": wire.encode(wire.Hello(wire.VERSION)),
        "result": wire.encode(wire.Result(1, msgspec.Raw(msgspec.json.encode([EntryState.SENT])))),
        "failure": wire.failure(2, BadData("The invitation cannot be read: copy all of it.")),
        "event": wire.happened(
            3, Notice(phrase("Port {port} is taken by {who}.", port=4747, who=phrase("another program")))
        ),
        "ended": wire.encode(wire.Ended((4, 5), phrase("stopped"), locked=False)),
    }


def _netlink(data: bytes) -> list[netlink.Record]:
    """The first byte says which list was asked for."""
    kinds = (netlink.GET_LINK, netlink.GET_ADDRESS, netlink.GET_ROUTE)
    kind = kinds[data[0] % len(kinds)] if data else kinds[0]
    found = [netlink.Record.parse(kind, payload) for _, _, payload in netlink._messages(data[1:])]
    values = [value for record in found for value in (record.fixed, *record.attributes.values())]
    assert sum(map(len, values)) <= len(data)
    for value in values:
        netlink.attributes(value)
    return found


def _dumps() -> dict[str, bytes]:
    name = bytes((9, 0, 3, 0)) + b"eth0\0" + bytes(3)
    link = bytes((44, 0, 0, 0, 16, 0, 2, 0)) + bytes(8) + bytes(16) + name
    return {"two-links": b"\x00" + link + link, "one-route": b"\x02" + link[:28]}


def _headers() -> dict[str, bytes]:
    draw = drawn("header")
    key = profile_header.DatabaseKey(draw(32))
    return {"cheapest": folder.wrap(key, "correct horse", profile_header.CHEAPEST, 4747, draw).to_bytes()}


TARGETS: Final[Mapping[str, Target]] = {
    "announcement": Target(_announcement, (ProtocolError,), _announcements, mdns.encode_text, one_form=False),
    "resolved": Target(_resolved, (ProtocolError,), _resolutions),
    "address": Target(
        lambda data: connection.parse(text_of(data)),
        (ValueError,),
        lambda: {"ipv4": b"192.168.1.20:4747", "ipv6": b"[fe80::1%eth0]:4747"},
        lambda place: connection.format_address(*place).encode(),
        one_form=False,
    ),
    "profile-header": Target(
        profile_header.parse, (ProtocolError,), _headers, profile_header.Header.to_bytes
    ),
    "control-request": Target(_request, (msgspec.DecodeError,), _requests),
    "control-answer": Target(_answer, (msgspec.DecodeError,), _answers),
    "netlink": Target(_netlink, (), _dumps),
}
