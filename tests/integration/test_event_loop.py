"""The longest time for which one message of a peer holds the event loop, relative to hashing."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, get_args

from chat.network.links import LiveLink
from chat.storage import entries, persons
from protocol import limits
from protocol import messages as m
from protocol.codec import Wire
from protocol.entries_and_receipts import (
    KIND_CUT,
    KIND_TEXT,
    EntryPlace,
    conversation_of_two,
    cut_body,
    text_body,
    write_entry,
)
from protocol.identity.log import Add, Rename, parse_operation, sign_operation
from protocol.identity.reduction import reduce
from protocol.primitives import AEGIS256, ed25519_from_seed, x25519_public
from tests.integration.steps import current, dial, entry_of
from tests.support.engines.engines import Person, pair, people, talk
from tests.support.protocol.samples import seeded

HASHED: Final = 16
"""Mebibytes whose hash takes about 20 ms."""

TRIES: Final = 3
"""Of which the shortest time counts: other programs on the machine make it longer, and never shorter."""

WIDE: Final = "\N{GRINNING FACE}"


class Watch(selectors.DefaultSelector):
    """A selector that measures the processor time of its thread between two waits."""

    def __init__(self) -> None:
        super().__init__()
        self.longest, self._since = 0.0, time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.longest = max(self.longest, time.thread_time() - self._since)
        found = super().select(timeout)
        self._since = time.thread_time()
        return found


def hashing() -> float:
    """Processor time of hashing HASHED mebibytes."""
    data, since = bytes(1 << 20), time.thread_time()
    for _ in range(HASHED):
        blake2b(data).digest()
    return time.thread_time() - since


class Log:
    """A person's log, which its terminal fills."""

    def __init__(self, person: Person, operations: list[bytes]) -> None:
        self.operations, self._own = operations, person.engine._use_cases.keyring.own
        self._last, self._sequence = parse_operation(operations[-1]).id, 1

    def _write(self, operation: Add | Rename, *seeds: bytes) -> bytes:
        signed = sign_operation(operation, self._own.signing_seed, *seeds)
        self._last = parse_operation(signed).id
        self.operations.append(signed)
        return signed

    def _next(self) -> tuple[bytes, bytes, list[bytes]]:
        return self._own.person, self._own.terminal, [self._last]

    def add(self, number: int) -> bytes:
        seed = seeded(f"{self._own.person.hex()} {number}")(32)
        return self._write(Add(*self._next(), ed25519_from_seed(seed), x25519_public(seed), "laptop"), seed)

    def rename(self, number: int) -> bytes:
        return self._write(Rename(*self._next(), f"{number} ".ljust(64, "n")))


async def filled(person: Person) -> Log:
    """Give a person a log of as many operations as one message holds."""
    parts = person.engine._use_cases
    log = Log(person, list(await parts.store.read(persons.operations_of, parts.keyring.own.person)))
    added = [log.add(number) for number in range(limits.LOG_OPERATIONS_MAX - len(log.operations))]
    made = [parse_operation(signed).id for signed in added]

    def store(database: Any) -> None:
        for signed in added:
            persons.add_operation(database, parts.keyring.own.person, parse_operation(signed).id, signed)
        persons.pin(database, parts.keyring.own.person, made, confirmed=True)

    await parts.store.write(store)
    parts.keyring.own_log = reduce(log.operations)
    parts.keyring.own_confirmed |= set(made)
    return log


async def own_entries(ada: Person, ben: Person) -> list[bytes]:
    """As many entries of Ada's as one receipt names, which Ben has not acknowledged."""
    parts, written = ada.engine._use_cases, []
    own, contact = parts.keyring.own, ben.engine._use_cases.keyring.own.person
    conversation, heads = conversation_of_two(own.person, contact), parts.keyring.own_log.heads[:1]
    last = await parts.store.read(entries.last_by, conversation, own.terminal)
    previous = None if last is None else (last.sequence, last.id)
    for number in range(limits.RECEIPT_IDS_MAX):
        place = EntryPlace(conversation, own.terminal, b"12345678", previous, [], heads)
        body = text_body(f"entry {number}")
        entry = write_entry(
            place, ada.clock.wall(), KIND_TEXT, body, own.first_self_key, parts.runtime.random
        )
        previous = entry.header.sequence, entry.id
        written.append(entry)
    await parts.store.write(entries.insert_all, written, own.terminal, contact=contact)
    return [entry.id for entry in written]


