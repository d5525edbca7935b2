"""Files between engines: they arrive whole, go on after a cut, and go only to those who may have them."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

import pytest
from msgspec.structs import replace

from chat.interface import (
    WITHOUT_ASKING,
    Cleaned,
    DeletionScope,
    EntryAdded,
    EntryView,
    FileProgress,
    FileSealing,
    FileState,
    FileSupplied,
    Notice,
    ParlourError,
    UsageError,
)
from chat.network.driver import Outgoing
from chat.network.links import LiveLink
from chat.service import files, transfers
from chat.service.pictures import Pictures
from chat.service.shelf import Volume
from chat.storage import pieces
from chat.storage.pieces import SealedFile, Sealing
from protocol.attachments import Proven
from protocol.limits import ASKS_MAX, PIECE_BYTES
from protocol.messages import AskPieces, Message, Piece, PieceRange, PiecesEnd, Typing
from protocol.pieces import Demand
from tests.integration.steps import current, meet, note_sent, presence
from tests.support.engines.devices import device
from tests.support.engines.devices import link as link_device
from tests.support.engines.engines import (
    Person,
    apart,
    in_virtual_time,
    moved,
    pair,
    people,
    talk,
    two_contacts,
)

T = TypeVar("T")
LONG = 300 * PIECE_BYTES + 7


def content(size: int) -> bytes:
    """Bytes of which no two pieces are equal."""
    return b"".join(number.to_bytes(4) for number in range(size // 4 + 1))[:size]


def at(person: Person, state: FileState) -> asyncio.Future[FileProgress]:
    """The moment when a file stands so at a person."""
    return person.wait(FileProgress, lambda event: event.file.state is state)


def source_of(folder: Path, data: bytes) -> Path:
    source = folder / "source.bin"
    source.write_bytes(data)
    return source


async def send(person: Person, to: Person, folder: Path, data: bytes, name: str = "report.bin") -> EntryView:
    path = str(source_of(folder, data))
    return await person.engine.send_file(await person.contact(to), path, name)


async def saved(person: Person, of: Person, entry: str, folder: Path) -> bytes:
    path = await person.engine.save_file(await person.contact(of), entry, str(target_of(person, folder)))
    return private_bytes(Path(path))


def target_of(person: Person, folder: Path) -> Path:
    target = folder / f"of {person.name}"
    target.mkdir(exist_ok=True)
    return target


def private_bytes(path: Path) -> bytes:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_bytes()


def on_disk(person: Person) -> list[Path]:
    return sorted((person.folder / "files").glob("*"))


async def ask_without(person: Person, mebibytes: int) -> None:
    await person.engine.set_preference(WITHOUT_ASKING, str(mebibytes))


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, 3 * PIECE_BYTES + 5, LONG])
@in_virtual_time
async def test_a_file_arrives_whole(tmp_path: Path, size: int) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        whole, added = at(ben, FileState.WHOLE), ben.wait(EntryAdded)
        taken = ada.wait(FileSupplied, lambda event: event.done)
        sent = await send(ada, ben, tmp_path, content(size))
        assert (sent.kind, sent.own) == ("file", True)
        assert sent.file is not None
        assert sent.file.state is FileState.WHOLE
        entry = (await added).entry
        assert entry.file is not None
        assert (entry.kind, entry.file.name, entry.file.size) == ("file", "report.bin", size)
        await whole
        assert ((await taken).id, (await taken).size) == (sent.id, size)
        (held,) = await ben.history(ada)
        assert held.file is not None
        assert (held.file.state, held.file.held) == (FileState.WHOLE, size)
        for person, other in ((ben, ada), (ada, ben)):
            assert await saved(person, other, sent.id, tmp_path) == content(size)


@in_virtual_time
async def test_a_file_that_waits_arrives_when_the_contact_comes(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ben.stop()
        sent = await send(ada, ben, tmp_path, content(LONG))
        await ben.start()
        await at(ben, FileState.WHOLE)
        assert await saved(ben, ada, sent.id, tmp_path) == content(LONG)


class Writes:
    """Notes what all terminals store of files, and tells when it is so many pieces."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stored, self._write = list[int](), SealedFile.write
        self._loop, self._due = asyncio.get_running_loop(), list[tuple[int, asyncio.Event]]()
        monkeypatch.setattr(SealedFile, "write", lambda *given: self._note(*given))

    def _note(self, file: SealedFile, some: list[Proven]) -> int:
        """In a thread."""
        self.stored += [one.piece.number for one in some]
        for count, event in self._due:
            if len(self.stored) >= count:
                self._loop.call_soon_threadsafe(event.set)
        return self._write(file, some)

    async def reach(self, count: int) -> None:
        event = asyncio.Event()
        self._due.append((count, event))
        await event.wait()


