"""The doctor's checks one by one, over real files and sockets of this machine and interfaces as values."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from chat.interface import DiagnosisView
from chat.network.interfaces import Interface, Kind
from chat.network.transport import TcpTransport
from chat.ports import Connection
from chat.tools import doctor
from chat.tools.doctor import diagnose, gather, machine
from chat.tools.doctor.gather import Context, Evidence, neighbour
from chat.tools.doctor.packet_filters import Packet

LO = Interface("lo", 1, Kind.LOOPBACK, True, ("127.0.0.1/8",))
ETH = Interface("eth0", 2, Kind.LAN, True, ("10.77.0.1/24", "fe80::1/64"))
PULLED = replace(ETH, up=False)
PUBLIC = replace(ETH, networks=("203.0.113.5/24",))
BARE = replace(ETH, networks=())
VPN = Interface("wg0", 3, Kind.TUNNEL, True, ("100.64.0.9/32",))


class Clock:
    def __init__(self, wall: int, monotonic: Sequence[float] = (1.0, 2.0)) -> None:
        self._wall, self._monotonic = wall, list(monotonic)

    def wall(self) -> int:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic.pop(0)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(port=4747, listening=False, profile=tmp_path)


def only(lines: list[DiagnosisView]) -> DiagnosisView:
    (line,) = lines
    assert line.good or line.fix
    assert "\n" not in line.found + line.fix
    return line


@pytest.mark.parametrize(
    ("found", "good", "said"),
    [
        ([LO, ETH], True, "eth0: 10.77.0.1, fe80::1"),
        ([LO, PULLED], False, "no connection on eth0"),
        ([LO, PUBLIC], False, "outside local networks: 203.0.113.5"),
        ([LO, BARE], False, "eth0 has no address"),
        ([LO], False, "no network interface"),
        ([], False, "no network interface"),
        ([LO, VPN], True, "wg0: 100.64.0.9"),
    ],
)
def test_network(context: Context, found: list[Interface], good: bool, said: str) -> None:
    line = only(machine.network_lines(context, Evidence(found)))
    assert line.good is good
    assert said in line.found


def test_a_vpn_beside_the_network_is_named(context: Context) -> None:
    first, second = machine.network_lines(context, Evidence([LO, ETH, VPN]))
    assert first.good
    assert second.good
    assert "wg0" in second.found
    assert "100.64" not in first.found


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ("10.77.0.1/24", "10.77.0.2"),
        ("10.77.0.9/24", "10.77.0.1"),
        ("10.77.0.1/30", "10.77.0.2"),
        ("10.77.0.1/31", ""),
        ("10.77.0.1/32", ""),
        ("fe80::1/64", "fe80::2"),
    ],
)
def test_neighbour(own: str, other: str) -> None:
    assert neighbour(own) == other


async def test_the_port_of_a_running_engine_answers(context: Context) -> None:
    async def greet(connection: Connection) -> None:
        await connection.write(b"PARLOUR\0" + bytes(20))
        connection.close()

    listener = await TcpTransport().listen(0, greet)
    line = only(await machine.check_port(replace(context, port=listener.port, listening=True), [LO]))
    assert line.good
    assert str(listener.port) in line.found
    line = only(await machine.check_port(replace(context, port=listener.port), [LO]))
    assert not line.good
    assert "another profile" in line.found
    await listener.close()


async def test_a_port_that_something_else_has_is_told_apart(context: Context) -> None:
    async def babble(connection: Connection) -> None:
        await connection.write(b"220 smtp ready\r\n")
        connection.close()

    listener = await TcpTransport().listen(0, babble)
    for listening, said in ((True, "does not answer"), (False, "another program")):
        line = only(await machine.check_port(replace(context, port=listener.port, listening=listening), [LO]))
        assert not line.good
        assert said in line.found
    await listener.close()


async def test_a_port_where_somebody_says_nothing(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "WITHIN", 0.2)
    release = asyncio.Event()

    async def be_silent(connection: Connection) -> None:
        await release.wait()
        connection.close()

    listener = await TcpTransport().listen(0, be_silent)
    line = only(await machine.check_port(replace(context, port=listener.port), [LO]))
    assert "another program" in line.found
    release.set()
    await listener.close()


async def test_without_an_engine_the_port_is_closed_and_that_is_said(context: Context) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()[1]
        line = only(await machine.check_port(replace(context, port=closed), [LO]))
        assert not line.good
        assert "no engine" in line.found
        line = only(await machine.check_port(replace(context, port=closed, listening=True), [LO]))
        assert not line.good
        assert "127.0.0.1" in line.found
    assert not only(await machine.check_port(replace(context, port=0), [LO])).good


@pytest.mark.parametrize(
    ("wall", "good"),
    [
        (1_800_000_000_000, True),  # 2027
        (0, False),
        (1_500_000_000_000, False),  # 2017
        (4_200_000_000_000, False),  # 2103
        (10**18, False),
        (-(10**18), False),
    ],
)
async def test_clock(context: Context, wall: int, good: bool) -> None:
    assert only(await machine.check_clock(replace(context, clock=Clock(wall)), [])).good is good


@pytest.mark.parametrize(
    ("days_ahead", "words"),
    [
        (None, "no contact nearby to compare it with"),
        (0, "2027-01-15"),
        (2, "2 days behind"),
        (-3, "3 days ahead"),
    ],
)
async def test_a_clock_beside_a_contacts(context: Context, days_ahead: int | None, words: str) -> None:
    compared = replace(context, clock=Clock(1_800_000_000_000), days_ahead=days_ahead)
    line = only(await machine.check_clock(compared, []))
    assert line.good is not bool(days_ahead)
    assert words in line.found
    assert line.good or "Set date and time" in line.fix


async def test_a_clock_that_runs_backwards(context: Context) -> None:
    line = only(await machine.check_clock(replace(context, clock=Clock(1_800_000_000_000, (2.0, 1.0))), []))
    assert not line.good


async def test_the_clock_of_this_machine(context: Context) -> None:
    assert only(await machine.check_clock(context, [])).good


def private(tmp_path: Path) -> Path:
    folder = tmp_path / "profile"
    folder.mkdir(mode=0o700)
    (folder / "history.db").write_bytes(b"x")
    (folder / "history.db").chmod(0o600)
    return folder


async def test_a_private_profile_is_good(context: Context, tmp_path: Path) -> None:
    lines = await machine.check_profile(replace(context, profile=private(tmp_path)), [])
    assert [(line.check, line.good) for line in lines] == [("profile", True), ("database", True)]
    assert "locked" in lines[1].found


@pytest.mark.parametrize(
    ("name", "mode"), [("", 0o750), ("", 0o701), ("history.db", 0o604), ("history.db", 0o660)]
)
async def test_the_fix_of_what_others_read(context: Context, tmp_path: Path, name: str, mode: int) -> None:
    folder = private(tmp_path)
    (folder / name).chmod(mode)
    line = (await machine.check_profile(replace(context, profile=folder), []))[0]
    assert not line.good
    assert (folder / name).name in line.found
    process = await asyncio.create_subprocess_shell(line.fix)
    assert await process.wait() == 0
    assert (await machine.check_profile(replace(context, profile=folder), []))[0].good


async def test_no_profile_yet_is_no_fault(context: Context, tmp_path: Path) -> None:
    assert only(await machine.check_profile(replace(context, profile=tmp_path / "none"), [])).good


async def test_a_full_disk(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ROOM_MIN", 1 << 80)
    lines = await machine.check_profile(replace(context, profile=private(tmp_path)), [])
    assert [line.good for line in lines] == [True, False, True]
    assert "MiB" in lines[1].found


@pytest.mark.parametrize("wrong", ["", "page 7 does not authenticate"])
async def test_the_database_is_asked(context: Context, tmp_path: Path, wrong: str) -> None:
    async def integrity() -> str:
        return wrong

    line = (await machine.check_profile(replace(context, profile=private(tmp_path), database=integrity), []))[
        -1
    ]
    assert line.good is not bool(wrong)
    assert wrong in line.found


def install(folder: Path, **programs: str) -> None:
    """Put programs that print or refuse first, and alone, into the path."""
    folder.mkdir(exist_ok=True)
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(gather, "_PATHS", "")
    monkeypatch.setattr(gather, "_UFW", tmp_path / "ufw.conf")
    monkeypatch.setattr(gather, "_PROCESSES", tmp_path / "proc")
    return folder


REFUSE = "echo 'Permission denied (you must be root)' >&2; exit 4"
EMPTY = "echo '-P INPUT ACCEPT'; echo '-P OUTPUT ACCEPT'"
CLOSED = "echo '-P INPUT DROP'; echo '-P OUTPUT ACCEPT'"


async def test_no_tools_no_firewall(tools: Path) -> None:
    assert await gather.read_tables() == gather.Tables(())


async def test_empty_tables_are_no_firewall(tools: Path) -> None:
    install(tools, iptables=EMPTY, ip6tables=EMPTY)
    assert await gather.read_tables() == gather.Tables(())


async def test_without_root_nothing_is_claimed(tools: Path) -> None:
    install(tools, iptables=REFUSE, ip6tables=REFUSE, nft=REFUSE)
    assert await gather.read_tables() == gather.Tables((), unreadable=True)


async def test_without_root_ufw_and_firewalld_are_still_known(tools: Path, tmp_path: Path) -> None:
    install(tools, iptables=REFUSE, ip6tables=REFUSE)
    (tmp_path / "proc" / "77").mkdir(parents=True)
    (tmp_path / "proc" / "77" / "comm").write_text("firewalld\n")
    assert (await gather.read_tables()).program == "firewalld"
    (tmp_path / "ufw.conf").write_text("# comment\nENABLED=yes\n")
    assert (await gather.read_tables()).program == "ufw"


async def test_a_tool_that_hangs_is_given_up(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "WITHIN", 0.1)
    install(tools, iptables="exec /bin/sleep 60", ip6tables=EMPTY)
    assert (await gather.read_tables()).unreadable


@pytest.mark.parametrize(
    ("chains", "program"),
    [("", "iptables"), ("echo '-N ufw-user-input'", "ufw"), ("echo '-N INPUT_ZONES'", "firewalld")],
)
async def test_the_program_behind_the_rules_is_named(tools: Path, chains: str, program: str) -> None:
    install(tools, iptables=f"{CLOSED}; {chains}", ip6tables=EMPTY)
    (source,) = (await gather.read_tables()).sources
    packet = Packet("tcp", "10.0.0.2", "10.0.0.1", 1, 4747, "eth0")
    assert source.program(source.judge(packet)) == program


async def test_a_check_that_fails_hides_no_other(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
        raise ZeroDivisionError

    async def endless(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
        await asyncio.Event().wait()
        return []

    def wrong(context: Context, evidence: Evidence) -> list[DiagnosisView]:
        raise LookupError

    async def look(context: Context, found: Sequence[Interface]) -> Evidence:
        return Evidence([LO, ETH])

    checks = (("first", broken), ("second", endless), (machine.CLOCK_CHECK, machine.check_clock))
    monkeypatch.setattr(doctor, "CHECKS", checks)
    monkeypatch.setattr(doctor, "CAUSES", (("cause", wrong), (machine.NETWORK_CHECK, machine.network_lines)))
    monkeypatch.setattr(doctor, "WITHIN", 0.1)
    monkeypatch.setattr(gather, "gather", look)
    lines = await diagnose(context)
    assert [(line.check, line.good) for line in lines] == [
        ("cause", False),
        ("network", True),
        ("first", False),
        ("second", False),
        ("clock", True),
    ]
    assert "LookupError" in lines[0].found
    assert "ZeroDivisionError" in lines[2].found
    monkeypatch.setattr(gather, "gather", endless)
    assert [line.check for line in await diagnose(context)] == ["network", "first", "second", "clock"]
