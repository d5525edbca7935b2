"""Checks of this machine: clock, profile, port, network, multicast and relays."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from chat.errors import Phrase, phrase
from chat.interface import DiagnosisView
from chat.network import probe
from chat.network.connection import format_address
from chat.network.interfaces import Interface, Kind, outward, own_addresses
from chat.pictures.confinement import can_filter
from chat.platforms.files import has_modes, is_own, open_to_others
from chat.tools.doctor import gather
from chat.tools.doctor.firewall import stops
from chat.tools.doctor.gather import Answer, Context, Evidence, Reply
from chat.tools.doctor.paths import Company, company, echoed
from protocol.addresses import is_local

CLOCK_CHECK = phrase("clock")
FIRST_YEAR: Final = 2026
LAST_YEAR: Final = 2099
_FIX = phrase(
    "Set date and time (sudo timedatectl set-ntp true): contacts only recognise each other if their clocks "
    "differ by less than a day."
)
_FIX_ONE = phrase(
    "Set date and time on the machine where they are wrong, here or there (sudo timedatectl set-ntp true): "
    "contacts only recognise each other if their clocks differ by less than a day."
)


async def check_clock(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
    """One line: time runs forwards, the year is possible, and contacts have the same day."""
    before, wall, after = context.clock.monotonic(), context.clock.wall(), context.clock.monotonic()
    if after < before:
        said = phrase("the clock for intervals runs backwards")
        return [DiagnosisView(CLOCK_CHECK, False, said, phrase("Restart this machine."))]
    try:
        now = datetime.fromtimestamp(wall / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return [DiagnosisView(CLOCK_CHECK, False, phrase("the clock shows no possible date"), _FIX)]
    shown = f"{now:%Y-%m-%d %H:%M} UTC"
    if not FIRST_YEAR <= now.year <= LAST_YEAR:
        return [DiagnosisView(CLOCK_CHECK, False, phrase("{time} cannot be right", time=shown), _FIX)]
    ahead = context.days_ahead
    if ahead is None:
        said = phrase("{time}; no contact nearby to compare it with", time=shown)
        return [DiagnosisView(CLOCK_CHECK, True, said)]
    if ahead == 0:
        return [DiagnosisView(CLOCK_CHECK, True, Phrase(shown))]
    if ahead > 0:
        said = phrase("{time}, {number} days behind the clock of a contact here", time=shown, number=ahead)
    else:
        said = phrase("{time}, {number} days ahead of the clock of a contact here", time=shown, number=-ahead)
    return [DiagnosisView(CLOCK_CHECK, False, said, _FIX_ONE)]


PROFILE_CHECK = phrase("profile")
DATABASE = phrase("database")
ROOM_MIN: Final = 64 * 1024 * 1024
"""Bytes that should be free: the database and its write-ahead log grow by less than this in a long while."""


async def check_profile(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
    """Lines for the folder, the disk if it is full, and the database."""
    if not context.profile.is_dir():
        said = phrase("there is none yet at {path}", path=str(context.profile))
        return [DiagnosisView(PROFILE_CHECK, True, said)]
    lines = [_folder(context.profile)]
    free = shutil.disk_usage(context.profile).free
    if free < ROOM_MIN:
        said = phrase("the disk of the profile has only {number} MiB left", number=free // 1_048_576)
        fix = phrase("Free some space: Parlour does not accept messages that it cannot store.")
        lines.append(DiagnosisView(PROFILE_CHECK, False, said, fix))
    return [*lines, await _database(context)]


def _folder(profile: Path) -> DiagnosisView:
    paths = [path for path in [profile, *sorted(profile.iterdir())] if not path.is_symlink()]
    if others := [path for path in paths if open_to_others(path.lstat())]:
        said = phrase(
            "others on this machine may read {names}", names=", ".join(path.name for path in others)
        )
        fix = Phrase(f"chmod -R go= {shlex.quote(str(profile))}")
        return DiagnosisView(PROFILE_CHECK, False, said, fix)
    if not is_own(profile.stat()):
        said = phrase("{path} belongs to another user", path=str(profile))
        fix = phrase("Run Parlour as the user who made the profile.")
        return DiagnosisView(PROFILE_CHECK, False, said, fix)
    if not has_modes():
        said = phrase(
            "{path} is as private as the folder around it: this system has no modes of files",
            path=str(profile),
        )
    else:
        said = phrase("{path} is readable by its owner alone", path=str(profile))
    return DiagnosisView(PROFILE_CHECK, True, said)


async def _database(context: Context) -> DiagnosisView:
    if context.database is None:
        return DiagnosisView(DATABASE, True, phrase("locked, not checked"))
    wrong = await context.database()
    if not wrong:
        return DiagnosisView(DATABASE, True, phrase("every page is intact"))
    fix = phrase("Run 'parlour doctor --deep': it saves what can be read and asks contacts for the rest.")
    return DiagnosisView(DATABASE, False, Phrase(wrong), fix)


PICTURES_CHECK = phrase("pictures")


async def check_pictures(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
    """One line: what a process may do here that decodes the picture of a contact."""
    if can_filter():
        said = phrase("what decodes them can open no file, no connection and no program")
    elif sys.platform == "win32":
        said = phrase("this system cannot confine what decodes them: you are asked before the first one")
    else:
        said = phrase(
            "this system bounds memory, time and files of what decodes them, and cannot confine it: you are"
            " asked before the first one"
        )
    return [DiagnosisView(PICTURES_CHECK, True, said)]


PORT_CHECK = phrase("port")
_OPEN = phrase("Open Parlour (parlour, or parlour listen): only then can others reach this device.")
_OTHER = phrase(
    "Parlour takes the next free port by itself; or close the other program, or name one with --port."
)


async def check_port(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
    """One line: reached at each address, or what is there instead."""
    port, addresses = context.port, own_addresses(found)
    if not port:
        return [DiagnosisView(PORT_CHECK, False, phrase("this profile has not listened yet"), _OPEN)]
    answers = await asyncio.gather(*(gather.knock(context.transport, each, port) for each in addresses))
    there = zip(addresses, answers, strict=True)
    silent = [format_address(at, port) for at, answer in there if answer is not Answer.PARLOUR]
    if context.listening and silent:
        said = phrase("Parlour does not answer at {addresses}", addresses=", ".join(silent))
        fix = phrase("Close Parlour and open it again; if that does not help, see the line of the firewall.")
        return [DiagnosisView(PORT_CHECK, False, said, fix)]
    if context.listening:
        said = phrase("TCP port {port} answers at {number} addresses", port=port, number=len(answers))
        return [DiagnosisView(PORT_CHECK, True, said)]
    if not {Answer.PARLOUR, Answer.OTHER} & set(answers):
        said = phrase("no engine of this profile is running: TCP port {port} does not answer", port=port)
        return [DiagnosisView(PORT_CHECK, False, said, _OPEN)]
    by_parlour = Answer.PARLOUR in answers
    who = phrase("the engine of another profile") if by_parlour else phrase("another program")
    said = phrase("no engine of this profile is running, and {who} has TCP port {port}", who=who, port=port)
    return [DiagnosisView(PORT_CHECK, False, said, _OTHER)]


NETWORK_CHECK = phrase("network")
_CONNECT = phrase("Connect to a network by cable or Wi-Fi. Another Parlour on this machine needs none.")
_RECONNECT = phrase("Disconnect from the network and connect again; check the cables.")


def network_lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    """One line for the local network, one for tunnels (VPN)."""
    found, shown = evidence.interfaces, outward(evidence.interfaces)
    if not evidence.lan:
        network = _none(found)
    elif company(context, evidence) is Company.NO_ROUTER:
        said = phrase(
            "{interface} is connected, but nothing answers there, not even the router {address}",
            interface=evidence.lan[0].name,
            address=next(iter(evidence.routers)).address,
        )
        network = DiagnosisView(NETWORK_CHECK, False, said, _RECONNECT)
    else:
        local = (f"{each.name}: {', '.join(filter(is_local, each.addresses))}" for each in shown)
        network = DiagnosisView(NETWORK_CHECK, True, Phrase("; ".join(local)))
    tunnels = [each.name for each in found if each.kind is Kind.TUNNEL and each.up and each not in shown]
    if not tunnels:
        return [network]
    said = phrase(
        "{names} (VPN) is up: multicast does not cross it; reach a contact behind it by its address",
        names=", ".join(tunnels),
    )
    return [network, DiagnosisView(phrase("vpn"), True, said)]


def _none(found: Sequence[Interface]) -> DiagnosisView:
    lan = [each for each in found if each.kind is Kind.LAN]
    up = sorted((each for each in lan if each.up), key=lambda each: not each.addresses)
    if up and up[0].addresses:
        said = phrase(
            "{interface} has only addresses outside local networks: {addresses}",
            interface=up[0].name,
            addresses=", ".join(up[0].addresses),
        )
        fix = phrase("Parlour reaches local addresses only: use a private network.")
        return DiagnosisView(NETWORK_CHECK, False, said, fix)
    if up:
        said = phrase("{interface} has no address", interface=up[0].name)
        fix = phrase("Wait for the network to assign an address, or set one by hand.")
        return DiagnosisView(NETWORK_CHECK, False, said, fix)
    if lan:
        said = phrase("no connection on {interfaces}", interfaces=", ".join(each.name for each in lan))
    else:
        said = phrase("no network interface but loopback")
    return DiagnosisView(NETWORK_CHECK, False, said, _CONNECT)


MULTICAST_CHECK = phrase("multicast")
OTHERS = phrase("others")
_SILENT = phrase(
    "Allow UDP port 5353 in the firewall of this machine. Until then, connect to the other device by "
    "address: parlour pair --address HOST:PORT."
)
_FILTERED = phrase(
    "Allow multicast (mDNS) in the access point or switch. "
    "Until then reach others by address: parlour pair --address HOST:PORT."
)
_NOBODY = phrase("Open Parlour on the other machine, and see that both are on the same network.")


def multicast_lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    """One line per interface on which this terminal is visible, and one for the others."""
    if stops(context, evidence) and not echoed(evidence):
        return []  # the line of the firewall says why
    own = [_multicast_line(interface, evidence) for interface in outward(evidence.interfaces)]
    return [*own, *_others(context, evidence)] if any(line.good for line in own) else own


def _multicast_line(interface: Interface, evidence: Evidence) -> DiagnosisView:
    """Good if it works with one family, since discovery uses both."""
    echoes = {family: echo for (index, family), echo in evidence.echoes.items() if index == interface.index}
    names = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
    works = [
        names[family] for family, echo in echoes.items() if isinstance(echo, probe.Heard) and echo.itself
    ]
    if works:
        by = phrase("{first} and {second}", first=works[0], second=works[1]) if works[1:] else works[0]
        said = phrase("{interface}: out and back by {families}", interface=interface.name, families=by)
        return DiagnosisView(MULTICAST_CHECK, True, said)
    if error := next((echo for echo in echoes.values() if isinstance(echo, OSError)), None):
        said = phrase(
            "{interface}: cannot be sent: {reason}", interface=interface.name, reason=str(error.strerror)
        )
        fix = phrase(
            "Switch multicast on for {interface} (sudo ip link set {interface} multicast on).",
            interface=interface.name,
        )
        return DiagnosisView(MULTICAST_CHECK, False, said, fix)
    said = phrase("{interface}: packets that were sent did not come back", interface=interface.name)
    return DiagnosisView(MULTICAST_CHECK, False, said, _SILENT)


def _others(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    """Hearing nobody is suspicious only if the engine has found nobody either."""
    if context.heard:
        said = phrase("{number} other devices are known here", number=context.heard)
        return [DiagnosisView(OTHERS, True, said)]
    if evidence.heard:
        said = phrase("{number} other addresses speak multicast here", number=len(evidence.heard))
        return [DiagnosisView(OTHERS, True, said)]
    nobody = phrase("no other device was heard by multicast")
    match company(context, evidence):
        case Company.UNHEARD:
            said = phrase("Parlour answers by address, but no multicast arrives: the network filters it")
            return [DiagnosisView(MULTICAST_CHECK, False, said, _FILTERED)]
        case Company.NOBODY if context.heard is not None:
            return [DiagnosisView(OTHERS, False, nobody, _NOBODY)]
        case _:
            return [DiagnosisView(OTHERS, True, nobody)]


RELAYS_CHECK = phrase("relay")
_START = phrase("Start it (parlour relay), or check whether a firewall blocks it.")
_NEW = phrase("Ask its operator for the address with the new key, then: parlour relays add ADDRESS.")
_WRONG = phrase("Check its port and add it again: parlour relays add ADDRESS.")
_UPDATE = phrase("Use the same version of Parlour there and here.")
_LATER = phrase("It is busy: it accepts connections again in about a minute.")


def relay_lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    return [
        DiagnosisView(RELAYS_CHECK, reply is Reply.WELCOME, *_said_of_relay(name, reply))
        for name, reply in evidence.relays.items()
        if evidence.lan or reply is not Reply.NOBODY
    ]


def _said_of_relay(name: str, reply: Reply) -> tuple[Phrase, Phrase]:
    match reply:
        case Reply.WELCOME:
            return phrase("{relay} answers", relay=name), Phrase()
        case Reply.NOBODY:
            return phrase("{relay} is unreachable", relay=name), _START
        case Reply.OTHER_KEY:
            return phrase("{relay} has another key than the one you added", relay=name), _NEW
        case Reply.OTHER_VERSION:
            return phrase("{relay} uses an incompatible version", relay=name), _UPDATE
        case Reply.TURNED_AWAY:
            return phrase("{relay} closes the connection at once", relay=name), _LATER
        case Reply.OTHER:
            return phrase("the program at {relay} is not a relay", relay=name), _WRONG