@in_virtual_time
async def test_after_cuts_a_file_goes_on_and_no_piece_that_is_stored_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, came = Writes(monkeypatch), taken_whole(monkeypatch)
    slow_disk(monkeypatch)
    async with two_contacts(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "hello")
        reached = asyncio.ensure_future(writes.reach(40))
        sent = await send(ada, ben, tmp_path, content(LONG))
        await reached
        current(ben, ada).driver.abort()
        await writes.reach(80)
        await ben.stop()
        await ben.start()
        await writes.reach(120)
        current(ada, ben).driver.abort()
        await writes.reach(160)
        await ada.crash()
        await ada.start()
        await writes.reach(200)
        network.cut(ben.host)
        await presence(ben, present=False)
        network.heal(ben.host)
        await at(ben, FileState.WHOLE)
        assert await saved(ben, ada, sent.id, tmp_path) == content(LONG)
    assert sorted(came) == list(range(301))


@in_virtual_time
async def test_what_came_on_a_link_that_ends_is_not_asked_of_another_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, came = Writes(monkeypatch), taken_whole(monkeypatch)
    async with two_contacts(tmp_path) as (_, ada, ben):
        laptop = device(ada, tmp_path / "laptop", "10.0.0.9")
        await link_device(ada, laptop)
        try:
            await talk(ada, ben, "hello")
            await ask_without(ben, 0)
            held, asks = at(laptop, FileState.WHOLE), at(ben, FileState.ASKS)
            sent = await send(ada, ben, tmp_path, content(LONG))
            await held
            await asks
            writes.stored.clear()
            came.clear()
            whole = at(ben, FileState.WHOLE)
            slow_disk(monkeypatch)
            await ben.engine.take_file(await ben.contact(ada), sent.id)
            await writes.reach(30)
            current(ben, ada).driver.abort()
            await whole
            assert sorted(came) == list(range(301))
        finally:
            await laptop.stop()


@in_virtual_time
async def test_a_piece_that_the_disk_of_its_holder_damaged_is_never_sent_and_taken_again(
    tmp_path: Path,
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "hello")
        await ask_without(ben, 0)
        asks = at(ben, FileState.ASKS)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await asks
        link = current(ben, ada)
        data, _, tree = on_disk(ada)
        for path, place in ((data, 5 * (PIECE_BYTES + 32) + 9), (tree, 32 * 20 + 1)):
            damaged = bytearray(path.read_bytes())
            damaged[place] ^= 1
            path.write_bytes(damaged)
        told, again = ada.wait(Notice), at(ada, FileState.TAKING)
        found = await answers(ben, ada, sent.id, 8)
        assert numbers(found) == [0, 1, 2, 3, 4, 6, 7]
        assert "damaged on this disk" in (await told).text
        file = (await again).file
        assert file.held == 300 * PIECE_BYTES
        assert await answers(ben, ada, sent.id, 8) == found
        assert current(ben, ada) is link
        await ada.stop()
        await ada.start()
        await presence(ben, present=True)
        found = await answers(ben, ada, sent.id, 24)
        assert numbers(found) == [one for one in range(24) if one != 5]  # the hash is made again


def numbers(found: Sequence[Message]) -> list[int]:
    return [one.number for one in found if isinstance(one, Piece)]


def slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread does with pieces lasts longer than what the network does."""
    use = Volume.use

    async def slowly(volume: Volume, work: Callable[[SealedFile], T]) -> T | None:
        await asyncio.sleep(0.2)
        return await use(volume, work)

    monkeypatch.setattr(Volume, "use", slowly)


def taken_whole(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of all pieces that came whole and were wanted, as they come."""
    takes, came = Demand.takes, list[int]()

    def noting(demand: Demand, piece: Piece) -> bool:
        wanted = takes(demand, piece)
        if wanted:
            came.append(piece.number)
        return wanted

    monkeypatch.setattr(Demand, "takes", noting)
    return came


