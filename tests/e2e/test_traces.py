"""What two people at the interface leave behind tells nothing of what they wrote (attack 78, C2 to C4)."""

from __future__ import annotations

import base64
import ipaddress
import os
import secrets
import signal
from collections.abc import Callable, Iterator
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
SECRETS = [NEEDLE, PASSPHRASE]
MULTICAST = {ipaddress.ip_address(address) for address in ("224.0.0.251", "ff02::fb")}
SOLICITATIONS = ipaddress.ip_network("ff02::1:ff00:0/104")
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
        meeting, _, screens = visit(lab, home, pair, 0, NEEDLE)
        talking, arguments, later = visit(lab, home, reopen, 1, f"{NEEDLE} again")
        yield Traces(home, meeting, talking, screens + later, arguments)


def reopen(*people: Person) -> None:
    for person in people:
        person.unlock()
    in_touch(*people)


def visit(
    lab: Lab, home: Path, begin: Callable[[Person, Person], None], writer: int, text: str
) -> tuple[list[bytes], list[bytes], list[str]]:
    """Both open Parlour, talk, and close it: the frames, the arguments, the screens after the end."""
    wire = Tap(lab.hosts[0], what="all")
    ada, ben = people = [
        Person(name, home / name.lower(), host) for name, host in zip(NAMES, lab.hosts, strict=True)
    ]
    with ada, ben:
        begin(ada, ben)
        people[writer].write(text)
        people[writer].see_marks("read", text)
        processes = [Path(f"/proc/{person.terminal.pid}") for person in people]
        arguments = [(each / file).read_bytes() for each in processes for file in ("cmdline", "environ")]
        for person in people:
            person.quit()
        return wire.frames(), arguments, [person.terminal.screen() for person in people]


def forms(text: str) -> list[bytes]:
    """A text as it might be stored or sent without being hidden."""
    plain, wide = text.encode(), text.encode("utf-16-le")
    return [plain, wide, plain.hex().encode(), base64.b64encode(plain)[:-4], base64.b32encode(plain)[:-8]]


def found(data: bytes, texts: list[str]) -> list[str]:
    return [text for text in texts for form in forms(text) if form in data]


def test_claim_c4_nothing_that_was_written_is_on_the_wire(traces: Traces) -> None:
    """Names are announced while they meet, for strangers to see, and never go over TCP."""
    meeting, talking = b"".join(traces.meeting), b"".join(traces.talking)
    for stream in (meeting, talking):
        assert b"PARLOUR\x00" in stream, "the capture has their links in it"
        assert found(stream, SECRETS) == []
    assert sum(len(frame) > 300 for frame in traces.talking) > 10, "and their envelopes"
    over_tcp = b"".join(frame for frame in traces.meeting if protocol(frame) == TCP)
    assert all(name.encode() in meeting for name in NAMES)
    assert found(over_tcp + talking, [*NAMES]) == []


def test_claim_c3_no_packet_goes_anywhere_but_to_the_local_network(traces: Traces) -> None:
    for frame in traces.meeting + traces.talking:
        where = destination(frame)
        if where is None or str(where) in HOUSEKEEPING or where in SOLICITATIONS:
            continue
        assert where in MULTICAST or where.is_private, frame.hex()
        if protocol(frame) in (TCP, UDP):
            assert ports(frame) & {4747, 5353}, frame.hex()


def test_claim_c2_no_file_below_the_home_holds_any_of_it(traces: Traces) -> None:
    files = [path for path in traces.home.rglob("*") if path.is_file() and path.name != "passphrase"]
    assert {"header", "history.db"} <= {path.name for path in files}
    for path in files:
        data = path.read_bytes()
        assert found(data, [*SECRETS, *NAMES]) == [], path
        assert b"SQLite format" not in data
        assert path.stat().st_mode & 0o077 == 0, path
    assert not list(traces.home.rglob("*core*"))


def test_attack_78_nothing_is_left_on_the_screen_or_in_arguments_and_environment(traces: Traces) -> None:
    for screen in traces.last_screens:
        assert found(screen.encode(), [*SECRETS, *NAMES]) == []
    assert found(b"".join(traces.arguments), SECRETS) == []


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


TCP, UDP = 6, 17
_PLACES = {b"\x08\x00": (slice(30, 34), 23, 34), b"\x86\xdd": (slice(38, 54), 20, 54)}
"""Where the destination, the protocol and the ports are, for IPv4 and IPv6."""


def destination(frame: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Where an IP packet goes; None for what stays on the wire (ARP)."""
    place = _PLACES.get(frame[12:14])
    return ipaddress.ip_address(frame[place[0]]) if place else None


def protocol(frame: bytes) -> int:
    place = _PLACES.get(frame[12:14])
    return frame[place[1]] if place else -1


def ports(frame: bytes) -> set[int]:
    at = _PLACES[frame[12:14]][2]
    return {int.from_bytes(frame[at : at + 2], "big"), int.from_bytes(frame[at + 2 : at + 4], "big")}
