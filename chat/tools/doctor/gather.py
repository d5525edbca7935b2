"""What a diagnosis starts from, and what it sees: packet filters, multicast, routers, terminals and relays.

It sends only to local addresses and to relays of this person. What it found is judged elsewhere.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from chat.network import probe
from chat.network.interfaces import Interface, Kind, outward, own_addresses
from chat.network.netlink import Router, neighbours, routers, way_to
from chat.network.transport import TcpTransport
from chat.ports import Clock, Connection, SystemClock, Transport
from chat.tools.doctor import packet_filters
from chat.tools.doctor.packet_filters import Filter, Packet, Verdict
from protocol.addresses import is_link_local_v6, is_local
from protocol.relay.states import RelayEnded, RelayEnding, RelayState, Welcomed
from protocol.relay.terminal_end import RelayTerminal

Place = tuple[str, int]


class Sought(Struct, frozen=True):
    """A terminal that should be reached, and where it may be; never whose it is.

    `heard`: it announces itself there now. `linked`: a link with it is open from there. `is_it`: whether
    who greets there is this very terminal; None: there is no way to tell.
    """

    places: tuple[Place, ...]
    heard: bool = False
    linked: bool = False
    is_it: Callable[[], Awaitable[bool]] | None = None


class Relay(Struct, frozen=True):
    """A relay of this person: HOST:PORT, its key (32 bytes), and how to connect within seconds (OSError)."""

    name: str
    key: bytes
    connect: Callable[[float], Awaitable[Connection]]


class Context(Struct, frozen=True):
    """`port`: the profile's (0: it has none yet). `listening`: an engine of this profile listens on it.

    `heard`: how many other terminals discovery knows now (None: no engine). `days_ahead`: by how many days
    the clock of a contact that announces itself is ahead of this one (None: there is none). `began` has the
    addresses of this machine when the engine began, `promised` those in invitations that can still be used.
    `database` tells what is wrong with it in one line, or nothing; None while the profile is locked.
    """

    port: int
    listening: bool
    profile: Path
    visible: bool = False
    heard: int | None = None
    days_ahead: int | None = None
    sought: tuple[Sought, ...] = ()
    relays: tuple[Relay, ...] = ()
    began: tuple[str, ...] = ()
    promised: tuple[str, ...] = ()
    database: Callable[[], Awaitable[str]] | None = None
    transport: Transport = field(default_factory=TcpTransport)
    clock: Clock = field(default_factory=SystemClock)


KNOCK_WITHIN: Final = 1.5  # seconds for the connection, and again for the greeting
MAGIC: Final = b"PARLOUR\0"  # SPEC §5.1: what a terminal says first


class Answer(StrEnum):
    """PARLOUR greets; OTHER is another program; REFUSED: the machine has nobody at this port; SILENT: the
    machine is there and lets nothing in; NOBODY: no sign of a machine.
    """

    PARLOUR = "parlour"
    OTHER = "other"
    REFUSED = "refused"
    SILENT = "silent"
    NOBODY = "nobody"


async def knock(transport: Transport, host: str, port: int) -> Answer:
    """What answers there. SILENT is decided later, by the neighbours."""
    try:
        connection = await transport.connect(host, port, KNOCK_WITHIN)
    except ConnectionRefusedError:
        return Answer.REFUSED
    except OSError:
        return Answer.NOBODY
    try:
        async with asyncio.timeout(KNOCK_WITHIN):
            greeting = await connection.read()
    except TimeoutError:
        return Answer.OTHER
    finally:
        connection.close()
    return Answer.PARLOUR if greeting.startswith(MAGIC) else Answer.OTHER


CALL_WITHIN: Final = 1.5  # seconds for the connection, and again for the welcome


class Reply(StrEnum):
    """WELCOME proves the key; OTHER_KEY is a relay that has another one; OTHER is no relay; TURNED_AWAY took
    the connection and closed it without a word; NOBODY took none.
    """

    WELCOME = "welcome"
    OTHER_KEY = "other key"
    OTHER_VERSION = "other version"
    OTHER = "other"
    TURNED_AWAY = "turned away"
    NOBODY = "nobody"


async def call_relay(relay: Relay, clock: Clock) -> Reply:
    try:
        connection = await relay.connect(CALL_WITHIN)
    except OSError:
        return Reply.NOBODY
    terminal = RelayTerminal(relay.key, clock.monotonic())
    try:
        async with asyncio.timeout(CALL_WITHIN):
            return await _converse(terminal, connection, clock)
    except TimeoutError:
        return Reply.OTHER
    finally:
        connection.close()


async def _converse(terminal: RelayTerminal, connection: Connection, clock: Clock) -> Reply:
    while True:
        data, before = await connection.read(), terminal.state
        for event in terminal.receive(data, clock.monotonic()) if data else terminal.end_of_stream():
            if isinstance(event, Welcomed):
                return Reply.WELCOME
            if not isinstance(event, RelayEnded):
                continue
            if event.reason in (RelayEnding.VERSION, RelayEnding.REFUSED):
                return Reply.OTHER_VERSION
            if before is RelayState.GREETING:
                return Reply.TURNED_AWAY if event.reason is RelayEnding.CUT else Reply.OTHER
            return Reply.OTHER_KEY
        try:
            await connection.write(terminal.data_to_send())
        except ConnectionError:
            return Reply.TURNED_AWAY if before is RelayState.GREETING else Reply.OTHER_KEY


WITHIN: Final = 3.0  # seconds for one program to show its rules
_PATHS = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"
_UFW: Final = Path("/etc/ufw/ufw.conf")
_PROCESSES: Final = Path("/proc")


class Source(Struct, frozen=True):
    """The rules that one tool shows for one family."""

    tool: str
    is_v6: bool
    incoming: Filter
    outgoing: Filter

    def judge(self, packet: Packet) -> Verdict:
        """What happens to the packet here; one of the other family passes."""
        if packet.is_v6 != self.is_v6:
            return Verdict(True)
        return (self.incoming if packet.incoming else self.outgoing).judge(packet)

    def program(self, verdict: Verdict) -> str:
        """The program that manages these rules: it would undo a change made with the tool."""
        names = " ".join([verdict.base, *self.incoming.chains])
        if "ufw" in names:
            return "ufw"
        return "firewalld" if "firewalld" in names or "INPUT_ZONES" in names else self.tool


class Tables(Struct, frozen=True):
    """The rules that could be read. `program` is ufw or firewalld if it is known to be on."""

    sources: tuple[Source, ...]
    unreadable: bool = False
    program: str = ""


async def read_tables() -> Tables:
    """All rules that a packet may meet. A program that is not installed has none."""
    v4, v6, listing, words = await asyncio.gather(
        _shown("iptables", "-S"),
        _shown("ip6tables", "-S"),
        _shown("nft", "--json", "list", "ruleset"),
        _shown("nft", "--handle", "list", "ruleset"),
    )
    # iptables also refuses, even for root, where nft has made its tables into something else.
    if listing is None or (not listing and None in (v4, v6)):
        return Tables((), unreadable=True, program=_known_to_be_on())
    by_nft = _of_nft(listing, words or "", but_iptables=None not in (v4, v6))
    return Tables((*_of_iptables("iptables", v4 or ""), *_of_iptables("ip6tables", v6 or ""), *by_nft))


def _of_iptables(tool: str, listing: str) -> list[Source]:
    filters = [packet_filters.read_iptables(listing, base) for base in ("INPUT", "OUTPUT")]
    return [Source(tool, tool == "ip6tables", *filters)] if _does_something(*filters) else []


def _of_nft(listing: str, words: str, *, but_iptables: bool) -> list[Source]:
    """Rules of nft itself; iptables shows its own rules, if it is installed."""
    said = packet_filters.read_nftables_words(words)
    sources = []
    for v6 in (False, True):
        theirs = {f"ip{'6' * v6} filter {chain}" for chain in ("INPUT", "OUTPUT") if but_iptables}
        filters = [
            packet_filters.read_nftables(listing, said, v6=v6, hook=hook, but=theirs)
            for hook in ("input", "output")
        ]
        if _does_something(*filters):
            sources.append(Source("nft", v6, *filters))
    return sources


def _does_something(*filters: Filter) -> bool:
    """Whether there is more than empty chains that accept."""
    chains = [each.chains[base] for each in filters for base in each.bases]
    return any(chain.rules or chain.policy is not chain.policy.ACCEPT for chain in chains)


async def _shown(program: str, *arguments: str) -> str | None:
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_PATHS}")
    if path is None:
        return ""
    process = await asyncio.create_subprocess_exec(
        path,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C"},
    )
    try:
        async with asyncio.timeout(WITHIN):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return output.decode("utf-8", "replace") if process.returncode == 0 else None


def _known_to_be_on() -> str:
    if _UFW.is_file() and "ENABLED=yes" in _UFW.read_text("utf-8", "replace"):
        return "ufw"
    for comm in _PROCESSES.glob("[0-9]*/comm"):
        with suppress(OSError):  # it has ended in the meantime
            if comm.read_text("utf-8", "replace").strip() == "firewalld":
                return "firewalld"
    return ""


Echo = probe.Heard | OSError


class Visit(Struct, frozen=True):
    """One place of a terminal and what answered there.

    `on`: the index of the interface on whose network the address lies; `way`: of the one by which the kernel
    sends there. Either is 0 where there is none.
    """

    host: str
    port: int
    answer: Answer
    on: int = 0
    way: int = 0

    @property
    def is_scoped(self) -> bool:
        """Link-local IPv6 is possible on every wire, so its silence means nothing."""
        return is_link_local_v6(self.host.partition("%")[0])


class Finding(Struct, frozen=True):
    """A terminal that is sought, and the answers of its places. `is_it`: this very terminal was met."""

    sought: Sought
    visits: tuple[Visit, ...]
    is_it: bool = False

    @property
    def greeted(self) -> bool:
        return any(visit.answer is Answer.PARLOUR for visit in self.visits)


class Evidence(Struct, frozen=True):
    """`echoes`: what came back of the question by multicast, by interface index and family.

    `tables`: the packet filters, None where they were not looked at. `routers`: whether each answers.
    `ways`: for each (interface index, network) with room for a neighbour, the interface by which the kernel
    sends to one. `relays`: what each says, by its name.
    """

    interfaces: Sequence[Interface]
    tables: Tables | None = None
    echoes: Mapping[tuple[int, socket.AddressFamily], Echo] = field(default_factory=dict)
    routers: Mapping[Router, bool] = field(default_factory=dict)
    ways: Mapping[tuple[int, str], int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    relays: Mapping[str, Reply] = field(default_factory=dict)

    @property
    def lan(self) -> list[Interface]:
        """The networks on which this machine is visible, without loopback."""
        return [each for each in outward(self.interfaces) if each.kind is not Kind.LOOPBACK]

    @property
    def heard(self) -> frozenset[str]:
        """Addresses heard by multicast that belong neither to this machine nor to a router."""
        own = {address for interface in self.interfaces for address in interface.addresses}
        senders = (echo.others for echo in self.echoes.values() if isinstance(echo, probe.Heard))
        return frozenset[str]().union(*senders) - own - {router.address for router in self.routers}


def neighbour(network: str) -> str:
    """Another address in ADDRESS/PREFIX, to ask the kernel and rules about; empty if there is none."""
    own = ipaddress.ip_interface(network)
    if own.network.num_addresses < 4:
        return ""
    first = own.network.network_address + 1
    return str(first if first != own.ip else first + 1)


LISTEN: Final = 1.5  # seconds: those who answer do so within one (RFC 6762 §6)
SOUGHT_MAX: Final = 16  # terminals that are looked at, those first that announce themselves now
_ANY_PORT: Final = 4747  # whether a router refuses or takes it, it has answered
_Seen = Mapping[tuple[int, str], bytes]


async def gather(context: Context, found: Sequence[Interface]) -> Evidence:
    """Look at everything. Raises OSError if the kernel does not answer."""
    shown = outward(found)
    asked = [(interface, family) for interface in shown for family in _families(interface)]
    known = [router for router in routers() if is_local(router.address)]
    sought = sorted(context.sought, key=lambda each: not each.heard)[:SOUGHT_MAX]
    tables, echoes, answers, findings, replies = await asyncio.gather(
        _tables(shown),
        asyncio.gather(*(_ask(*each) for each in asked)),
        asyncio.gather(*(knock(context.transport, each.address, _ANY_PORT) for each in known)),
        asyncio.gather(*(look_for(context, each, found) for each in sought)),
        asyncio.gather(*(call_relay(relay, context.clock) for relay in context.relays)),
    )
    seen = neighbours()
    there = {
        router: answer is not Answer.NOBODY or (router.index, router.address) in seen
        for router, answer in zip(known, answers, strict=True)
    }
    # IPv4 only: in link-local IPv6 the interface is part of the address.
    networks = [(each.index, network) for each in shown for network in each.networks if ":" not in network]
    others = {key: neighbour(key[1]) for key in networks}
    return Evidence(
        found,
        tables,
        {(each.index, family): echo for (each, family), echo in zip(asked, echoes, strict=True)},
        there,
        {key: way_to(other) for key, other in others.items() if is_local(other)},
        tuple(with_the_silent(finding, seen, known) for finding in findings),
        {relay.name: reply for relay, reply in zip(context.relays, replies, strict=True)},
    )


async def _tables(shown: Sequence[Interface]) -> Tables | None:
    has_network = any(each.kind is not Kind.LOOPBACK for each in shown)
    return await read_tables() if sys.platform == "linux" and has_network else None


def _families(interface: Interface) -> list[socket.AddressFamily]:
    has_v4 = any(":" not in address for address in interface.addresses)
    has_v6 = any(":" in address for address in interface.addresses)
    return [socket.AF_INET] * has_v4 + [socket.AF_INET6] * has_v6


async def _ask(interface: Interface, family: socket.AddressFamily) -> Echo:
    try:
        return await probe.ask(interface, family, LISTEN)
    except OSError as error:
        return error


async def look_for(context: Context, sought: Sought, found: Sequence[Interface]) -> Finding:
    """Connect to every place. If Parlour greets there, ask whether it is the terminal that is sought."""
    if sought.linked:
        visits = tuple(visited(*place, Answer.PARLOUR, found) for place in sought.places)
        return Finding(sought, visits, is_it=True)
    answers = await asyncio.gather(*(knock(context.transport, *place) for place in sought.places))
    answered = zip(sought.places, answers, strict=True)
    finding = Finding(sought, tuple(visited(*place, answer, found) for place, answer in answered))
    if not finding.greeted or sought.is_it is None:
        return replace(finding, is_it=finding.greeted)
    return replace(finding, is_it=await sought.is_it())


def visited(host: str, port: int, answer: Answer, found: Sequence[Interface]) -> Visit:
    plain = host.partition("%")[0]
    own = _network_of(plain, found)
    if own is None:
        return Visit(host, port, answer)
    by_route = own.kind is Kind.LAN and ":" not in plain and plain not in own_addresses(found)
    return Visit(host, port, answer, own.index, way_to(plain) if by_route else own.index)


def _network_of(address: str, found: Sequence[Interface]) -> Interface | None:
    """The interface on whose network the address is; visible networks first."""
    sought = ipaddress.ip_address(address)
    if is_link_local_v6(address):
        return None
    usable = [*outward(found), *(each for each in found if each.up)]
    for each in usable:
        if any(sought in ipaddress.ip_interface(network).network for network in each.networks):
            return each
    return None


def with_the_silent(finding: Finding, seen: _Seen, known: Sequence[Router]) -> Finding:
    """A machine that is a neighbour but accepts no connection is SILENT."""
    # Some access points answer for everybody, with the address of the router.
    routing = {seen.get((router.index, router.address)) for router in known}
    there = {address for (_, address), link_address in seen.items() if link_address not in routing}
    visits = (
        replace(visit, answer=Answer.SILENT)
        if visit.answer is Answer.NOBODY and visit.host.partition("%")[0] in there
        else visit
        for visit in finding.visits
    )
    return replace(finding, visits=tuple(visits))