@in_virtual_time
async def test_a_large_file_is_asked_for_and_paused_and_goes_on(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ask_without(ben, 0)
        asks = at(ben, FileState.ASKS)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await asks
        friend = await ben.contact(ada)
        assert on_disk(ben) == []
        with pytest.raises(UsageError, match="not whole"):
            await ben.engine.save_file(friend, sent.id, str(tmp_path))
        taking = at(ben, FileState.TAKING)
        await ben.engine.take_file(friend, sent.id)
        await taking
        paused = await ben.engine.pause_file(friend, sent.id)
        assert paused.file is not None
        assert paused.file.state is FileState.PAUSED
        await asyncio.sleep(5)
        (still,) = await ben.history(ada)
        assert still.file is not None
        assert still.file.state is FileState.PAUSED
        whole = at(ben, FileState.WHOLE)
        await ben.engine.take_file(friend, sent.id)
        await whole
        assert await saved(ben, ada, sent.id, tmp_path) == content(LONG)


@in_virtual_time
async def test_while_a_file_is_sealed_its_sender_sees_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "TOLD_EVERY", -1_000.0)
    async with two_contacts(tmp_path) as (_, ada, ben):
        told = list[FileSealing]()
        ada.watch(lambda event: told.append(event) if isinstance(event, FileSealing) else None)
        friend, source = await ada.contact(ben), source_of(tmp_path, content(LONG))
        added = ada.wait(EntryAdded)
        await ada.engine.send_file(friend, str(source), "", "an id")
        await added
        assert {(one.contact, one.send_id, one.size) for one in told} == {(friend, "an id", LONG)}
        assert [one.done for one in told] == [*range(0, LONG, 32 * PIECE_BYTES), LONG, LONG]


@pytest.mark.parametrize("moment", ["step", "finish", "close"])
@pytest.mark.parametrize("way", ["call", "task"])
@in_virtual_time
async def test_a_cancelled_file_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, way: str
) -> None:
    """While its pieces or its tree are made, or both are, by the call of the door or with its task."""
    loop, work, done = asyncio.get_running_loop(), getattr(Sealing, moment), list[str]()
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend, source = await ada.contact(ben), str(source_of(tmp_path, content(LONG)))

        def cancel() -> None:
            assert len(on_disk(ada)) >= 2
            if way == "call":
                ada.engine._use_cases.files.cancel(bytes.fromhex(friend), "an id")
            else:
                sending.cancel()

        def cancelled(sealing: Sealing) -> object:
            if not done:
                done.append(way)
                loop.call_soon_threadsafe(cancel)
            return work(sealing)

        monkeypatch.setattr(Sealing, moment, cancelled)
        sending = asyncio.ensure_future(ada.engine.send_file(friend, source, "", "an id"))
        with pytest.raises((ParlourError, asyncio.CancelledError)):
            await sending
        assert on_disk(ada) == []
        assert await ada.history(ben) == ()
        with pytest.raises(UsageError):
            await ada.engine.cancel_file(friend, "an id")
        monkeypatch.setattr(Sealing, moment, work)
        await ada.engine.send_file(friend, source, "", "an id")


@in_virtual_time
async def test_a_picture_is_cancelled_while_its_metadata_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend, source = await ada.contact(ben), str(source_of(tmp_path, content(LONG)))

        async def cleaned(_pictures: object, source: BinaryIO) -> BinaryIO:
            with pytest.raises(UsageError):
                await ada.engine.cancel_file(friend, "an id", "another program")
            await ada.engine.cancel_file(friend, "an id")
            return source

        monkeypatch.setattr(Pictures, "cleaned", cleaned)
        with pytest.raises(ParlourError, match="was cancelled"):
            await ada.engine.send_file(friend, source, "", "an id")
        assert on_disk(ada) == []
        assert await ada.history(ben) == ()


@in_virtual_time
async def test_a_sender_withholds_a_file_and_gives_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = Writes(monkeypatch)
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend = await ada.contact(ben)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await writes.reach(40)
        withheld = await ada.engine.pause_file(friend, sent.id)
        assert withheld.file is not None
        assert (withheld.file.state, withheld.file.held) == (FileState.WITHHELD, LONG)
        await asyncio.sleep(5)
        assert await answers(ben, ada, sent.id) == [PiecesEnd(bytes.fromhex(sent.id))]
        assert len(set(writes.stored)) < 301
        assert await saved(ada, ben, sent.id, tmp_path) == content(LONG)
        await ada.stop()
        await ada.start()
        await presence(ben, present=True)
        assert set(map(type, await answers(ben, ada, sent.id))) == {PiecesEnd}
        whole = at(ben, FileState.WHOLE)
        given = await ada.engine.take_file(friend, sent.id)
        assert given.file is not None
        assert given.file.state is FileState.WHOLE
        await whole
        assert await saved(ben, ada, sent.id, tmp_path) == content(LONG)


