"""The doctor's checks one by one, over real files and sockets of this machine and interfaces as values."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace

from chat.interface import DiagnosisView
from chat.network.interfaces import Interface, Kind
from chat.network.transport import TcpTransport
from chat.ports import Connection, SystemClock
from chat.tools import doctor
from chat.tools.doctor import diagnose, gather, machine
from chat.tools.doctor.gather import Context, Evidence, neighbour
from chat.tools.doctor.packet_filters import Packet
from tests.support.platforms.lacking import take_away

LO = Interface("lo", 1, Kind.LOOPBACK, True, ("127.0.0.1/8",))
ETH = Interface("eth0", 2, Kind.LAN, True, ("10.77.0.1/24", "fe80::1/64"))
PULLED = replace(ETH, up=False)
PUBLIC = replace(ETH, networks=("203.0.113.5/24",))
BARE = replace(ETH, networks=())
VPN = Interface("wg0", 3, Kind.TUNNEL, True, ("100.64.0.9/32",))


def shows(wall: int, *monotonic: float) -> mock.Mock:
    """A clock that shows what the test wants."""
    return mock.Mock(wall=lambda: wall, monotonic=mock.Mock(side_effect=monotonic or (1.0, 2.0)))


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


def test_a_vpn_next_to_the_network_is_named(context: Context) -> None:
    first, second = machine.network_lines(context, Evidence([LO, ETH, VPN]))
    assert (first.good, second.good) == (True, True)
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


async def port_line(context: Context, port: int, listening: bool = False) -> DiagnosisView:
    return only(await machine.check_port(replace(context, port=port, listening=listening), [LO]))


@pytest.mark.parametrize(
    ("answer", "listening", "good", "said"),
    [
        (b"PARLOUR\0" + bytes(20), True, True, "answers"),
        (b"PARLOUR\0" + bytes(20), False, False, "another profile"),
        (b"220 smtp ready\r\n", True, False, "does not answer"),
        (b"220 smtp ready\r\n", False, False, "another program"),
        (b"", False, False, "another program"),
    ],
)
async def test_what_has_the_port_is_told_apart(
    context: Context, monkeypatch: pytest.MonkeyPatch, answer: bytes, listening: bool, good: bool, said: str
) -> None:
    async def accept(connection: Connection) -> None:
        await (connection.write(answer) if answer else connection.read())
        connection.close()

    if not answer:
        monkeypatch.setattr(gather, "KNOCK_WITHIN", 0.2)
    listener = await TcpTransport().listen(0, accept)
    line = await port_line(context, listener.port, listening)
    assert line.good is good
    assert said in line.found
    assert str(listener.port) in line.found
    await listener.close()


async def test_without_an_engine_the_port_is_closed_and_that_is_said(context: Context) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        for listening, said in ((False, "no engine"), (True, "127.0.0.1")):
            line = await port_line(context, unused.getsockname()[1], listening)
            assert not line.good
            assert said in line.found
    assert not (await port_line(context, 0)).good


@pytest.mark.parametrize(
    ("clock", "good"),
    [
        (SystemClock(), True),
        (shows(1_800_000_000_000), True),  # 2027
        (shows(1_800_000_000_000, 2.0, 1.0), False),
        *((shows(wall), False) for wall in (0, 1_500_000_000_000, 4_200_000_000_000, 10**18, -(10**18))),
    ],
)
async def test_a_wrong_clock(context: Context, clock: Any, good: bool) -> None:
    assert only(await machine.check_clock(replace(context, clock=clock), [])).good is good


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
    compared = replace(context, clock=shows(1_800_000_000_000), days_ahead=days_ahead)
    line = only(await machine.check_clock(compared, []))
    assert line.good is not bool(days_ahead)
    assert words in line.found
    assert line.good or "Set date and time" in line.fix


def private(tmp_path: Path) -> Path:
    folder = tmp_path / "profile"
    folder.mkdir(mode=0o700)
    (folder / "history.db").write_bytes(b"x")
    (folder / "history.db").chmod(0o600)
    return folder


async def test_a_private_profile_or_none_yet_is_good(context: Context, tmp_path: Path) -> None:
    lines = await machine.check_profile(replace(context, profile=private(tmp_path)), [])
    assert [(line.check, line.good) for line in lines] == [("profile", True), ("database", True)]
    assert "locked" in lines[1].found
    none_yet = replace(context, profile=tmp_path / "none")
    assert only(await machine.check_profile(none_yet, [])).good


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


async def test_where_files_have_no_modes_the_folder_around_is_named(context: Context, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        take_away("windows", patch)
        line = (await machine.check_profile(replace(context, profile=private(tmp_path)), []))[0]
    assert line.good
    assert "as private as the folder around it" in line.found


async def test_a_full_disk(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ROOM_MIN", 1 << 80)
    lines = await machine.check_profile(replace(context, profile=private(tmp_path)), [])
    assert [line.good for line in lines] == [True, False, True]
    assert "MiB" in lines[1].found


@pytest.mark.parametrize("wrong", ["", "page 7 does not authenticate"])
async def test_the_database_is_asked(context: Context, tmp_path: Path, wrong: str) -> None:
    async def integrity() -> str:
        return wrong

    asked = replace(context, profile=private(tmp_path), database=integrity)
    line = (await machine.check_profile(asked, []))[-1]
    assert line.good is not bool(wrong)
    assert wrong in line.found


def install(folder: Path, **programs: str) -> None:
    """Put programs that print or refuse first, and alone, into the path."""
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


@pytest.mark.parametrize(
    ("programs", "unreadable"),
    [
        ({}, False),
        ({"iptables": EMPTY, "ip6tables": EMPTY}, False),
        ({"iptables": REFUSE, "ip6tables": REFUSE, "nft": REFUSE}, True),
        ({"iptables": "exec /bin/sleep 60", "ip6tables": EMPTY}, True),
    ],
    ids=["no tools", "empty tables", "without root", "a tool that hangs"],
)
async def test_without_rules_nothing_is_claimed(
    tools: Path, monkeypatch: pytest.MonkeyPatch, programs: dict[str, str], unreadable: bool
) -> None:
    if "exec /bin/sleep 60" in programs.values():
        monkeypatch.setattr(gather, "WITHIN", 0.1)
    install(tools, **programs)
    assert await gather.read_tables() == gather.Tables((), unreadable=unreadable)


async def test_without_root_ufw_and_firewalld_are_still_known(tools: Path, tmp_path: Path) -> None:
    install(tools, iptables=REFUSE, ip6tables=REFUSE)
    (tmp_path / "proc" / "77").mkdir(parents=True)
    (tmp_path / "proc" / "77" / "comm").write_text("firewalld\n")
    assert (await gather.read_tables()).program == "firewalld"
    (tmp_path / "ufw.conf").write_text("# comment\nENABLED=yes\n")
    assert (await gather.read_tables()).program == "ufw"


@pytest.mark.parametrize(
    ("chains", "program"),
    [("", "iptables"), ("echo '-N ufw-user-input'", "ufw"), ("echo '-N INPUT_ZONES'", "firewalld")],
)
async def test_the_program_behind_the_rules_is_named(tools: Path, chains: str, program: str) -> None:
    install(tools, iptables=f"{CLOSED}; {chains}", ip6tables=EMPTY)
    (source,) = (await gather.read_tables()).sources
    packet = Packet("tcp", "10.0.0.2", "10.0.0.1", 1, 4747, "eth0")
    assert source.program(source.judge(packet)) == program


class Stopped(SystemClock):
    """The clock of a process that a busy machine stopped for some seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.seconds


