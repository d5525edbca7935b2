"""Where a relay listens, which addresses it tells, and its key file."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from chat.interface import BadData, CannotCreate
from chat.network.interfaces import Interface, Kind
from chat.relay import run
from chat.relay.run import PREFIX, listen, new_key, port_of, reached_at, read_key

LO = Interface("lo", 1, Kind.LOOPBACK, True, ("127.0.0.1/8", "::1/128"))
LAN = Interface("eth0", 2, Kind.LAN, True, ("10.77.0.2/24", "fe80::2/64"))
PUBLIC = Interface("eth1", 3, Kind.LAN, True, ("2001:db8::5/64", "203.0.113.5/24"))
DOWN = Interface("eth2", 4, Kind.LAN, False, ("203.0.113.9/24",))


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_on_one_address_it_is_one_socket_that_does_not_block(host: str, family: int) -> None:
    (server,) = listen(host, 0)
    with server:
        assert server.family == family
        assert not server.getblocking()
        with socket.create_connection((host, port_of(server))):
            accepted, _ = server.accept()
            accepted.close()


def test_without_a_host_both_families_have_one_port() -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(server) for server in listen("", 0)]
        assert {port_of(server) for server in servers} == {port_of(servers[0])}
        assert [server.family for server in servers] == [socket.AF_INET, socket.AF_INET6][: len(servers)]


@pytest.mark.parametrize("host", ["localhost", "relay.example", "127.0.0.1:80", "1", "127.1"])
def test_names_are_not_looked_up(host: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        listen(host, 0)


def test_a_port_that_is_taken_is_an_error_and_nothing_stays_open() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            listen("", port_of(taken))


@pytest.mark.parametrize(
    ("host", "found", "told"),
    [
        ("192.0.2.1", [LO, LAN], ["192.0.2.1"]),
        ("fe80::2%eth0", [LO, LAN], ["fe80::2"]),
        ("", [LO, LAN], ["10.77.0.2", "fe80::2"]),
        ("0.0.0.0", [LO, LAN], ["10.77.0.2"]),
        ("::", [LO, LAN], ["fe80::2"]),
        ("", [LO, LAN, PUBLIC, DOWN], ["203.0.113.5", "2001:db8::5", "10.77.0.2", "fe80::2"]),
        ("", [LO, PUBLIC], ["203.0.113.5", "2001:db8::5"]),
        ("0.0.0.0", [LO, PUBLIC], ["203.0.113.5"]),
        ("", [LO], ["127.0.0.1"]),
        ("", [], []),
    ],
)
def test_it_tells_where_others_reach_it(
    monkeypatch: pytest.MonkeyPatch, host: str, found: list[Interface], told: list[str]
) -> None:
    monkeypatch.setattr(run, "interfaces", lambda: found)
    assert reached_at(host) == told


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.key"


def test_a_key_is_read_as_it_was_made_by_its_owner_alone_and_never_replaced(path: Path) -> None:
    made = new_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text(encoding="ascii").startswith(PREFIX)
    with pytest.raises(CannotCreate, match="already"):
        new_key(path)
    assert read_key(path).public == made.public
    assert new_key(path.with_name("another")).public != made.public


def test_a_key_cannot_be_made_where_there_is_no_folder(path: Path) -> None:
    with pytest.raises(CannotCreate, match="choose another place"):
        new_key(path.parent / "none" / "relay.key")


@pytest.mark.parametrize("kind", [stat.S_IFREG, stat.S_IFDIR])
def test_a_key_that_may_not_last_is_not_made(path: Path, monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    """A name in the folder needs its fsync too: people name the relay by this key."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_IFMT(os.fstat(descriptor).st_mode) == kind:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fsync)
        with pytest.raises(CannotCreate, match="choose another place"):
            new_key(path)
    assert not path.exists()
    assert new_key(path).public == read_key(path).public


def rewritten(change: Callable[[str], str]) -> Callable[[Path], object]:
    return lambda path: path.write_text(change(path.read_text("ascii").strip()), "utf-8")


CHANGES: list[Callable[[str], str]] = [
    lambda text: "",
    lambda text: text[:-1],
    lambda text: text + "a",
    lambda text: text.upper(),
    lambda text: text.removeprefix(PREFIX),
    lambda text: text + text,
    lambda text: "é" + text,
    lambda text: text[:-1] + "1",
]
SPOILT: list[tuple[Callable[[Path], object], str]] = [
    (Path.unlink, "--new-key"),
    *((partial(Path.chmod, mode=mode), "chmod 600") for mode in (0o640, 0o604, 0o644, 0o666)),
    *((rewritten(change), "no relay key") for change in CHANGES),
]


@pytest.mark.parametrize(("spoil", "said"), SPOILT)
def test_what_is_no_key_or_not_its_owners_alone_is_refused_and_not_shown(
    path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    new_key(path)
    secret = path.read_text(encoding="ascii").strip().removeprefix(PREFIX)
    spoil(path)
    with pytest.raises(BadData, match=said) as told:
        read_key(path)
    assert secret not in str(told.value)