@in_virtual_time
async def test_a_text_does_not_wait_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No piece is sealed while another message waits."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "hello")
        friend, tasks = await ada.contact(ben), list[asyncio.Task[None]]()
        order, queued, put = list[str](), list[int](), Outgoing.put

        def note(message: Message) -> None:
            order.append(type(message).__name__)
            if order.count("Piece") in (20, 40) and len(tasks) < order.count("Piece") // 20:
                typing = ada.engine.typing(friend, not tasks)
                tasks.append(asyncio.get_running_loop().create_task(typing))

        def queue(outgoing: Outgoing, message: Message) -> None:
            if isinstance(message, Typing):
                queued.append(len(order))
            put(outgoing, message)

        driver = current(ada, ben).driver
        write = driver.connection.write

        async def slow(data: bytes) -> None:
            for _ in range(20):  # all others have their turn within one burst
                await asyncio.sleep(0)
            await write(data)

        monkeypatch.setattr(driver.connection, "write", slow)
        monkeypatch.setattr(Outgoing, "put", queue)
        note_sent(driver, note)
        whole = at(ben, FileState.WHOLE)
        await send(ada, ben, tmp_path, content(LONG))
        await whole
        said = [place for place, name in enumerate(order) if name == "Typing"]
        assert order.count("Piece") == 301
        assert said == queued
        assert 20 <= said[0] < 20 + transfers.BURST


