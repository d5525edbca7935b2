"""Pieces of files over links: what others ask of this terminal, and what it asks of them (SPEC §12.3).

A piece goes out only while nothing else waits to be sent. What came is on the disk before more is read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Final

from msgspec import Struct, field

from chat.errors import phrase
from chat.interface import FileProgress, FileState, FileSupplied, Notice
from chat.network.driver import Outgoing
from chat.network.links import LiveLink, Peer
from chat.service.allowances import Allowances
from chat.service.events import EventBus
from chat.service.keyring import Keyring, terminal_of
from chat.service.pace import Pace
from chat.service.shelf import Shelf, Volume
from chat.service.views import file_view
from chat.service.waiting import Waiting
from chat.storage import clients, files
from chat.storage.database import Store
from chat.storage.errors import StorageFailure
from chat.storage.files import FilePlace, FileRow, Standing
from chat.storage.pieces import RUN, NoRoom, SealedFile
from chat.tasks import Runtime
from protocol.attachments import Proofs, Proven
from protocol.entries_and_receipts import conversation_of
from protocol.errors import ProtocolError, Unexpected
from protocol.identity.reduction import PersonState
from protocol.messages import AskPieces, FileBody, Message, Piece, PiecesEnd, StopPieces, WholeFile
from protocol.pieces import Demand, Supply, Turn

AT_ONCE: Final = 4
"""Files that are taken at the same time; others wait. Contacts fill this with files below the size that this
person set, and this person with those that it wants."""

OF_ONE: Final = 2
"""Of them those of one contact: who sends files and supplies none keeps no place from others."""

ASKED: Final = 32
"""Pieces that one message asks for, 1.8 MiB. A text waits behind what is under way: twice as much."""

AHEAD: Final = 2
"""Such messages per file and link that wait for their end, so that the other side has always one."""

OPEN_MAX: Final = 8
"""The same of all files on one link: half of what the other side must take."""

RELAYED_ASKED: Final = 1
"""The same through a relay, which ends a circuit whose reader leaves 256 KiB for 30 seconds."""

RELAYED_OPEN: Final = 2
"""Such messages of all files on one link through a relay: who reads 5 KiB a second keeps the link."""

BURST: Final = 8
"""Pieces that are sealed before anything else has its turn, half a megabyte. The link writes two at once."""

PENDING_MAX: Final = 2 * RUN
"""Pieces of one link that wait for the disk, two megabytes. Then nothing more is read on that link. So many
come again where this program is killed; the end of a link loses none of them."""

TOLD_EVERY: Final = 0.25
"""Seconds between two events of the progress of one file."""

AGAIN: Final = 60.0
"""Seconds after which a terminal that lacked pieces is asked again: it may take the file itself."""

BAD = phrase("A device sent a false part of a file. It was thrown away, and that device is not asked again.")


class Window(Struct, frozen=True):
    """Pieces of one ask, and asks of a link that wait for their end."""

    asked: int
    open_max: int


DIRECT: Final = Window(ASKED, OPEN_MAX)
RELAYED: Final = Window(RELAYED_ASKED, RELAYED_OPEN)
LOST = phrase(
    "A part of a file that you gave others is damaged on this disk. It is taken again from a device that has"
    " it: if there is none, send the file again."
)


class _Serving(Struct, eq=False):
    """A file of which the other end of a link asks, and how many asks wait; None: it may not have it."""

    volume: Volume | None = None
    asks: int = 0
    sent: int = 0
    told: float = -TOLD_EVERY

    @property
    def count(self) -> int:
        """Pieces that there are of it, 0 where none may go out."""
        return self.volume.shape.count if self.volume is not None else 0

    @property
    def lasts(self) -> bool:
        """Whether pieces of it may go out."""
        return self.volume is not None and not self.volume.going

    def sends(self, size: int, now: float) -> bool:
        """So many bytes were sent; whether that is to be told."""
        self.sent += size
        tells = now >= self.told + TOLD_EVERY
        if tells:
            self.told = now
        return tells

    async def allow(self, shelf: Shelf, row: FileRow | None) -> None:
        """Let the file be served from now on, or with None no longer. Raises StorageFailure."""
        if row is not None and self.volume is None:
            self.volume = await shelf.take(row, self)
        elif row is None:
            await self.release(shelf)

    async def release(self, shelf: Shelf) -> None:
        """It is served no more. Raises StorageFailure."""
        if self.volume is not None:
            volume, self.volume = self.volume, None
            await shelf.release(volume, self)


class _End(Struct, eq=False):
    """One link: what its other end asks for, and what it is asked for.

    `ready` is what goes out next, read from the disk. `pending` are pieces that are to be stored. `asked` are
    files that the other end may have, and asked for since it last said that it holds them.
    """

    outgoing: Outgoing
    supply: Supply = field(default_factory=Supply)
    demand: Demand = field(default_factory=Demand)
    serving: dict[bytes, _Serving] = field(default_factory=dict)
    asked: set[bytes] = field(default_factory=set)
    ready: deque[Piece | PiecesEnd] = field(default_factory=deque)
    filling: asyncio.Task[None] | None = None
    pending: list[Proven] = field(default_factory=list)
    storing: asyncio.Task[None] | None = None
    room: asyncio.Event = field(default_factory=asyncio.Event)

    async def store(self, store: Callable[[], asyncio.Task[None]]) -> None:
        """Let what is pending be stored. Waits while much is; `store` begins with it, where nothing does."""
        while True:
            if self.storing is None or self.storing.done():  # it may have failed with some that wait still
                self.storing = store()
            if len(self.pending) < PENDING_MAX:
                return
            self.room.clear()
            await self.room.wait()

    async def settled(self) -> None:
        """Wait until all that came was stored."""
        while self.storing is not None and not self.storing.done():
            await asyncio.wait([self.storing])

    def stored(self, some: list[Proven]) -> None:
        """These wait no longer."""
        done = set(map(id, some))
        self.pending = [piece for piece in self.pending if id(piece) not in done]
        self.room.set()

    def may_send(self) -> bool:
        """Whether something is ready; what was deleted since it was read is thrown away."""
        while self.ready:
            due = self.ready[0]
            serving = self.serving.get(due.entry)
            if isinstance(due, PiecesEnd) or (serving is not None and serving.lasts):
                return True
            self.ready.popleft()
        return False

    def drop(self, entry: bytes) -> None:
        """No piece of the file of an entry goes out any more; what was asked for of it is answered."""
        self.supply.drop(entry)
        left = [one for one in self.ready if isinstance(one, PiecesEnd) or one.entry != entry]
        self.ready.clear()
        self.ready.extend(left)

    def fill(self, read: Callable[[], asyncio.Task[None]]) -> bool:
        """Let what is due next be read while other pieces go out; False where nothing is due."""
        if self.filling is None or self.filling.done():
            self.filling = read() if len(self.supply) else None
        return self.filling is not None


class _Taking(Struct, eq=False):
    """A file that is being taken. `lacking`: links whose other end lacked some of it, since when.

    `refused`: terminals that sent a false piece. `told`, `before`: when progress was last told, and how many
    bytes were held then. `direct`: that it waits for a direct link. `moved`: when it
    was begun, or some of it came.
    """

    volume: Volume
    proofs: Proofs
    refused: set[Peer] = field(default_factory=set)
    lacking: dict[LiveLink, float] = field(default_factory=dict)
    told: float = 0.0
    before: int = 0
    rate: int = 0
    direct: bool = False
    moved: float = 0.0

    @property
    def row(self) -> FileRow:
        return self.volume.row

    def prove(self, piece: Piece) -> Proven:
        """Check a piece that came. Raises ProtocolError."""
        return self.proofs.check(piece)


class Transfers:
    """Takes and supplies pieces of files. In memory it keeps a few per link, whatever the sizes."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        shelf: Shelf,
        allowances: Allowances,
    ) -> None:
        self._runtime, self._store, self._bus = runtime, store, bus
        self._keyring, self._shelf, self._allowances = keyring, shelf, allowances
        self._pace, self._limit = Pace(runtime.clock.monotonic), 0
        self._pace.follow(allowances.rate)
        self._ends, self._ending = dict[LiveLink, _End](), list[_End]()
        self._taking = dict[bytes, _Taking]()
        self._waiting = Waiting()
        self._held = asyncio.Lock()
        self._unreadable = set[bytes]()  # of which this person was told; files of this terminal alone

    # --- Links ---

    def opened(self, link: LiveLink, outgoing: Outgoing) -> None:
        """A link opened, by which files can come and go."""
        self._ends[link] = _End(outgoing)
        self._plan()

    def ended(self, link: LiveLink) -> None:
        """It ended. What came on it is stored, and the rest of what had been asked on it asked on others."""
        if (end := self._ends.pop(link, None)) is None:
            return
        self._pace.leave(link)
        for taking in self._taking.values():
            taking.lacking.pop(link, None)
        self._ending.append(end)
        self._runtime.tasks.spawn(self._wind_up(end))
        self._plan()

    async def _wind_up(self, end: _End) -> None:
        try:
            await end.settled()
        finally:
            self._ending.remove(end)
        for serving in list(end.serving.values()):
            await self._release(serving)
        self._plan()

    async def settle(self) -> None:
        """Wait until all that came is on the disk: the engine stops."""
        for end in (*self._ends.values(), *self._ending):
            await end.settled()

    async def take(self, link: LiveLink, message: Message) -> None:
        """A message about pieces came. Raises ProtocolError, and what a read of the database raises."""
        end = self._ends.get(link)
        if end is None:
            return  # it has ended meanwhile
        match message:
            case AskPieces() as ask:
                serving = await self._allow(link, end, ask.entry)
                end.supply.take(ask, serving.count)
                end.outgoing.below(partial(self._serve, link, end))
            case StopPieces(entry=entry):
                end.drop(entry)
            case WholeFile(entry=entry):
                await self._has_it(link, end, entry)
            case PiecesEnd() as over:
                self._over(link, over.entry, end.demand.ended(over))
            case _:
                raise Unexpected("not a message about pieces")

    async def take_pieces(self, link: LiveLink, pieces: Sequence[Piece]) -> None:
        """Pieces came together: store what is wanted of them, and read on only while few wait for that.

        Raises ProtocolError.
        """
        if (end := self._ends.get(link)) is None:
            return  # it has ended meanwhile
        try:
            for piece in pieces:
                taking = self._taking.get(piece.entry) if end.demand.takes(piece) else None
                if taking is not None and not self._proves(link, end, taking, piece):
                    break
        finally:  # what came before a message that ends the link is not lost with it
            if end.pending:
                await end.store(lambda: self._runtime.tasks.spawn(self._store_pending(end)))

    def _proves(self, link: LiveLink, end: _End, taking: _Taking, piece: Piece) -> bool:
        """Let a piece wait for the disk; False, and the link ends, where it is none of its file."""
        try:
            end.pending.append(taking.prove(piece))
        except ProtocolError:
            taking.refused.add(link.peer)
            self._bus.publish(Notice(BAD))
            link.driver.abort()
            return False
        return True

    # --- Supplying ---

    async def _allow(self, link: LiveLink, end: _End, entry: bytes) -> _Serving:
        """Let what is asked for be served, if the other end may have it. No answer says whether it may."""
        serving = end.serving.setdefault(entry, _Serving())
        serving.asks += 1
        row = await self._store.read(files.to_supply, entry, *self._asker(link))
        held = row is not None and row.standing in files.SUPPLIED
        if row is not None:
            end.asked.add(entry)
        if row is not None and link.relayed and not self._allowances.relays(row.contact, row.body.size):
            held = False
        try:
            await serving.allow(self._shelf, row if held else None)
        except StorageFailure as failure:  # one file that cannot be read must not end the talk
            if entry not in self._unreadable:
                self._unreadable.add(entry)
                self._bus.publish(Notice(failure.phrase))
        return serving

    async def _has_it(self, link: LiveLink, end: _End, entry: bytes) -> None:
        """The other end says that it holds a file now. Of one that it may not have that means nothing.

        Nor of one that it did not ask for: saying so again and again must not cost a write each.
        """
        if entry not in end.asked:
            return
        end.asked.discard(entry)
        row = await self._store.read(files.to_supply, entry, *self._asker(link))
        if row is not None:
            person, size = row.contact or self._keyring.own.person, row.body.size
            if terminal := terminal_of(self._log_of(link), link):
                await self._store.write(files.held_at, entry, terminal)
            self._bus.publish(FileSupplied(person.hex(), entry.hex(), size, size, done=True))

    def _log_of(self, link: LiveLink) -> PersonState:
        contact = self._keyring.contacts.get(link.person)
        return self._keyring.own_log if contact is None else contact.state

    def _asker(self, link: LiveLink) -> tuple[bytes, bytes | None]:
        """The conversation and the contact of the other end; None: it is a terminal of this person."""
        own, person = self._keyring.own.person, link.person
        return conversation_of(own, person), None if person == own else person

    async def _serve(self, link: LiveLink, end: _End) -> bool:
        """Send the next pieces, or the end of an ask; False where nothing is due."""
        read = partial(self._begin_filling, end)
        while not end.may_send():
            if not end.fill(read) or end.filling is None:
                return False
            await asyncio.wait([end.filling])
        if not end.outgoing.is_idle:
            return True  # what was queued meanwhile goes first
        if isinstance(end.ready[0], PiecesEnd):
            over = end.ready.popleft()
            await self._answered(end, over.entry)
            await link.driver.send(over)
        else:
            due = self._due(link, end, read)
            if (first := next(due, None)) is None:
                return False
            await link.driver.send_all(chain((first,), due))
        return link in self._ends

    def _due(self, link: LiveLink, end: _End, read: Callable[[], asyncio.Task[None]]) -> Iterator[Piece]:
        """Pieces that are ready, a few at most, each while nothing else waits when it is sealed."""
        for _ in range(BURST):
            if not end.may_send() or not end.outgoing.is_idle:
                return
            piece = end.ready[0]
            if isinstance(piece, PiecesEnd) or not self._pace.grants(link, partial(self._go_on, link, end)):
                return
            end.ready.popleft()
            if len(end.ready) < RUN:
                end.fill(read)
            yield piece
            self._tell_supplied(end.serving.get(piece.entry), piece)

    def _go_on(self, link: LiveLink, end: _End) -> None:
        """A piece may go on a link: it waits behind what is queued, and nothing waits for it."""
        end.outgoing.below(partial(self._serve, link, end))

    def gone(self, entries: Collection[bytes]) -> None:
        """The bodies of entries were destroyed: no piece of their files is sent or taken any more."""
        for entry in self._shelf.mark(entries):
            self._runtime.tasks.spawn(self.stop(entry))

    def limit(self, rate: int) -> None:
        """Send at most so many bytes a second, until this engine ends; 0 for as this person chose."""
        self._limit = rate
        self.follow()

    def follow(self) -> None:
        """This person chose otherwise what files may use."""
        self._pace.follow(min(filter(None, (self._limit, self._allowances.rate)), default=0))
        self._plan()

    def _begin_filling(self, end: _End) -> asyncio.Task[None]:
        return self._runtime.tasks.spawn(self._fill(end))

    async def _fill(self, end: _End) -> None:
        """Read the next pieces that are due, if they are held, or come to the end of an ask."""
        due = end.supply.next(RUN)
        while isinstance(due, Turn) and not self._holds(end, due):
            due = end.supply.next(RUN)  # what is not there costs no turn of a thread
        if isinstance(due, PiecesEnd):
            end.ready.append(due)
        elif due is not None:
            serving = end.serving.get(due.entry)
            if serving is not None and serving.volume is not None:
                volume = serving.volume
                sound, lost = await volume.use(partial(_read, body=volume.row.body, due=due)) or ([], 0)
                if serving.volume is volume:  # else it is withheld meanwhile
                    end.ready.extend(sound)
                if lost and await self.lost(due.entry):
                    self._bus.publish(Notice(LOST))

    def _holds(self, end: _End, due: Turn) -> bool:
        """Whether any of some pieces can go out."""
        serving = end.serving.get(due.entry)
        volume = serving.volume if serving is not None else None
        return volume is not None and volume.holds(due.first, due.count)

    async def lost(self, entry: bytes) -> bool:
        """The disk has damaged pieces of a file, which are taken again; whether it was whole until now.

        Raises StorageFailure.
        """
        row = await self._store.read(files.get, entry)
        if row is None or row.standing is not Standing.WHOLE:
            return False  # a disk that damages thousands says so once
        await self._store.write(files.stand, entry, Standing.TAKEN)
        await self.begin(row)
        return True

    async def withhold(self, entry: bytes) -> None:
        """Supply no more of a file. Raises StorageFailure."""
        for end in self._ends.values():
            if (serving := end.serving.get(entry)) is not None:
                end.drop(entry)
                await self._release(serving)

    def _tell_supplied(self, serving: _Serving | None, piece: Piece) -> None:
        if serving is None or serving.volume is None:
            return
        now, row = self._runtime.clock.monotonic(), serving.volume.row
        if serving.sends(len(piece.data), now):
            person, size = row.contact or self._keyring.own.person, row.body.size
            sent = min(serving.sent, size)
            self._bus.publish(FileSupplied(person.hex(), piece.entry.hex(), sent, size))

    async def _answered(self, end: _End, entry: bytes) -> None:
        serving = end.serving[entry]
        serving.asks -= 1
        if not serving.asks:
            del end.serving[entry]
            await self._release(serving)

    async def _release(self, serving: _Serving) -> None:
        """A file is served no more. One that cannot be closed must neither end the talk nor keep others."""
        try:
            await serving.release(self._shelf)
        except StorageFailure as failure:
            self._bus.publish(Notice(failure.phrase))

    # --- Taking ---

    async def begin(self, row: FileRow) -> None:
        """Take a file from now on, as soon as others are done. Raises NoRoom, StorageFailure."""
        async with self._held:
            if row.entry in self._taking or row.entry in self._waiting:
                return
            if not self._has_room(row.contact):
                self._waiting.add(row.entry, row.contact)
                self._give_way()
                return
            volume = await self._shelf.take(row, self)
            current = await self._store.read(files.get, row.entry)
            if current is None or current.standing is not Standing.TAKEN:  # this person stopped it meanwhile
                await self._shelf.release(volume, self)
                return
            now = self._runtime.clock.monotonic()
            proofs = Proofs(volume.shape, row.body.root)
            taking = self._taking[row.entry] = _Taking(volume, proofs, before=volume.held, moved=now)
        if volume.whole:
            await self._finish(taking)
        else:
            self._tell(taking, FileState.TAKING)
            self._plan()

    async def go_on(self, row: FilePlace) -> None:
        """Take a file that an earlier engine began with. Raises NoRoom, StorageFailure."""
        if row.entry in self._taking or row.entry in self._waiting:
            return
        if not self._has_room(row.contact):
            self._waiting.add(row.entry, row.contact)
        elif (whole := await self._store.read(files.get, row.entry)) is not None:
            await self.begin(whole)

    async def stop(self, entry: bytes) -> None:
        """Take no more of a file for now: what came of it stays."""
        self._waiting.remove(entry)
        if (taking := self._taking.pop(entry, None)) is not None:
            await self._let_rest(taking)

    async def _let_rest(self, taking: _Taking) -> None:
        for end in self._ends.values():
            if end.demand.waits(taking.row.entry):
                end.outgoing.put(StopPieces(taking.row.entry))
        try:
            await self._shelf.release(taking.volume, self)
        finally:
            await self._next()

    async def _next(self) -> None:
        """Begin with files that waited for others."""
        while (entry := self._waiting.first(self._has_room)) is not None:
            row = await self._store.read(files.get, entry)
            if entry not in self._waiting:
                continue  # it was stopped meanwhile, or another task begins with it
            self._waiting.remove(entry)
            try:
                if row is not None:
                    await self.begin(row)
            except StorageFailure as failure:  # of this file: the next one may be sound
                self._bus.publish(Notice(failure.phrase))

    def _has_room(self, contact: bytes | None) -> bool:
        """Whether a file may be taken now: others wait neither for it nor for those of its contact."""
        same = sum(one.row.contact == contact for one in self._taking.values())
        return len(self._taking) < AT_ONCE and same < OF_ONE

    def _give_way(self) -> None:
        """Let a file that waits, and can come, have the place of one of which nothing has come for a time."""
        now = self._runtime.clock.monotonic()
        stuck = [one for one in self._taking.values() if now >= one.moved + AGAIN]
        for taking in stuck[: self._waiting.of(self._may_come)]:
            entry = taking.row.entry
            self._waiting.add(
                entry, taking.row.contact
            )  # behind the others; who pauses it meanwhile finds it
            del self._taking[entry]
            self._runtime.tasks.spawn(self._let_rest(taking))

    def _may_come(self, contact: bytes | None) -> bool:
        """Whether somebody who may have a file of the conversation with a contact is linked."""
        persons = self._keyring.own.person, contact
        return any(link.person in persons for link in self._ends)

    def _plan(self) -> None:
        """Ask for what is missing, of all who may have it."""
        for taking in list(self._taking.values()):
            if taking.volume.going:
                self._runtime.tasks.spawn(self.stop(taking.row.entry))
                continue
            row = taking.row
            if self._allowances.waits_for_direct(row.contact, row.body.size) is not taking.direct:
                self._tell(taking, FileState.TAKING)
            for link, end in self._ends.items():
                if self._is_source(link, taking):
                    self._ask(end, taking, RELAYED if link.relayed else DIRECT)

    def _is_source(self, link: LiveLink, taking: _Taking) -> bool:
        own = self._keyring.own.person
        if link.peer in taking.refused or link.person not in (own, taking.row.contact):
            return False
        row = taking.row
        if link.relayed and not self._allowances.relays(row.contact, row.body.size):
            return False
        since = taking.lacking.get(link)
        return since is None or self._runtime.clock.monotonic() >= since + AGAIN

    def _ask(self, end: _End, taking: _Taking, window: Window) -> None:
        entry = taking.row.entry
        while end.demand.waits(entry) < AHEAD and end.demand.open < window.open_max:
            elsewhere = set[int]().union(*(one.demand.awaited(entry) for one in self._ends.values()))
            came = (one.piece for other in (*self._ends.values(), *self._ending) for one in other.pending)
            elsewhere.update(piece.number for piece in came if piece.entry == entry)
            ranges = taking.volume.missing(window.asked, elsewhere)
            if not ranges:
                return
            end.outgoing.put(end.demand.ask(entry, ranges))

    async def _store_pending(self, end: _End) -> None:
        while end.pending:
            entry = end.pending[0].piece.entry
            some = [one for one in end.pending if one.piece.entry == entry]
            try:
                await self._write(entry, some)
            finally:
                end.stored(some)

    async def _write(self, entry: bytes, some: list[Proven]) -> None:
        taking = self._taking.get(entry)
        if taking is None:
            return
        try:
            new = await taking.volume.use(lambda file: file.write(some))
        except (StorageFailure, NoRoom) as failure:
            if self._taking.get(entry) is not taking:
                return  # this person has let go of it
            with suppress(StorageFailure):  # of the same disk
                await self.stop(entry)  # first: a full disk may not take even its new state
            self._tell(taking, FileState.PAUSED)
            self._bus.publish(Notice(failure.phrase))
            if entry not in self._taking:  # this person may have taken it again
                await self._store.write(files.stand, entry, Standing.PAUSED)
            return
        if new:
            taking.moved = self._runtime.clock.monotonic()
        if taking.volume.gone:
            await self.stop(entry)
        elif taking.volume.whole and self._taking.get(entry) is taking:
            await self._finish(taking)
        elif self._runtime.clock.monotonic() >= taking.told + TOLD_EVERY:
            self._tell(taking, FileState.TAKING)

    def _over(self, link: LiveLink, entry: bytes, left: set[int]) -> None:
        taking = self._taking.get(entry)
        if taking is not None and left:
            taking.lacking[link] = self._runtime.clock.monotonic()
            self._runtime.beat.by(AGAIN)
        self._plan()

    def tick(self) -> None:
        """Ask those again who lacked something."""
        if self._taking:
            self._plan()
            self._give_way()

    async def _finish(self, taking: _Taking) -> None:
        entry = taking.row.entry
        del self._taking[entry]
        await self._store.write(clients.file_came, entry)
        self._tell(taking, FileState.WHOLE)
        for end in self._ends.values():
            if entry in end.demand.entries:
                end.outgoing.put(WholeFile(entry))
        try:
            await self._shelf.release(taking.volume, self)
        finally:
            await self._next()

    def _tell(self, taking: _Taking, state: FileState) -> None:
        now, held, row = self._runtime.clock.monotonic(), taking.volume.held, taking.row
        passed = now - taking.told
        rate = int((held - taking.before) / passed) if taking.told and passed > 0 else 0
        taking.told, taking.before = now, held
        taking.direct = self._allowances.waits_for_direct(row.contact, row.body.size)
        if taking.direct and state is FileState.TAKING:
            state = FileState.DIRECT
        person = row.contact or self._keyring.own.person
        view = file_view(row.body, state, held, rate)
        self._bus.publish(FileProgress(person.hex(), row.entry.hex(), view))

    def publish(self, row: FileRow, state: FileState, held: int) -> None:
        """Publish what is done with a file that is not being taken."""
        person = row.contact or self._keyring.own.person
        self._bus.publish(FileProgress(person.hex(), row.entry.hex(), file_view(row.body, state, held)))


def _read(file: SealedFile, *, body: FileBody, due: Turn) -> tuple[list[Piece], int]:
    """Pieces that prove themselves, and how many do not."""
    found = file.read(due.entry, due.first, due.count)
    sound = file.sound(found, body.key, body.root)
    return sound, len(found) - len(sound)
