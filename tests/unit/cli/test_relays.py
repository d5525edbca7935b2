"""relays: named, listed and removed, with what is wrong said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat.assemble import door
from chat.cli.__main__ import run, show
from chat.cli.relays import STANDINGS
from chat.cli.session import Call
from chat.interface import RelayStanding
from protocol.profile_header import CHEAPEST
from protocol.relay.rendezvous import RelayAddress
from tests.contract.subject import RELAY
from tests.support.cli.line import Line

OTHER = str(RelayAddress("fe80::7", 4746, b"\x07" * 32))
FIELDS = ["relay", "host", "port", "standing", "invited"]


def test_a_relay_is_added_listed_and_removed(line: Line) -> None:
    assert line.run("relays", "list", "--json").objects == []
    added = line.run("relays", "add", RELAY, "--json")
    assert (added.status, added.err, list(added.objects[0])) == (0, "", FIELDS)
    assert list(added.objects[0].values()) == [RELAY, "127.0.0.1", 9, "unknown", False]
    line.messenger.name_relay(OTHER, invited=True)
    line.messenger.stand_relay(OTHER, RelayStanding.WAITING)
    for arguments in (["relays", "list"], ["relays"]):
        listed = line.run(*arguments, "--json")
        assert [(one["relay"], one["standing"]) for one in listed.objects] == [
            (RELAY, "unknown"),
            (OTHER, "waiting"),
        ]
    assert line.run("relays").out.splitlines() == [
        f"{RELAY}  (not tried yet)",
        f"{OTHER}  (ready, from an invitation)",
    ]
    removed = line.run("relays", "remove", RELAY, "--json")
    assert (removed.status, removed.objects) == (0, [{"removed": RELAY}])
    assert [one["relay"] for one in line.run("relays", "--json").objects] == [OTHER]
    assert set(STANDINGS) == set(RelayStanding)


@pytest.mark.parametrize("name", ["127.0.0.1:9", "[fe80::7]:4746", f" {RELAY[:30]}\n{RELAY[30:]}"])
def test_host_and_port_are_enough_to_remove_one(line: Line, name: str) -> None:
    line.messenger.name_relay(RELAY)
    line.messenger.name_relay(OTHER)
    assert line.run("relays", "remove", name).status == 0
    assert len(line.messenger._relays) == 1


def test_what_fits_none_or_two_removes_nothing(line: Line) -> None:
    assert "you have no relays yet" in line.run("relays", "remove", RELAY).failure
    line.messenger.name_relay(RELAY)
    line.messenger.name_relay(str(RelayAddress("127.0.0.1", 9, b"\x07" * 32)))
    here = "127.0.0.1:9"
    for name, said in ((here, "whole address"), ("127.0.0.1:10", here), (OTHER, here)):
        assert said in line.run("relays", "remove", name).failed(64)
    assert len(line.messenger._relays) == 2


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("192.168.1.2:4746", "the key at its end"),
        (RELAY[:-3], "(after #)"),
        (RELAY.replace(":9#", ":0#"), "port"),
        (RELAY.replace("127.0.0.1", "a_b"), "host"),
        ("\x1b]0;x\x07", "parlour relay"),
    ],
)
def test_a_damaged_address_is_65_and_says_which_part(line: Line, address: str, said: str) -> None:
    failure = line.run("relays", "add", address, "--json").failed(65)
    assert said in failure
    assert "\x1b" not in failure


def test_one_too_many_is_64_and_says_what_to_do(line: Line) -> None:
    for port in range(1, 9):
        line.messenger.name_relay(str(RelayAddress("127.0.0.1", port, b"\x07" * 32)))
    assert "remove one" in line.run("relays", "add", RELAY).failed(64)


def test_no_network_is_needed_and_what_was_named_is_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a real profile on which no engine runs: nothing listens, nothing is dialled."""
    file, profile = tmp_path / "pass", tmp_path / "ann"
    file.touch(0o600)
    file.write_text("correct horse battery\n")

    def parlour(*arguments: str) -> int:
        call = Call(lambda folder, port: door(folder, port=port, cost=CHEAPEST), show)
        return run([*arguments, "--profile", str(profile), "--passphrase-file", str(file)], call)

    assert parlour("init", "--name", "Ann") == 0

    async def listens(*_: object) -> None:
        raise AssertionError("a command about relays opened the network")

    monkeypatch.setattr("chat.network.transport.TcpTransport.listen", listens)
    monkeypatch.setattr("chat.network.transport.TcpTransport.connect", listens)
    for change, kept in (
        (("add", RELAY), f"{RELAY}  (not tried yet)\n"),
        (("remove", "127.0.0.1:9"), ""),
    ):
        assert parlour("relays", *change) == 0
        capfd.readouterr()
        assert parlour("relays") == 0
        assert capfd.readouterr().out == kept