@in_virtual_time
async def test_attack_80_a_hostile_name_is_safe_and_nothing_is_overwritten(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        hostile = "..\u202e\\\\etc\\pass\nwd.txt"
        whole = at(ben, FileState.WHOLE)
        sent = await send(ada, ben, tmp_path, b"hostile", hostile)
        await whole
        (entry,) = await ben.history(ada)
        assert entry.file is not None
        name = entry.file.name
        assert not set(name) & set("/\\\n\u202e")
        target = target_of(ben, tmp_path)
        (target / name).symlink_to(tmp_path / "elsewhere")
        paths = [
            Path(await ben.engine.save_file(await ben.contact(ada), sent.id, str(target))) for _ in range(2)
        ]
        assert len({name, *(path.name for path in paths)}) == 3
        assert [private_bytes(path) for path in paths] == [b"hostile"] * 2
        assert {path.parent for path in paths} == {target}
        assert not (tmp_path / "elsewhere").exists()


@in_virtual_time
async def test_attack_80_a_sender_that_does_not_clean_a_name_gains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        whole = at(ben, FileState.WHOLE)
        with monkeypatch.context() as lying:
            lying.setattr(files, "safe_name", lambda name: name)
            sent = await send(ada, ben, tmp_path, b"hostile", ".\u202eexe.bashrc:con ")
            await whole
        target = target_of(ben, tmp_path)
        path = Path(await ben.engine.save_file(await ben.contact(ada), sent.id, str(target)))
        assert (path.parent, path.name) == (target, "exe.bashrc_con")
        (entry,) = await ben.history(ada)
        assert entry.file is not None
        assert entry.file.name == path.name


@in_virtual_time
async def test_through_a_relay_small_files_go_and_large_ones_wait_for_a_direct_link(tmp_path: Path) -> None:
    async with apart(tmp_path) as (network, _relay, ada, ben):
        await talk(ada, ben, "through the relay")
        small = at(ben, FileState.WHOLE)
        await send(ada, ben, tmp_path, content(3 * PIECE_BYTES))
        await small
        waits = at(ben, FileState.DIRECT)
        large = await send(ada, ben, tmp_path, content(LONG))
        await waits
        await talk(ada, ben, "behind what would have come")
        held = next(view.file for view in await ben.history(ada) if view.id == large.id)
        assert held is not None
        assert (held.state, held.held) == (FileState.DIRECT, 0)
        assert await answers(ben, ada, large.id) == [PiecesEnd(bytes.fromhex(large.id))]
        whole, direct = at(ben, FileState.WHOLE), moved(ben, relayed=False)
        network.join(ada.host, ben.host)
        await direct
        await whole
        assert await saved(ben, ada, large.id, tmp_path) == content(LONG)


async def answers(asker: Person, holder: Person, entry: str, count: int = 1) -> list[Message]:
    """What a person's terminal answers to an ask of another one, up to its end."""
    link, heard = current(asker, holder), list[Message]()
    done = asyncio.Event()
    receive = link.events.received

    async def noting(at: LiveLink, messages: Sequence[Message]) -> None:
        rest = [one for one in messages if not isinstance(one, Piece | PiecesEnd)]
        heard.extend(one for one in messages if isinstance(one, Piece | PiecesEnd))
        if any(isinstance(one, PiecesEnd) for one in heard):
            done.set()
        if rest:
            await receive(at, rest)

    link.events.received = noting  # type: ignore[method-assign,assignment]
    await link.driver.send(AskPieces(bytes.fromhex(entry), [PieceRange(0, count)]))
    await asyncio.wait_for(done.wait(), 5)
    link.events.received = receive  # type: ignore[method-assign]
    return heard


@in_virtual_time
async def test_attack_100_pieces_go_to_the_persons_of_the_conversation_alone(tmp_path: Path) -> None:
    """A file of others, one that is not there and one that is unknown have the same answer."""
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        await pair(ada, ben)
        await meet(ada, cleo)
        await talk(ada, cleo, "hello")
        whole = at(ben, FileState.WHOLE)
        sent = await send(ada, ben, tmp_path, content(3 * PIECE_BYTES))
        await whole
        entry = bytes.fromhex(sent.id)
        assert await answers(cleo, ada, sent.id) == [PiecesEnd(entry)]
        assert await answers(cleo, ada, "77" * 32) == [PiecesEnd(b"\x77" * 32)]
        text = await talk(ada, cleo, "no file")
        assert await answers(cleo, ada, text) == [PiecesEnd(bytes.fromhex(text))]
        found = await answers(ben, ada, sent.id, 2)
        assert [type(one) for one in found] == [Piece, Piece, PiecesEnd]


@in_virtual_time
async def test_attack_33_a_false_piece_is_thrown_away_and_its_sender_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        sound = SealedFile.sound

        def lying(file: SealedFile, some: list[Piece], key: bytes, root: bytes) -> list[Piece]:
            found = sound(file, some, key, root)
            return [replace(one, data=bytes(len(one.data))) if one.number == 5 else one for one in found]

        monkeypatch.setattr(SealedFile, "sound", lying)
        notice = ben.wait(Notice)
        sent = await send(ada, ben, tmp_path, content(LONG))
        assert "false part" in (await notice).text
        await talk(ada, ben, "still here")
        (_, entry) = await ben.history(ada)
        (file, _) = [view.file for view in await ben.history(ada)]
        assert file is not None
        assert (file.state, entry.text) == (FileState.TAKING, "still here")
        with pytest.raises(UsageError):
            await ben.engine.save_file(await ben.contact(ada), sent.id, str(tmp_path))
        monkeypatch.setattr(SealedFile, "sound", sound)
        await ben.stop()
        await ben.start()
        await at(ben, FileState.WHOLE)
        assert await saved(ben, ada, sent.id, tmp_path) == content(LONG)


@in_virtual_time
async def test_pieces_that_were_not_asked_for_end_the_link(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "hello")
        for wrong in (Piece(b"e" * 32, 0, [], bytes(50)), PiecesEnd(b"e" * 32)):
            gone = presence(ben, present=False)
            await current(ben, ada).driver.send(wrong)
            await gone
            await talk(ada, ben, "again")


@in_virtual_time
async def test_more_asks_than_may_wait_end_the_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outgoing, "below", lambda self, step: None)
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "hello")
        link, asks = current(ben, ada), [AskPieces(b"e" * 32, [PieceRange(0, 1)])] * ASKS_MAX
        await link.driver.send_all(asks)
        await talk(ada, ben, "so many may wait")
        assert current(ben, ada) is link
        gone = presence(ben, present=False)
        await link.driver.send(asks[0])
        await gone


