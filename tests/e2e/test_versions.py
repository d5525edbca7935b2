"""What a terminal says to a peer of another version, and to a program that is not Parlour."""

from __future__ import annotations

import sys

import pytest

from tests.support.e2e.programs import PATIENCE, Station, listening
from tests.support.lab.hosts import Lab

pytestmark = [pytest.mark.network, pytest.mark.slow]

FOREIGN = (sys.executable, "-m", "tests.support.e2e.foreign")
MAGIC = b"PARLOUR\x00"
VERSION, PATTERN, AEAD = 1, 3, 2
"""What this version speaks; the pattern for contacts; the cipher that everybody has."""


def greeting(least: int, most: int) -> bytes:
    return MAGIC + bytes((least, most, 3, 0)) + bytes(range(16))


@pytest.mark.parametrize(
    ("says", "line"),
    [
        (greeting(2, 3), "uses an incompatible version of the protocol: update the older of the two"),
        (greeting(200, 255), "uses an incompatible version of the protocol: update the older of the two"),
        (
            b"HTTP/1.1 400 Bad Request\r\nServer: printer\r\n\r\n",
            "The program at that address is not Parlour",
        ),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "The program at that address is not Parlour"),
    ],
)
def test_who_calls_a_stranger_reads_what_it_is(lab: Lab, ada: Station, says: bytes, line: str) -> None:
    peer = lab.hosts[1]
    foreign = peer.start(*FOREIGN, "listen", "4747", says.hex())
    foreign.wait_for(lambda said: said == "ready", PATIENCE)
    called = ada.run("pair", "--address", f"{peer.address}:4747")
    assert (called.status, called.out) == (69, "")
    assert line in called.err
    assert len(called.err.splitlines()) == 1
    assert foreign.line(PATIENCE) == "nothing"  # and the peer learns nothing
    assert foreign.wait_exit(PATIENCE) == 0


@pytest.mark.parametrize("version", [2, 255])
def test_a_caller_of_another_version_is_told_which_are_spoken(lab: Lab, ada: Station, version: int) -> None:
    assert ada.host
    first = bytes((version, PATTERN, AEAD)) + bytes(100)
    says = len(first).to_bytes(2, "big") + first
    with listening(ada) as (program,):
        foreign = lab.hosts[1].start(*FOREIGN, ada.host.address, "4747", says.hex())
        heard = bytes.fromhex(foreign.line(PATIENCE))
        assert heard[:10] == MAGIC + bytes((VERSION, VERSION))
        assert heard[28:] == bytes((0, 3)) + bytes((0, VERSION, VERSION))  # a frame: refused, from, to
        assert foreign.wait_exit(PATIENCE) == 0
    assert program.complained == []