@pytest.mark.parametrize("seconds", [0.0, 2.0])
async def test_a_machine_that_was_busy_blames_nobody_for_an_answer_that_did_not_come(
    context: Context, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    clock = Stopped()

    async def connect(_host: str, _port: int, _within: float) -> Connection:
        clock.seconds = seconds
        raise TimeoutError

    async def look(_context: Context, _found: Sequence[Interface]) -> Evidence:
        return Evidence([LO, PULLED])

    monkeypatch.setattr(gather, "gather", look)
    transport: Any = mock.Mock(connect=connect)
    said = {
        line.check: line
        for line in await diagnose(replace(context, listening=True, transport=transport, clock=clock))
    }
    assert "does not answer" in said[machine.PORT_CHECK].found
    assert ("was busy" in said[machine.PORT_CHECK].fix) is bool(seconds)
    assert "cable" in said[machine.NETWORK_CHECK].fix  # rests on no answer


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
    assert [line.check for line in lines] == ["cause", "network", "first", "second", "clock"]
    assert [line.good for line in lines] == [False, True, False, False, True]
    assert "LookupError" in lines[0].found
    assert "ZeroDivisionError" in lines[2].found
    assert ["report" in line.fix for line in lines] == [True, False, True, False, False]
    assert "was busy" in lines[3].fix
    monkeypatch.setattr(gather, "gather", endless)
    assert [line.check for line in await diagnose(context)] == ["network", "first", "second", "clock"]