@pytest.mark.parametrize("scope", [DeletionScope.HERE, DeletionScope.EVERYONE])
@in_virtual_time
async def test_attack_75_a_deletion_takes_the_pieces_with_their_key(
    tmp_path: Path, scope: DeletionScope
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        whole = at(ben, FileState.WHOLE)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await whole
        assert len(on_disk(ada)) == len(on_disk(ben)) == 3
        cleaned = [person.wait(Cleaned) for person in (ada, ben)]
        await ada.engine.delete(await ada.contact(ben), sent.id, scope)
        await cleaned[0]
        assert on_disk(ada) == []
        if scope is DeletionScope.EVERYONE:
            await cleaned[1]
            assert on_disk(ben) == []
        assert await answers(ben, ada, sent.id) == [PiecesEnd(bytes.fromhex(sent.id))]
        with pytest.raises(UsageError):
            await ada.engine.save_file(await ada.contact(ben), sent.id, str(tmp_path))


@in_virtual_time
async def test_a_deletion_ends_what_is_taken(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        taking = at(ben, FileState.TAKING)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await taking
        cleaned = ben.wait(Cleaned)
        await ben.engine.delete(await ben.contact(ada), sent.id)
        await cleaned
        assert on_disk(ben) == []
        await talk(ada, ben, "still here")


@in_virtual_time
async def test_at_rest_a_file_is_ciphertext(tmp_path: Path) -> None:
    needle = b"the needle that nobody may find at rest" * 40
    async with two_contacts(tmp_path) as (_, ada, ben):
        whole = at(ben, FileState.WHOLE)
        await send(ada, ben, tmp_path, needle * 60)
        await whole
        for person in (ada, ben):
            assert on_disk(person) != []
            for path in (one for one in person.folder.rglob("*") if one.is_file()):
                assert needle[:39] not in path.read_bytes()
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE((person.folder / "files").stat().st_mode) == 0o700


@in_virtual_time
async def test_without_room_a_file_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        asks = at(ben, FileState.ASKS)
        source = source_of(tmp_path, content(LONG))
        sealed = pieces.SPARE
        sent = await ada.engine.send_file(await ada.contact(ben), str(source))
        monkeypatch.setattr(pieces, "SPARE", 1 << 60)
        await asks
        with pytest.raises(ParlourError, match="room"):
            await ben.engine.take_file(await ben.contact(ada), sent.id)
        with pytest.raises(ParlourError, match="room"):
            await ada.engine.send_file(await ada.contact(ben), str(source))
        monkeypatch.setattr(pieces, "SPARE", sealed)
        whole = at(ben, FileState.WHOLE)
        await ben.engine.take_file(await ben.contact(ada), sent.id)
        await whole


@in_virtual_time
async def test_what_is_no_file_is_not_sent(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend = await ada.contact(ben)
        for path in (tmp_path, tmp_path / "nothing", Path("/dev/null"), Path("relative")):
            with pytest.raises(UsageError):
                await ada.engine.send_file(friend, str(path))
        assert await ada.history(ben) == ()
        assert on_disk(ada) == []


@in_virtual_time
async def test_a_repeat_with_one_id_sends_a_file_once(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend, source = await ada.contact(ben), str(source_of(tmp_path, b"once"))
        first = await ada.engine.send_file(friend, source, "", "an id")
        again = await ada.engine.send_file(friend, source, "", "an id")
        assert first.id == again.id
        await ada.engine.send(friend, "text", "", "another id")
        with pytest.raises(UsageError):
            await ada.engine.send_file(friend, source, "", "another id")
        assert len(on_disk(ada)) == 3


@in_virtual_time
async def test_another_device_takes_a_file_from_those_who_have_it(tmp_path: Path) -> None:
    """From the contact, where the device that sent it is off; notes from the device that has them."""
    async with two_contacts(tmp_path) as (network, ada, ben):
        laptop = device(ada, tmp_path / "laptop", "10.0.0.9")
        await link_device(ada, laptop)
        try:
            await talk(ada, ben, "hello")
            whole = at(ben, FileState.WHOLE)
            network.part(laptop.host, ada.host)
            network.unplug(laptop.host)
            await laptop.engine.close()
            sent = await send(ada, ben, tmp_path, content(LONG))
            await whole
            await laptop.start()
            await at(laptop, FileState.WHOLE)
            assert await saved(laptop, ben, sent.id, tmp_path) == content(LONG)
            network.join(laptop.host, ada.host)
            me, kept = (await ada.engine.me()).person, at(laptop, FileState.WHOLE)
            note = await ada.engine.send_file(me, str(source_of(tmp_path, b"a note")))
            await kept
            path = await laptop.engine.save_file(me, note.id, str(target_of(laptop, tmp_path)))
            assert private_bytes(Path(path)) == b"a note"
        finally:
            await laptop.stop()
