"""Links through a relay: what it can do to them, what it learns of them, and what it knows in the end."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from contextlib import suppress

import pytest

from chat.relay.circuit import Buffers
from protocol.link.framing import length_of
from protocol.link.states import ContactPsk
from protocol.messages import Entry
from tests.support.lab.inspection import which_are_held
from tests.support.machine import needs_process_memory
from tests.support.protocol.links import NAME, End, Pair, Party, frames
from tests.support.relay.in_process import Guest, House, house, token
from tests.support.relay.processes import Relay, Terminal, receive, relay
from tests.unit.relay.test_holds_nothing import joined

NAMES = ("Wilhelmina-Sophia", "Friedrich-Leopold")
Mangle = Callable[[list[bytes]], list[bytes]]


class Relayed(Pair):
    """Two contacts whose link passes a relay that runs; a test may have it do something to the frames."""

    def __init__(self, running: Relay) -> None:
        self.psk, self.token = secrets.token_bytes(32), token()
        self.alice, self.bob = (Party(name) for name in NAMES)
        self.alice.knows(self.bob, self.psk)
        self.bob.knows(self.alice, self.psk)
        dialler, waiter = joined(running, self.token)
        candidates = (ContactPsk(self.psk, NAME, NAME),)
        super().__init__(self.alice.calls(self.bob, candidates=candidates), self.bob.answers())
        self._terminals: dict[int, Terminal] = {id(self.initiator): dialler, id(self.responder): waiter}
        self.mangle: Mangle | None = None
        self.run()
        assert self.initiator.link.is_open
        assert self.responder.link.is_open

    @property
    def wire(self) -> bytes:
        return b"".join(terminal.wire for terminal in self._terminals.values())

    def carry(self, source: End, target: End) -> bool:
        data = source.link.data_to_send()
        if data:
            self._terminals[id(source)].say(data)
            heard = self._terminals[id(target)].hear(len(data))
            if self.mangle:
                heard = b"".join(length_of(body) + body for body in self.mangle(frames(heard)))
            self.deliver(target, heard)
        return bool(data)

    def say(self, source: End, *words: bytes) -> None:
        for word in words:
            source.link.send(Entry(b"header", b"salt", word), self.now)
        self.run()

    def heard(self, end: End) -> list[bytes]:
        return [message.body for message in end.messages() if isinstance(message, Entry)]


@pytest.mark.parametrize(
    ("mangle", "shown"),
    [
        (lambda bodies: bodies[1:], []),
        (lambda bodies: bodies[:1] + bodies[2:], [b"one"]),
        (lambda bodies: bodies[:1] * 2 + bodies[1:], [b"one"]),
        (lambda bodies: [bodies[1], bodies[0], *bodies[2:]], []),
        (lambda bodies: [secrets.token_bytes(len(bodies[0])), *bodies], []),
        (lambda bodies: [bodies[0], bodies[1][:-1], bodies[2]], [b"one"]),
    ],
    ids=["drops the first", "drops one", "doubles", "reorders", "floods", "cuts"],
)
def test_attack_58_what_a_relay_does_to_frames_ends_the_link(mangle: Mangle, shown: list[bytes]) -> None:
    with relay() as running:
        both = Relayed(running)
        both.mangle = mangle
        both.say(both.initiator, b"one", b"two", b"three")
        assert both.heard(both.responder) == shown
        assert both.responder.closed()


def test_attack_58_a_relay_that_holds_frames_back_makes_them_late_and_nothing_else() -> None:
    with relay() as running:
        both, late = Relayed(running), list[bytes]()

        def hold_back(bodies: list[bytes]) -> list[bytes]:
            late.extend(bodies)
            return []

        both.mangle = hold_back
        both.say(both.initiator, b"one", b"two")
        assert both.heard(both.responder) == []
        both.mangle = None
        both.inject(both.responder, *late)
        assert both.heard(both.responder) == [b"one", b"two"]
        assert both.responder.closed() is None


async def _talk(made: House, sender: Guest, reader: Guest, chance: random.Random) -> None:
    """A stream in pieces of any size, read in pieces of any size: it comes whole, in order and once."""
    sent, got = chance.randbytes(chance.randint(200_000, 900_000)), bytearray()

    async def send() -> None:
        place = 0
        while place < len(sent):
            size = chance.choice([1, 60, 300, 5_000, 61_500, 300_000])
            await made.loop.sock_sendall(sender.socket, sent[place : place + size])
            place += size

    sending = asyncio.create_task(send())
    while len(got) < len(sent):
        got += await reader.read(chance.choice([1, 100, 3_000, 70_000]))
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    await sending
    assert bytes(got) == sent


@pytest.mark.parametrize("buffers", [(128, 1 << 18), (2, 4_096), (0, 4_096)], ids=["usual", "few", "none"])
async def test_attack_58_the_relay_itself_passes_on_all_in_order_and_once(buffers: tuple[int, int]) -> None:
    chance = random.Random(58)
    async with house() as made:
        made.relay._buffers = Buffers(*buffers)
        talks = []
        for _ in range(3):
            dialler, waiter = await made.circuit()
            talks += [_talk(made, dialler, waiter, chance), _talk(made, waiter, dialler, chance)]
        await asyncio.gather(*talks)


def test_attack_58_of_what_a_relay_breaks_off_the_beginning_arrives_and_both_sides_are_told() -> None:
    sent = secrets.token_bytes(3_000_000)
    with relay() as running:
        dialler, waiter = joined(running)
        dialler.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            while True:
                dialler.socket.sendall(sent)
        got = receive(waiter.socket, 100_000)
        running.kill()
        with pytest.raises(ConnectionError):
            dialler.socket.sendall(sent)
        got += _rest(waiter)
        assert got == (sent * (len(got) // len(sent) + 1))[: len(got)]


def _rest(terminal: Terminal) -> bytes:
    data = b""
    with suppress(ConnectionResetError):
        while part := terminal.socket.recv(1 << 20):
            data += part
    return data


def test_attack_62_neither_the_wire_nor_the_relays_memory_holds_a_name_a_key_or_a_word() -> None:
    """With the relay's own key it could read more than the wire shows: so its memory is searched as well."""
    needs_process_memory()
    with relay("--examinable") as running:
        both, waited_on = Relayed(running), token()
        running.terminal().welcomed().wait(waited_on)
        words = [f"{name} says {secrets.token_hex(20)}".encode() for name in NAMES]
        both.say(both.initiator, words[0])
        both.say(both.responder, words[1])
        assert both.heard(both.responder) + both.heard(both.initiator) == words
        secret = {
            *words,
            *(name.encode() for name in NAMES),
            *(both.psk, both.initiator.opened().session_id),
        }
        for party in (both.alice, both.bob):
            secret |= {party.person, party.static.public, party.static.reveal()}
        wire = both.wire
        assert b"PARELAY" in wire
        assert b"PARLOUR" in wire
        assert {needle for needle in secret if needle in wire} == set()
        assert both.token not in wire, "tokens travel sealed"
        held = which_are_held(running.pid, secret | {waited_on, running.address.key})
        assert held == {waited_on, running.address.key}, "the search finds what it knows"


def test_attack_62_what_it_is_asked_for_has_one_size_whichever_terminal_asks() -> None:
    """Neither the number of tokens nor how somebody waits shows on the wire."""
    with relay() as running:
        sizes = set()
        for number in (1, 2, 127, 128):
            terminal = running.terminal().welcomed()
            before = len(terminal.wire)
            terminal.wait(*(token() for _ in range(number)))
            sizes.add(len(terminal.wire) - before)
        assert len(sizes) == 1
