"""Relays that share core NATS: real nodes, relays and engines, and an attacker who reads and sends all."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chat.engine import Engine
from chat.interface import EntryChanged, EntryState, Event
from chat.relay.run import read_key
from protocol.relay.cluster import ClusterKeys, bucket_of
from protocol.relay.rendezvous import parse_relay
from protocol.relay.states import WasAbsent
from tests.architecture.imports import ROOT
from tests.support.engines.real import engine, only, pairs
from tests.support.lab.inspection import copies, traced, writing
from tests.support.lab.programs import Program
from tests.support.machine import needs_nats, needs_process_memory, needs_strace
from tests.support.relay import processes
from tests.support.relay.in_process import token
from tests.support.relay.processes import Terminal, cluster, eventually, meet, member, receive, waiting
from tests.unit.relay.test_holds_nothing import joined, passes

GONE = "NATS does not answer"


def closed(terminal: Terminal) -> bool:
    """Whether its circuit has ended, after whatever came before."""
    with suppress(ConnectionResetError):
        while terminal.socket.recv(1 << 16):
            pass
    return True


def run(line: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


class Spy:
    def __init__(self, client: Any) -> None:
        self.client = client
        self.heard: list[tuple[str, str, bytes]] = []

    async def listen(self, message: Any) -> None:
        self.heard.append((message.subject, message.reply, message.data))

    async def say(self, subject: str, payload: bytes) -> None:
        await self.client.publish(subject, payload)
        await self.client.flush()


@asynccontextmanager
async def spy(url: str) -> AsyncIterator[Spy]:
    import nats

    client = await nats.connect(url)
    made = Spy(client)
    await client.subscribe(">", cb=made.listen)
    await client.flush()
    try:
        yield made
    finally:
        await client.close()


async def test_a_circuit_enters_at_one_relay_and_leaves_at_another(tmp_path: Path) -> None:
    with cluster(tmp_path) as (_, relays):
        for entered, left in ((0, 1), (1, 2), (2, 0)):
            wanted, data = token(), secrets.token_bytes(200_000)
            waiter = waiting(relays[left], wanted)
            dialler, met = meet(waiter, relays[entered], wanted)
            assert met.others == 0
            assert passes(data, dialler, waiter)
            assert passes(data, waiter, dialler)
            dialler.socket.shutdown(socket.SHUT_WR)
            assert receive(waiter.socket, 1) == b""
            waiter.socket.sendall(b"last words")
            waiter.close()
            assert receive(dialler.socket, 100) == b"last words"
        assert [each.count("far_total") for each in relays] == [2, 2, 2]


def test_attack_61_who_waits_nowhere_is_absent(tmp_path: Path) -> None:
    with cluster(tmp_path) as (_, relays):
        dialler = relays[0].terminal().welcomed()
        for _ in range(16):
            dialler.dial(token()).expect(WasAbsent)
        assert relays[0].count("asked_total") == 16


async def test_attack_62_nats_hears_no_token_and_nothing_of_a_link(tmp_path: Path) -> None:
    with cluster(tmp_path) as (running, relays):
        async with spy(running[2].url) as listener:
            wanted, needle = token(), secrets.token_bytes(32)

            def talk() -> None:
                dialler, waiter = joined(relays[0], wanted, entered=relays[1])
                assert passes(needle * 1_000, dialler, waiter)
                assert passes(needle * 1_000, waiter, dialler)
                dialler.close()
                assert closed(waiter)

            await asyncio.to_thread(talk)
            heard = listener.heard
            async with asyncio.timeout(processes.PATIENCE):
                while len(heard) <= 6:  # other nodes pass on what was said at them
                    await listener.client.flush()
        for written in (wanted, wanted.hex().encode(), base64.b32encode(wanted).rstrip(b"=").lower()):
            assert not [each for each in heard if written in each[2] or written in each[0].encode()]
        assert not [each for each in heard if needle[:8] in each[2] or relays[0].address.key in each[2]]


async def test_attack_58_a_client_that_speaks_on_nats_calls_nobody_and_can_only_break(tmp_path: Path) -> None:
    """A question that was heard and said again, garbage in every place, and a frame that was invented."""
    with cluster(tmp_path) as (running, relays):
        async with spy(running[0].url) as attacker:
            wanted = token()
            dialler, waiter = await asyncio.to_thread(joined, relays[0], wanted, relays[1])
            await attacker.client.flush()
            asked = [each for each in attacker.heard if ".ask." in each[0]]
            again = await asyncio.to_thread(waiting, relays[0], wanted)
            async with asyncio.timeout(processes.PATIENCE):
                # Once it has counted one, it is asked for the terminal that waits there.
                while not relays[0].count("forged_total"):
                    for subject, _, question in asked:
                        await attacker.say(subject, question[:16] + secrets.token_bytes(100))
                        await attacker.say(subject, b"")
            for subject, _, question in asked:
                await attacker.say(subject, question)
            assert await asyncio.to_thread(again.silent)
            assert await asyncio.to_thread(passes, b"still there", dialler, waiter)
            await attacker.client.flush()
            frames = [each for each in attacker.heard if ".to." in each[0]]
            await attacker.say(frames[-1][0], b"\x02" + secrets.token_bytes(60))
            assert await asyncio.to_thread(closed, waiter)
            assert await asyncio.to_thread(closed, dialler)
            assert sum(each.count("forged_total") for each in relays) >= 2
            newly, _ = await asyncio.to_thread(meet, again, relays[2], wanted)
            assert await asyncio.to_thread(passes, b"as before", newly, again)


def test_a_relay_that_dies_ends_its_circuits_and_the_others_go_on(tmp_path: Path) -> None:
    with cluster(tmp_path) as (_, relays):
        wanted = token()
        _, waiter = joined(relays[0], wanted, entered=relays[1])
        unharmed = joined(relays[0], entered=relays[2])
        relays[1].kill()
        waiter.socket.sendall(b"is anybody there")
        assert closed(waiter)
        assert passes(b"here as before", *unharmed)
        assert passes(b"by another relay", *joined(relays[0], wanted, entered=relays[2]))


def test_a_node_that_dies_costs_a_reconnection(tmp_path: Path) -> None:
    with cluster(tmp_path) as (running, relays):
        wanted = token()
        _, waiter = joined(relays[0], wanted, entered=relays[1])
        unharmed = joined(relays[1], entered=relays[2])
        running[0].kill()
        assert closed(waiter)
        assert passes(b"here as before", *unharmed)
        relays[0].on_nats()
        assert passes(b"by another node", *joined(relays[0], wanted, entered=relays[1]))
        assert not relays[0].complained, "another node answered: there was nothing to say"


def test_without_nats_a_relay_goes_on_alone_and_says_so_once(tmp_path: Path) -> None:
    needs_nats()
    key, (client, route) = processes.shared_key(tmp_path), processes.free_ports(2)
    url = f"nats://127.0.0.1:{client}"
    with member(key, url) as one, member(key, url) as other:
        eventually(lambda: bool(one.complained), "it says that NATS is not there")
        assert [line for line in one.complained if GONE in line]
        assert one.count("backplane_connected") == 0
        assert passes(b"at one relay", *joined(one))
        one.terminal().welcomed().dial(token()).expect(WasAbsent)
        with processes.Node("late", (client, route), []) as node:
            node.ready()
            one.on_nats()
            other.on_nats()
            eventually(lambda: len(one.complained) == 2, "it says that NATS is back")
            across = joined(other, entered=one)
            node.kill()
            assert all(map(closed, across))
        one.on_nats(False)


def _forgot(pid: int, mark: bytes) -> bool:
    return copies(pid, mark) == 0


def test_attack_60_what_nats_carried_is_in_no_memory_of_relays_and_nodes(tmp_path: Path) -> None:
    """The relays zero what passed them, and what NATS and its client keep is sealed by keys that are gone."""
    needs_process_memory()
    with cluster(tmp_path) as (running, relays):
        dialler, waiter = joined(relays[0], entered=relays[1])
        mark = secrets.token_bytes(32)
        frames = [secrets.token_bytes(124) + mark + secrets.token_bytes(124) for _ in range(2_000)]
        for first in range(0, len(frames), 50):
            ends = (dialler, waiter) if first // 50 % 2 else (waiter, dialler)
            assert passes(b"".join(frames[first : first + 50]), *ends)
        # The ends have the last frames a moment before the relay comes to zero its buffer.
        for each in (*relays, *running):
            eventually(partial(_forgot, each.pid, mark), "nothing is in its memory")
        assert copies(relays[0].pid, relays[0].address.key) > 0, "the search finds what is there"


def test_attack_59_relay_and_node_open_no_file_for_writing(tmp_path: Path) -> None:
    """In their whole lives; and a relay connects to the NATS that was named, and to nothing else."""
    needs_strace()
    needs_nats()
    logs = [tmp_path / name for name in ("node", "relay")]
    port, key = processes.free_ports(1)[0], processes.shared_key(tmp_path)
    url = f"nats://127.0.0.1:{port}"
    with processes.Node("traced", (port, 0), [], before=traced(logs[0])) as node:
        node.ready()
        with member(key, url, before=traced(logs[1])) as one, member(key, url) as other:
            for each in (one, other):
                each.on_nats()
            dialler, waiter = joined(one, entered=other)
            assert passes(b"something" * 1_000, dialler, waiter)
            dialler.close()
            assert closed(waiter)
            assert one.end() == 0
        node.process.terminate()
        node.wait_exit(processes.PATIENCE)
    assert all("accept4(" in log.read_text(errors="replace") for log in logs)
    assert writing(logs[0]) == []
    connecting = writing(logs[1])
    assert connecting
    assert not [call for call in connecting if f"sin_port=htons({port})" not in call]


async def test_attack_63_a_question_is_asked_once_and_goes_no_further(tmp_path: Path) -> None:
    """A relay that listens to names that begin alike and has nobody keeps silent, and asks nobody itself."""
    with cluster(tmp_path) as (running, relays):
        async with spy(running[0].url) as listener:
            keys = ClusterKeys(read_key(tmp_path / "relay.key"))
            wanted = token()
            bucket = bucket_of(keys.name(wanted))
            alike = next(each for each in iter(token, wanted) if bucket_of(keys.name(each)) == bucket)
            waiter = await asyncio.to_thread(waiting, relays[1], wanted)
            await asyncio.to_thread(joined, relays[1], b"", relays[0])
            await listener.client.flush()
            before = len(listener.heard)
            dialler = relays[0].terminal().welcomed().dial(alike)
            await asyncio.to_thread(dialler.expect, WasAbsent)
            await listener.client.flush()
            asked = listener.heard[before:]
        assert [subject for subject, _, _ in asked] == [bucket]
        assert waiter.silent()


REFUSED = {
    ("--nats", "nats://127.0.0.1:1"): "share a key",
    ("--nats", "http://127.0.0.1:1", "--key-file"): "nats://HOST:4222",
    ("--nats", "nats://name:password@127.0.0.1:1", "--key-file"): "nats://HOST:4222",
}


@pytest.mark.parametrize("given", REFUSED)
def test_what_makes_no_cluster_is_refused_with_what_to_do(given: tuple[str, ...], tmp_path: Path) -> None:
    arguments = [*given, str(processes.shared_key(tmp_path))] if given[-1] == "--key-file" else given
    ended = run(processes.command(*arguments))
    assert ended.returncode == 64
    assert REFUSED[given] in ended.stderr
    assert "password" not in ended.stderr


WITHOUT = """
import sys
sys.modules["nats"] = None
from chat.cli.__main__ import main
sys.argv[1:] = {arguments}
main()
"""


def test_without_the_library_it_is_said_how_to_install_it(tmp_path: Path) -> None:
    key = str(processes.shared_key(tmp_path))
    arguments = processes.command("--nats", "nats://127.0.0.1:1", "--key-file", key)[3:]
    ended = run([sys.executable, "-c", WITHOUT.format(arguments=arguments)])
    assert ended.returncode == 64
    assert "pip install nats-py" in ended.stderr


def test_one_relay_imports_nothing_of_nats() -> None:
    program = "import sys, chat.cli.relays, chat.relay.run; sys.exit('nats' in sys.modules)"
    assert run([sys.executable, "-c", program]).returncode == 0


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_make_relay_cluster_shows_how_it_starts_and_leaves_nothing(tmp_path: Path) -> None:
    needs_nats()
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    line = [sys.executable, "-m", "tests.support.relay.processes"]
    with Program(line, environment=environment, folder=ROOT) as program:
        program.wait_for(lambda line: "Ctrl-C" in line, processes.PATIENCE)
        said = program.said
        assert [line for line in said if line.startswith("Starting relay 3 of 3")]
        named = [line.partition("process ")[2] for line in said if "process " in line]
        pids = [int(text.split(",")[0].rstrip(")")) for text in named]
        addresses = [parse_relay(line.split()[0]) for line in said if line.startswith("  parlour-relay:")]
        assert len(pids) == 6
        assert len({address.key for address in addresses}) == 1
        assert all(map(alive, pids))
        os.kill(program.pid, signal.SIGINT)
        assert program.wait_exit(processes.PATIENCE) == 0
    eventually(lambda: not any(map(alive, pids)), "none is left")
    assert list(tmp_path.iterdir()) == []


class Talk:
    def __init__(self, one: Engine, other: Engine) -> None:
        self._both = (one, other)
        self._said: list[str] = []

    async def go_on(self, lines: int) -> None:
        """So many lines from each: sent as they come, and waited for until the last is delivered."""
        events = [person.events() for person in self._both]
        waiting: list[set[str]] = [set(), set()]
        for _ in range(lines):
            for index, person in enumerate(self._both):
                text = f"line {len(self._said)}"
                sent = await person.send((await only(person)).person, text)
                waiting[index].add(sent.id)
                self._said.append(text)
        await asyncio.gather(*map(_delivered, events, waiting))

    async def check(self) -> None:
        for person in self._both:
            entries = await person.history((await only(person)).person)
            assert sorted(entry.text for entry in entries) == sorted(self._said)
            for own in (True, False):
                numbers = [int(entry.text.split()[1]) for entry in entries if entry.own is own]
                assert numbers == sorted(numbers)


async def _delivered(events: AsyncIterator[Event], ids: set[str]) -> None:
    async for event in events:
        if isinstance(event, EntryChanged) and event.state is EntryState.DELIVERED:
            ids.discard(event.id)
        if not ids:
            return


async def test_a_conversation_outlives_a_relay_and_a_node_of_nats(tmp_path: Path) -> None:
    with cluster(tmp_path) as (nodes, relays):
        first, second, third = (str(each.address) for each in relays)
        async with asyncio.timeout(90), engine("Ada", tmp_path) as ada, engine("Ben", tmp_path) as ben:
            await ada.add_relay(first)
            await pairs(ada, ben)
            talk = Talk(ada, ben)
            await talk.go_on(5)
            await ada.add_relay(third)
            await ben.add_relay(second)
            await ben.remove_relay(first)
            relays[0].kill()
            await talk.go_on(5)
            assert relays[1].count("far_total") >= 1, "it goes over NATS now"
            nodes[1].kill()
            await talk.go_on(5)
            assert relays[1].count("backplanes_total") == 2
            await talk.check()
            assert (await only(ada)).relayed
            assert (await only(ben)).relayed
