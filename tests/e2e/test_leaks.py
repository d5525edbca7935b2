"""Nothing that people say or are called leaks; each search also finds something that must be there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import token_hex

import pytest

from chat.storage import folder, keys, profile
from protocol.keys import X25519Pair
from protocol.primitives import ed25519_from_seed
from tests.support.cli.line import PASSPHRASE, Outcome
from tests.support.e2e.people import Person
from tests.support.e2e.programs import PATIENCE, Station, created, listening, pair, wait_event
from tests.support.lab.hosts import Host, Lab
from tests.support.lab.programs import Program
from tests.support.machine import needs_tmux
from tests.support.network.mdns import Tap

pytestmark = [pytest.mark.network, pytest.mark.slow]

GREETING = b"PARLOUR\x00"
PIECE = 8
CORE_FILES = ("sh", "-c", 'ulimit -S -c "$(ulimit -H -c)"; exec "$@"', "cores")
"""The command before a program's own that lets it leave core files, if it wants to."""
Needles = Mapping[str, bytes]


@contextmanager
def captured(hosts: Sequence[Host]) -> Iterator[bytearray]:
    """Every frame that these hosts see in the block, afterwards."""
    taps = [Tap(host, interface="", what="all") for host in hosts]
    frames = bytearray()
    yield frames
    for tap in taps:
        frames += b"".join(tap.frames())


def leaks(where: bytes | bytearray, needles: Needles) -> list[str]:
    """The names of the needles of which a piece stands somewhere, as it is or as hexadecimal digits."""
    digits = where.lower()

    def stands(piece: bytes) -> bool:
        return piece in where or piece.hex().encode() in digits

    return [name for name, needle in needles.items() if any(map(stands, pieces(needle)))]


def pieces(needle: bytes) -> list[bytes]:
    """A short needle whole; of a long one 8 bytes each, for a part of an id tells as much as all of it."""
    if len(needle) < 16:
        return [needle]
    return [needle[at : at + PIECE] for at in range(0, len(needle) - PIECE + 1, PIECE)]


def ids_and_keys(*stations: Station) -> dict[str, bytes]:
    """Ids, public and secret keys of persons and terminals; no engine may run on the profiles."""
    return {name: value for station in stations for name, value in _ids_and_keys(station) if value}


def _ids_and_keys(station: Station) -> Iterator[tuple[str, bytes]]:
    with profile.unlock(station.profile, PASSPHRASE) as opened, closing(opened.database()) as database:
        row = keys.read_own(database)
    found = {
        "person": row.person,
        "terminal": row.terminal,
        "static key": X25519Pair(row.static_secret).public,
        "signing key": ed25519_from_seed(row.signing_seed),
        "static secret": row.static_secret,
        "signing seed": row.signing_seed,
        "self key": row.first_self_key,
        "recovery seed": row.recovery_seed or b"",
    }
    yield from ((f"{station.name}'s {name}", value) for name, value in found.items())


def names(*stations: Station) -> dict[str, bytes]:
    return {f"the name {station.name}": station.name.encode() for station in stations}


def texts(*said: str) -> dict[str, bytes]:
    return {f"the text {text}": text.encode() for text in said}


def files(*stations: Station) -> bytes:
    """All bytes of all files of the profiles, with each file's name."""
    found = [file for station in stations for file in station.profile.rglob("*") if file.is_file()]
    return b"".join(file.name.encode() + b"\n" + file.read_bytes() for file in found)


@pytest.fixture
def people(lab: Lab, tmp_path: Path) -> tuple[Station, Station]:
    """Two people with names that nothing else has, each on a host with a new profile."""
    (tmp_path / "profiles").mkdir()
    names = (f"{name}-{token_hex(8)}" for name in ("Ada", "Ben"))
    one, other = created(tmp_path / "profiles", lab.hosts, *names)
    return one, other


@pytest.fixture
def contacts(people: tuple[Station, Station]) -> tuple[Station, Station]:
    pair(*people)
    return people