async def send(ben: Person, ada: Person, message: m.Message) -> None:
    """Send a message on the present link, the link's own messages too."""
    link = current(ben, ada)
    driver = link.driver
    if isinstance(message, m.AskPieces):  # the answer ends no link: Ben has asked
        ben.engine._use_cases.transfers._ends[link].demand.ask(message.entry, message.ranges)
    driver.link._open_phase().send(message, ben.clock.monotonic(), driver.link._out)
    await driver.flush()


def sessions_ended(ada: Person) -> asyncio.Queue[bytes]:
    """The sessions of Ada's links, as they end from now on."""
    sync, ended = ada.engine._use_cases.sync, asyncio.Queue[bytes]()
    original = sync.ended

    async def noted(link: LiveLink) -> None:
        await original(link)
        ended.put_nowait(link.session)

    sync.ended = noted  # type: ignore[method-assign]
    return ended


class Measured:
    """The longest pause per message."""

    def __init__(self, watch: Watch) -> None:
        self._watch, self.pauses = watch, dict[str, float]()

    async def of(self, name: str, work: Awaitable[object]) -> None:
        await asyncio.sleep(0)  # what the test prepared belongs to the round of the loop that ends here
        self._watch.longest = 0.0
        await work
        self.pauses[name] = max(self._watch.longest, self.pauses.get(name, 0.0))  # in each of its shapes


class Later(Wire, frozen=True, tag=60_000):
    """A message of a later version."""

    more: bytes


def taken(own: Log, log: Log, ids: list[bytes], ada: Person, ben: Person) -> list[m.Message]:
    """Each message that a contact may send, at its largest and in its worst shape."""
    persons_of_both = [one.engine._use_cases.keyring.own.person for one in (ada, ben)]
    conversation, random = conversation_of_two(*persons_of_both), seeded("ids")
    authors = sorted(random(32) for _ in range(limits.HEADS_MAX))
    heads = [m.Head(author, 2**53 - 1, random(32)) for author in authors]
    return [
        m.Receipt(1, sorted(ids)),  # before Heads make Ada send these entries
        m.Ping(2**32 - 1),
        m.Reachable(65_535),
        m.Typing(conversation, True),
        *(
            m.LogHeads(person, sorted(random(32) for _ in range(limits.PARENTS_MAX)))
            for person in persons_of_both
        ),
        m.HeadsHash(conversation, bytes(32)),
        m.Heads(conversation, b"", heads, more=True),
        entry_of(ben, ada, text=WIDE * limits.TEXT_CHARACTERS_MAX),
        cut_of(ben, ada),
        m.Heads(conversation, b"", [], more=False),
        m.LogOperations([log.rename(number) for number in range(limits.LOG_OPERATIONS_MAX)]),
        m.LogOperations([log.add(-1 - number) for number in range(limits.LOG_OPERATIONS_MAX)]),
        m.LogHeads(persons_of_both[0], [random(32)]),
        m.RenewedShare(random(32), random(32), random(32)),
        m.AskPieces(
            random(32),
            [
                m.PieceRange(number * limits.ASK_PIECES_MAX, limits.ASK_PIECES_MAX)
                for number in range(limits.ASK_RANGES_MAX)
            ],
        ),
        m.StopPieces(random(32)),
        m.WholeFile(random(32)),
        m.LogOperations(own.operations),  # of a log of which the same terminal has named an unknown head
    ]


def cut_of(ben: Person, ada: Person) -> m.Entry:
    """A cut of a terminal that nobody knows, of as many heads and parents as an entry can name."""
    parts, random = ben.engine._use_cases, seeded("cut")
    own, contact = parts.keyring.own, ada.engine._use_cases.keyring.own.person
    ends = [m.CutHead(random(8), 2**53 - 1 - number, random(32)) for number in range(limits.CUT_HEADS_MAX)]
    place = EntryPlace(
        conversation_of_two(own.person, contact),
        own.terminal,
        b"12345678",
        None,
        sorted(random(32) for _ in range(limits.PARENTS_MAX)),
        parts.keyring.own_log.heads[:1],
    )
    body = cut_body(random(32), sorted(ends, key=lambda end: (end.sequence, end.id)))
    return write_entry(
        place, ben.clock.wall(), KIND_CUT, body, own.first_self_key, parts.runtime.random
    ).message()


