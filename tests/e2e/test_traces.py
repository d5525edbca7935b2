"""What two people at the interface leave behind tells nothing of what they wrote (attack 78, C2 to C4).

Rules: they meet, talk, close Parlour and talk again once; then every trace is searched: the frames on the
wire and where they went, all files below the home, the screens after the end. What leaks from commands is
test_leaks' business.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.imports import ROOT
from tests.support.e2e.people import PASSPHRASE, Person, in_touch, pair
from tests.support.e2e.programs import PATIENCE, Station, wait_event
from tests.support.lab.hosts import Lab
from tests.support.machine import needs_root_network, needs_tmux
from tests.support.network.mdns import Tap

pytestmark = [pytest.mark.network, pytest.mark.terminal, pytest.mark.slow]

NAMES = ("Adelgunde", "Benvenuto")
NEEDLE = f"needle {secrets.token_hex(8)}"
MULTICAST = {ipaddress.ip_address(address) for address in ("224.0.0.251", "ff02::fb")}
HOUSEKEEPING = {"224.0.0.22", "ff02::1", "ff02::2", "ff02::16"}
"""Where kernels speak by themselves: group membership, routers, neighbours."""


@dataclass(frozen=True)
class Traces:
    """What two people left behind who met, talked, closed Parlour, and talked again."""

    home: Path
    meeting: list[bytes]
    talking: list[bytes]
    last_screens: list[str]
    arguments: list[bytes]


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traces]:
    needs_root_network()
    needs_tmux()
    home = tmp_path_factory.mktemp("home")
    with Lab(2) as lab, pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(home))
        yield leave_traces(lab, home)


def leave_traces(lab: Lab, home: Path) -> Traces:
    wire = Tap(lab.hosts[0], what="all")
    screens = meet(lab, home)
    meeting = wire.frames()
    wire = Tap(lab.hosts[0], what="all")
    ada, ben = people(lab, home)
    with ada, ben:
        for person in (ada, ben):
            person.unlock()
        in_touch(ada, ben)
        ben.write(f"{NEEDLE} again")
        ben.see_marks("read", f"{NEEDLE} again")
        arguments = [
            Path(f"/proc/{person.terminal.pid}/{file}").read_bytes()
            for person in (ada, ben)
            for file in ("cmdline", "environ")
        ]
        talking = wire.frames()
        for person in (ada, ben):
            person.quit()
        screens += [person.terminal.screen() for person in (ada, ben)]
    return Traces(home, meeting, talking, screens, arguments)


def people(lab: Lab, home: Path) -> tuple[Person, Person]:
    one, other = (
        Person(name, home / name.lower(), host) for name, host in zip(NAMES, lab.hosts, strict=True)
    )
    return one, other


def meet(lab: Lab, home: Path) -> list[str]:
    """First run, pairing, a conversation, the end; what stands on the screens then."""
    ada, ben = people(lab, home)
    with ada, ben:
        pair(ada, ben)
        ada.write(NEEDLE)
        ada.see_marks("read", NEEDLE)
        for person in (ada, ben):
            person.quit()
        return [person.terminal.screen() for person in (ada, ben)]


def forms(text: str) -> list[bytes]:
    """A text as it might be stored or sent without being hidden."""
    plain = text.encode()
    return [
        plain,
        text.encode("utf-16-le"),
        plain.hex().encode(),
        base64.b64encode(plain)[:-4],
        base64.b32encode(plain)[:-8],
    ]


def found(data: bytes, texts: list[str]) -> list[str]:
    return [text for text in texts for form in forms(text) if form in data]


def secret_texts() -> list[str]:
    return [NEEDLE, PASSPHRASE]


# On the wire.


def test_claim_c4_nothing_that_was_written_is_on_the_wire(traces: Traces) -> None:
    for frames in (traces.meeting, traces.talking):
        stream = b"".join(frames)
        assert b"PARLOUR\x00" in stream, "the capture has their links in it"
        assert found(stream, secret_texts()) == []
    assert sum(len(frame) > 300 for frame in traces.talking) > 10, "and their envelopes"


def test_a_name_is_on_the_wire_only_while_its_person_is_visible(traces: Traces) -> None:
    visible = b"".join(traces.meeting)
    for name in NAMES:
        assert name.encode() in visible, "to be seen by strangers was the wish"
    assert found(b"".join(traces.talking), list(NAMES)) == []
    over_tcp = b"".join(frame for frame in traces.meeting if protocol(frame) == TCP)
    assert found(over_tcp, list(NAMES)) == []


def test_claim_c3_no_packet_goes_anywhere_but_to_the_local_network(traces: Traces) -> None:
    for frame in traces.meeting + traces.talking:
        if (where := destination(frame)) is None or str(where) in HOUSEKEEPING:
            continue
        if is_solicitation(where):
            continue
        assert where in MULTICAST or where.is_private, frame.hex()
        if protocol(frame) in (TCP, UDP):
            assert ports(frame) & {4747, 5353}, frame.hex()


# On the disk.


def test_claim_c2_no_file_below_the_home_holds_any_of_it(traces: Traces) -> None:
    files = [path for path in traces.home.rglob("*") if path.is_file() and path.name != "passphrase"]
    assert {"header", "history.db"} <= {path.name for path in files}
    for path in files:
        data = path.read_bytes()
        assert found(data, [*secret_texts(), *NAMES]) == [], path
        assert b"SQLite format" not in data
        assert path.stat().st_mode & 0o077 == 0, path
    assert not list(traces.home.rglob("*core*"))


# On the terminals.


def test_attack_78_nothing_is_left_on_the_screen(traces: Traces) -> None:
    for screen in traces.last_screens:
        assert found(screen.encode(), [*secret_texts(), *NAMES]) == []


def test_attack_78_arguments_and_environment_hold_nothing(traces: Traces) -> None:
    assert found(b"".join(traces.arguments), secret_texts()) == []


# After a crash.


def test_attack_78_a_crash_leaves_no_core_file(tmp_path: Path) -> None:
    needs_root_network()
    with Lab(1) as lab:
        ada = Station(NAMES[0], tmp_path, lab.hosts[0]).create()
        line = ["sh", "-c", 'ulimit -c unlimited; cd "$0" && exec "$@"', str(tmp_path), *ada.line("listen")]
        listening = lab.hosts[0].start(*line, environment={**os.environ, "PYTHONPATH": str(ROOT)})
        wait_event(listening, "ready")
        listening.process.send_signal(signal.SIGABRT)
        assert listening.wait_exit(PATIENCE) == -signal.SIGABRT
        assert sorted(path.name for path in tmp_path.iterdir()) == [ada.profile.name, "passphrase"]


# Frames.

TCP, UDP = 6, 17
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_v4(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x00"


def is_v6(frame: bytes) -> bool:
    return frame[12:14] == b"\x86\xdd"


def destination(frame: bytes) -> Address | None:
    """Where an IP packet goes; None for what stays on the wire (ARP)."""
    if is_v4(frame):
        return ipaddress.ip_address(frame[30:34])
    return ipaddress.ip_address(frame[38:54]) if is_v6(frame) else None


def protocol(frame: bytes) -> int:
    return frame[23] if is_v4(frame) else frame[20] if is_v6(frame) else -1


def ports(frame: bytes) -> set[int]:
    at = 34 if is_v4(frame) else 54
    return {int.from_bytes(frame[at : at + 2], "big"), int.from_bytes(frame[at + 2 : at + 4], "big")}


def is_solicitation(where: Address) -> bool:
    return where in ipaddress.ip_network("ff02::1:ff00:0/104")