@contextmanager
def logging(*stations: Station) -> Iterator[tuple[Program, ...]]:
    """All listen, with everything that they log, until the block ends; the first one sees the others."""
    with listening(*stations, options=("--verbose",), under=CORE_FILES) as programs:
        for other in stations[1:]:
            wait_event(programs[0], "peer", name=other.name, present=True)
        yield programs


def send(sender: Station, to: Station, text: str) -> Outcome:
    """Send a text that stands on no command line; it is delivered, and may be read by then."""
    done = sender.run("send", to.name, "-", "--verbose", "--wait", str(PATIENCE / 2), typed=text)
    assert done.status == 0, done.err
    assert [line["state"] for line in done.objects] in (["delivered"], ["read"])
    return done


def test_attack_62_pairing_shows_no_id_and_no_key(lab: Lab, people: tuple[Station, Station]) -> None:
    """Names are not looked for: a person without contacts is visible, and announces the name."""
    with captured(lab.hosts) as wire:
        pair(*people)
    assert GREETING in wire
    assert leaks(wire, ids_and_keys(*people)) == []


def test_attack_62_a_conversation_shows_no_word_no_name_and_no_id(
    lab: Lab, contacts: tuple[Station, Station]
) -> None:
    """Links, entries, receipts and announcements, from both starts to both ends."""
    ada, ben = contacts
    said = [f"needle-{token_hex(16)}" for _ in range(2)]
    with captured(lab.hosts) as wire, logging(ada, ben):
        sent = [send(ada, ben, said[0]), send(ben, ada, said[1])]
    entries = {f"the id of {done.out}": bytes.fromhex(done.objects[0]["id"]) for done in sent}
    wanted = {**texts(*said), **entries, **names(ada, ben), **ids_and_keys(ada, ben)}
    assert GREETING in wire
    assert b"_parlour" in wire
    assert leaks(wire, wanted) == []


def test_attack_65_a_visible_person_announces_the_name_and_nothing_else(
    lab: Lab, people: tuple[Station, Station]
) -> None:
    """Who is not visible announces no name: attack 62 searches for it in a conversation."""
    ada, ben = people
    with (
        captured(lab.hosts) as wire,
        ada.start("pair", joined=True) as seen,
        ben.start("pair", joined=True) as looking,
    ):
        looking.wait_for(lambda line: line.strip() == f"1  {ada.name}", PATIENCE)
        seen.wait_for(lambda line: line.strip() == f"1  {ben.name}", PATIENCE)
    assert leaks(wire, {**names(ada, ben), **ids_and_keys(ada, ben)}) == list(names(ada, ben))


def test_attack_64_nobody_but_a_contact_hears_that_somebody_is_there(
    lab: Lab, contacts: tuple[Station, Station], tmp_path: Path
) -> None:
    """A stranger who dials a contact's terminal by its address gets the same greeting and no answer more."""
    ada, ben = contacts
    stranger = Station(f"Eve-{token_hex(8)}", tmp_path, lab.hosts[1]).create()
    with logging(ada) as (program,):
        port = ada.ask(lambda messenger: messenger.me()).port
        with captured(lab.hosts) as wire:
            done = stranger.run("pair", "--address", f"{lab.hosts[0].address}:{port}")
        assert GREETING in wire
        assert leaks(wire + done.failed(69).encode(), names(ada, ben)) == []
        assert [json.loads(line)["event"] for line in program.said] == ["ready"]


def test_attack_78_no_file_of_a_profile_holds_anything_plain(contacts: tuple[Station, Station]) -> None:
    """While engines run, with the write-ahead log next to the database, and after they have ended."""
    ada, ben = contacts
    text = f"needle-{token_hex(16)}"
    with logging(ada, ben):
        send(ada, ben, text)
        while_open = files(ada, ben)
    wanted = {**texts(text, PASSPHRASE, "SQLite format 3"), **names(ada, ben), **ids_and_keys(ada, ben)}
    assert b"history.db-wal\n" in while_open
    for content in (while_open, files(ada, ben)):
        assert b"history.db\n" in content
        assert leaks(content, wanted) == []