def refused(log: Log) -> list[m.Message]:
    """Each message that ends the link of a contact."""
    name = WIDE * limits.NAME_CHARACTERS_MAX
    whole = log.operations[: limits.LOG_OPERATIONS_MAX]
    heads = sorted(seeded("heads")(32) for _ in range(1))
    ids, signed = [bytes(32)] * limits.LINKED_IDS_MAX, (bytes(32), bytes(64))
    drawn = [m.SharedDrawn(bytes(32), bytes(32))] * limits.SHARED_DRAWN_MAX
    theirs = [m.SharedShare(bytes(32), bytes(32))] * limits.SHARES_HELD_MAX
    pairings = [m.SharedRoot(bytes(32), bytes(32), True, theirs)] * limits.LINKED_PAIRINGS_MAX
    vouchers = [m.SharedVoucher(bytes(32), True)] * limits.VOUCHERS_MAX
    said = True, False, False, 0, 0, False, False, list[m.SharedComparison](), vouchers, pairings
    return [
        m.Commit(bytes(32), name),
        m.Reveal(bytes(32), name),
        m.Open(bytes(32)),
        m.Record(whole, bytes(32), bytes(32), bytes(32), bytes(32), bytes(64)),
        m.Accept(bytes(32)),
        m.NewTerminal(bytes(32), bytes(32), name[: limits.TERMINAL_NAME_CHARACTERS_MAX], *signed),
        m.SharedPairing(bytes(32), ids, ids, name, *said, ids, []),
        m.LinkState(bytes(32), bytes(32), ids, ids, drawn, [], [], limits.LINKED_CONTACTS_MAX),
        m.Addition(bytes(limits.OPERATION_BYTES_MAX)),
        m.Consent(bytes(64)),
        m.Digests(
            [m.Digest(bytes([number]) * 32, bytes(32), bytes(32), 0, 0, False) for number in range(256)]
        ),
        m.PassedReceipt(bytes(32), bytes(32), 1, heads),
        m.SignedEntry(*(b"", b"", b""), bytes(32), bytes(64)),
        m.Confirm(bytes(16), []),
        m.Pong(2**32 - 1),
        m.Features(list(range(limits.FEATURES_MAX))),
        m.Close(3),
        m.Piece(
            bytes(32), 0, [bytes(32)] * limits.PIECE_PATH_MAX, bytes(limits.PIECE_BYTES + AEGIS256.tag_size)
        ),
        m.PiecesEnd(bytes(32)),
    ]


async def scenario(folder: Path, watch: Watch) -> dict[str, float]:
    async with people(folder, "Ada", "Ben") as (_, (ada, ben)):
        own = await filled(ada)
        log = await filled(ben)
        measured, ends = Measured(watch), sessions_ended(ada)
        await measured.of("a pairing with two Records", pair(ada, ben))
        await talk(ben, ada, "paired")
        later: Any = Later(bytes(limits.MESSAGE_BYTES_MAX - 10))
        for message in [later, *taken(own, log, await own_entries(ada, ben), ada, ben)]:

            async def followed(message: m.Message = message) -> None:
                await send(ben, ada, message)
                await talk(ben, ada, "after it")

            await measured.of(type(message).__name__, followed())
        for message in refused(log):

            async def ended(message: m.Message = message) -> None:
                session = current(ben, ada).session
                await send(ben, ada, message)
                while await ends.get() != session:
                    pass

            await measured.of(type(message).__name__, ended())
            await dial(ben, ada)
        return measured.pauses


def played(scenario: Callable[[Watch], Awaitable[dict[str, float]]]) -> dict[str, float]:
    """Run a scenario in real time on a loop that is watched."""
    watch = Watch()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(watch)) as runner:
        return runner.run(scenario(watch))  # type: ignore[arg-type]


def test_case_94_no_message_holds_the_event_loop_for_longer_than_a_hash_of_16_mebibytes(
    tmp_path: Path,
) -> None:
    """Waiting for the interpreter is not counted: one worker thread lets go of it after 5 ms at most."""
    most, pauses = min(hashing() for _ in range(4 * TRIES)), dict[str, float]()
    for number in range(TRIES):
        run = played(partial(scenario, tmp_path / str(number)))
        pauses = {name: min(pause, pauses.get(name, pause)) for name, pause in run.items()}
        if max(pauses.values()) <= most:
            break
    assert {kind.__name__ for kind in get_args(m.Message)} <= set(pauses)
    assert {name: pause for name, pause in pauses.items() if pause > most} == {}
