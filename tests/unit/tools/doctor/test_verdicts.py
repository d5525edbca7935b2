"""What the doctor concludes from what it saw, where hosts of the lab cannot show it: values in, lines out."""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.network.interfaces import Interface, Kind
from chat.network.netlink import Router
from chat.network.probe import Heard
from chat.network.transport import TcpTransport
from chat.ports import Connection, SystemClock
from chat.tools.doctor import CAUSES, firewall, gather
from chat.tools.doctor.firewall import Why, why
from chat.tools.doctor.gather import Answer, Context, Evidence, Finding, Relay, Reply, Sought, Tables, Visit
from protocol.relay.messages import RelayGreeting

LO = Interface("lo", 1, Kind.LOOPBACK, True, ("127.0.0.1/8",))
ETH = Interface("eth0", 2, Kind.LAN, True, ("10.77.0.1/24", "fe80::1/64"))
VPN = Interface("wg0", 3, Kind.TUNNEL, True, ("10.8.0.9/24",))
ROUTER = Router("10.77.0.254", 2)
ECHO = {(2, socket.AF_INET): Heard(True, frozenset())}
CONTEXT = Context(4747, True, Path("/nonexistent"), heard=0)


def absent(host: str, on: int = 2, answer: Answer = Answer.NOBODY, heard: bool = False) -> Finding:
    return Finding(Sought(((host, 4747),), heard=heard), (Visit(host, 4747, answer, on, on),))


def told(evidence: Evidence, context: Context = CONTEXT) -> list[str]:
    """The causes that are reported, except the firewall, of which nothing is known here."""
    causes = (cause for name, cause in CAUSES if name != firewall.CHECK)
    return [line.check for cause in causes for line in cause(context, evidence) if not line.good]


def test_a_router_that_speaks_multicast_is_no_company() -> None:
    echo = {(2, socket.AF_INET): Heard(True, frozenset({ROUTER.address, "10.77.0.1"}))}
    alone = Evidence([LO, ETH], Tables(()), echo, {ROUTER: True})
    assert told(alone) == ["isolation"]
    assert told(replace(alone, findings=(absent("10.77.0.2"),))) == ["isolation"]
    assert told(alone, replace(CONTEXT, heard=None)) == []  # no engine listens: nobody was sought


def test_rules_that_only_root_can_read_leave_the_silence_of_multicast_to_be_told() -> None:
    deaf = {(2, socket.AF_INET): Heard(False, frozenset())}
    assert told(Evidence([LO, ETH], Tables((), unreadable=True), deaf)) == ["multicast"]


def test_an_absent_contact_is_gone_only_where_somebody_else_shows() -> None:
    seen = Evidence([LO, ETH], Tables(()), ECHO, findings=(absent("10.77.0.2"),))
    assert why(CONTEXT, seen, seen.findings[0]) is Why.ALONE
    assert told(seen) == ["others"]
    assert told(seen, replace(CONTEXT, heard=1)) == ["address"]


def test_the_silence_of_link_local_addresses_tells_of_no_network() -> None:
    scoped = Visit("fe80::2%eth0", 4747, Answer.NOBODY)
    for other, cause in ((), Why.GONE), ((Visit("192.168.5.2", 4747, Answer.NOBODY),), Why.ELSEWHERE):
        finding = Finding(Sought(()), (scoped, *other))
        evidence = Evidence([LO, ETH], findings=(finding,))
        assert why(replace(CONTEXT, heard=1), evidence, finding) is cause


def test_an_access_point_that_answers_for_everybody_is_seen_through() -> None:
    known = {(2, ROUTER.address): b"router", (2, "10.77.0.2"): b"router", (2, "10.77.0.3"): b"third!"}
    told = {"10.77.0.2": Answer.NOBODY, "10.77.0.3": Answer.SILENT, "10.77.0.4": Answer.NOBODY}
    for host, answer in told.items():
        (visit,) = gather.with_the_silent(absent(host), known, [ROUTER]).visits
        assert visit.answer is answer


@pytest.mark.parametrize(
    ("host", "on"), [("127.0.0.1", 1), ("10.77.0.1", 2), ("10.8.0.2", 3), ("192.168.5.2", 0), ("fe80::2", 0)]
)
def test_what_is_on_this_machine_or_behind_a_tunnel_is_not_led_astray(host: str, on: int) -> None:
    visit = gather.visited(host, 4747, Answer.NOBODY, [LO, ETH, VPN])
    assert (visit.on, visit.way) == (on, on)


def test_a_port_that_is_refused_is_no_firewall() -> None:
    """Of an engine that was killed the announcement is known for an hour; its machine refuses at once."""
    for heard, cause in ((True, Why.ENDED), (False, Why.CLOSED)):
        finding = absent("10.77.0.2", answer=Answer.REFUSED, heard=heard)
        evidence = Evidence([LO, ETH], Tables(()), ECHO, findings=(finding,))
        assert why(CONTEXT, evidence, finding) is cause
        assert told(evidence) == ["address"]
    finding = absent("10.77.0.2", answer=Answer.REFUSED, heard=True)
    both = replace(finding, visits=(Visit("fe80::2", 4747, Answer.SILENT), *finding.visits))
    assert why(CONTEXT, Evidence([LO, ETH], findings=(both,)), both) is Why.ENDED, "nor is it at others"


def test_without_a_network_neither_addresses_nor_relays_are_blamed() -> None:
    own = {(1, socket.AF_INET): Heard(True, frozenset())}
    contact, relay = (absent("10.77.0.2", on=0),), {"10.77.0.2:4746": Reply.NOBODY}
    silent = Evidence([LO, replace(ETH, up=False)], None, own, findings=contact, relays=relay)
    assert told(silent) == ["network"]


@pytest.mark.parametrize(
    ("greeting", "reply"),
    [
        (b"", Reply.TURNED_AWAY),
        (b"220 mail\r\n", Reply.OTHER),
        (b"PARLOUR\0" + bytes(20), Reply.OTHER),
        (RelayGreeting(bytes(16)).encode(), Reply.OTHER_KEY),
        (b"PARELAY\0\2\2" + bytes(18), Reply.OTHER_VERSION),
    ],
)
async def test_what_is_at_the_place_of_a_relay(greeting: bytes, reply: Reply) -> None:
    async def answer(connection: Connection) -> None:
        if greeting:
            await connection.write(greeting)
            if reply is Reply.OTHER_KEY:
                await connection.read()
        connection.close()

    listener = await TcpTransport().listen(0, answer)
    connect = partial(TcpTransport().connect, "127.0.0.1", listener.port)
    relay = Relay("here", bytes(31) + b"\x09", connect)
    assert await gather.call_relay(relay, SystemClock()) is reply
    await listener.close()