def test_attack_78_programs_say_what_is_wanted_and_no_more(
    lab: Lab, contacts: tuple[Station, Station]
) -> None:
    """With --verbose, and with somebody who talks nonsense to the port."""
    ada, ben = contacts
    text = f"needle-{token_hex(16)}"
    with logging(ada, ben) as (one, other):
        port = ben.ask(lambda messenger: messenger.me()).port
        nonsense = f"printf '%s' {text} >/dev/tcp/{lab.hosts[1].address}/{port}"
        lab.hosts[0].run("bash", "-c", nonsense)
        done = send(ada, ben, text)
        wait_event(other, "entry", text=text)
        for program in (one, other):
            shown = system_view(program)
            assert "\nlisten\n" in shown
            assert leaks(shown.encode(), texts(text)) == []
            limits = Path(f"/proc/{program.pid}/limits").read_text()
            assert re.search(r"^Max core file size +0 ", limits, re.MULTILINE)
        assert leaks(system_view(one).encode(), names(ben)) == []
    everything = {**texts(text), **names(ada, ben), **ids_and_keys(ada, ben)}
    assert set(done.objects[0]) == {"id", "state", "conversation", "reply"}
    assert leaks(done.err.encode(), everything) == []
    for program in (one, other):
        (entry,) = (line for line in program.said if json.loads(line)["event"] == "entry")
        assert [line for line in program.said if text in line] == [entry]
        assert leaks("\n".join(program.complained).encode(), everything) == []


def system_view(program: Program) -> str:
    """What everybody on the machine sees of a process: its command line, a line each, and its name."""
    process = Path(f"/proc/{program.pid}")
    seen = [process / "cmdline", process / "comm", *process.glob("task/*/comm")]
    return "".join(file.read_text() for file in seen).replace("\x00", "\n")


@pytest.mark.terminal
def test_attack_78_what_a_peer_wrote_is_on_the_screen_and_in_no_title(
    lab: Lab, contacts: tuple[Station, Station]
) -> None:
    needs_tmux()
    ada, ben = contacts
    text = f"needle-{token_hex(8)}"
    with Person(ben.name, ben.profile, lab.hosts[1]) as person:
        person.unlock(PASSPHRASE)
        person.see(ada.name)
        send(ada, ben, text)
        person.see(text)
        person.terminal.wait_written(text.encode(), PATIENCE)
        person.quit()
        written = person.terminal.written()
    strings = re.findall(rb"\x1b([k\]PX^_].*?)(?:\x1b\\|\x07)", written, re.DOTALL)
    assert strings, "the shape of the mouse pointer"
    allowed = rb"\]22;[a-z-]+|\]2;(\(\d+\) )?Parlour"  # a shape of the pointer; a title that tells a number
    assert [string for string in strings if not re.fullmatch(allowed, string)] == []


def damage(station: Station) -> None:
    """Turn a byte in the middle of each page of the database."""
    file = station.profile / folder.DATABASE
    content = bytearray(file.read_bytes())
    for at in range(2048, len(content), 4096):
        content[at] ^= 1
    file.write_bytes(content)


def forget(station: Station) -> None:
    """From now on the passphrase is typed wrongly."""
    (station.profile.parent / "passphrase").write_text("wrong needle\n")


@pytest.mark.parametrize(("fault", "status"), [(forget, 77), (damage, 65)], ids=["passphrase", "database"])
@pytest.mark.parametrize("verbose", [(), ("--verbose",)], ids=["quiet", "verbose"])
def test_attack_78_a_profile_that_does_not_open_is_one_line(
    people: tuple[Station, Station], fault: Callable[[Station], None], status: int, verbose: tuple[str, ...]
) -> None:
    ada, _ = people
    secret = {**ids_and_keys(ada), **texts(PASSPHRASE, "wrong needle", "Traceback")}
    fault(ada)
    done = ada.run("history", ada.name, *verbose)
    assert leaks(done.failed(status).encode(), secret) == []
