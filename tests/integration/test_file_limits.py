"""What bounds files: sizes without asking, the disk, letting go here, rates, and relays."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from chat.interface import (
    FILES_LIMIT,
    FILES_RELAYED,
    KEEP_MOST,
    WITHOUT_ASKING,
    EntryAdded,
    EntryView,
    FileProgress,
    FileState,
    FileSupplied,
    FilesView,
    Notice,
    ParlourError,
    UsageError,
)
from chat.service import allowances, pace, transfers
from chat.service import files as use_case
from chat.service.files import Files
from chat.storage import files, pieces
from chat.storage.files import FileRow
from protocol.limits import PIECE_BYTES
from protocol.messages import AskPieces, Message, Piece, PiecesEnd
from tests.integration.steps import current, meet, note_sent
from tests.integration.test_files import LONG, answers, ask_without, at, content, on_disk, saved, send
from tests.support.engines.engines import Person, apart, in_virtual_time, pair, people, talk, two_contacts

SMALL = 3 * PIECE_BYTES


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preference counts in pieces instead of in MiB, and a file takes no more than its size."""
    monkeypatch.setattr(allowances, "MIB", PIECE_BYTES)
    monkeypatch.setattr(files, "EACH", 0)


async def state_of(person: Person, other: Person, entry: str) -> tuple[FileState, int]:
    found = await person.engine.entry(await person.contact(other), entry)
    assert found is not None
    assert found.file is not None
    return found.file.state, found.file.held


async def stands(person: Person, other: Person, folder: Path, size: int, state: FileState) -> EntryView:
    """A file of this size arrives, and stands so at the other one."""
    moved = at(other, state)
    sent = await send(person, other, folder, content(size))
    await moved
    return sent


@in_virtual_time
async def test_a_contact_has_a_size_of_its_own_until_it_is_removed(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        await pair(ada, ben)
        await meet(cleo, ben)
        friend = await ben.contact(ada)
        await ben.engine.set_preference(f"{WITHOUT_ASKING}.{friend}", "0")
        await stands(ada, ben, tmp_path, SMALL, FileState.ASKS)
        await stands(cleo, ben, tmp_path, SMALL, FileState.WHOLE)
        await ask_without(ben, 0)
        await ben.engine.set_preference(f"{WITHOUT_ASKING}.{friend}", "1")
        await stands(ada, ben, tmp_path, SMALL, FileState.WHOLE)
        await stands(cleo, ben, tmp_path, SMALL, FileState.ASKS)
        await ben.engine.remove(friend)
        assert [name for name in await ben.engine.preferences() if friend in name] == []


@in_virtual_time
async def test_what_is_no_number_is_as_if_nothing_was_chosen(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        for value in ("many", "-1", "9" * 40, "\u0663"):
            await ben.engine.set_preference(WITHOUT_ASKING, value)
            await stands(ada, ben, tmp_path, 1, FileState.WHOLE)


@pytest.mark.usefixtures("small_units")
@in_virtual_time
async def test_attack_75_a_contact_fills_no_more_than_its_conversation_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowances, "WITHOUT_ASKING_IN_ALL", 7)
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ask_without(ben, 3)
        for state in (FileState.WHOLE, FileState.WHOLE, FileState.ASKS):
            await stands(ada, ben, tmp_path, SMALL, state)
        await stands(ada, ben, tmp_path, PIECE_BYTES, FileState.WHOLE)
        await stands(ada, ben, tmp_path, 1, FileState.ASKS)
        assert len(on_disk(ben)) == 9
        await stands(ben, ada, tmp_path, SMALL, FileState.WHOLE)  # what ben writes counts for nobody


@pytest.mark.usefixtures("small_units")
@in_virtual_time
async def test_above_what_this_terminal_keeps_each_file_is_asked_for_and_none_is_deleted(
    tmp_path: Path,
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ben.engine.set_preference(KEEP_MOST, "6")
        friend = await ben.contact(ada)
        first = await stands(ada, ben, tmp_path, SMALL, FileState.WHOLE)
        await stands(ben, ada, tmp_path, SMALL, FileState.WHOLE)
        asked = await stands(ada, ben, tmp_path, 1, FileState.ASKS)
        await ben.engine.set_preference(KEEP_MOST, "1")
        assert len(on_disk(ben)) == 6
        whole = at(ben, FileState.WHOLE)
        await ben.engine.take_file(friend, asked.id)  # what the person wants is taken
        await whole
        await ben.engine.let_go_of_file(friend, first.id)
        await ben.engine.set_preference(KEEP_MOST, "7")
        await stands(ada, ben, tmp_path, SMALL, FileState.WHOLE)


@in_virtual_time
async def test_attack_75_empty_files_do_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowances, "WITHOUT_ASKING_IN_ALL", 3 * files.EACH)
    monkeypatch.setattr(allowances, "MIB", 1)
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ben.engine.set_preference(KEEP_MOST, "99999999")
        for state in (FileState.WHOLE, FileState.WHOLE, FileState.WHOLE, FileState.ASKS):
            await stands(ada, ben, tmp_path, 0, state)


@in_virtual_time
async def test_files_that_are_still_to_come_count_as_if_they_were_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would have room alone."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ben.engine.set_preference(FILES_LIMIT, "0")
        first = await send_unseen(ada, ben, tmp_path, LONG)
        taking = at(ben, FileState.TAKING)
        await ben.engine.take_file(await ben.contact(ada), first.id)
        await taking
        second = await send_unseen(ada, ben, tmp_path, LONG)
        free = 3 * LONG // 2

        class Disk:
            pass

        Disk.free = free  # type: ignore[attr-defined]
        monkeypatch.setattr(pieces, "SPARE", 0)
        monkeypatch.setattr("shutil.disk_usage", lambda _: Disk)
        with pytest.raises(ParlourError, match="room"):
            await ben.engine.take_file(await ben.contact(ada), second.id)
        assert (await state_of(ben, ada, second.id))[0] is FileState.ASKS


async def arrives_together(ada: Person, ben: Person, folder: Path, sizes: list[int]) -> Counter[FileState]:
    """Files that were sent while Ben's terminal was off are decided about at once; how they stand then."""
    await ben.stop()
    sent = [await send(ada, ben, folder, content(size)) for size in sizes]
    seen = set[str]()

    def all_decided(event: FileProgress) -> bool:
        if event.file.state in (FileState.WHOLE, FileState.ASKS):
            seen.add(event.id)
        return len(seen) == len(sent)

    done = ben.wait(FileProgress, all_decided)
    await ben.start()
    await done
    return Counter([(await state_of(ben, ada, one.id))[0] for one in sent])


@pytest.mark.parametrize("bound", ["what is kept", "of the conversation", "the disk"])
@pytest.mark.usefixtures("small_units")
@in_virtual_time
async def test_attack_75_files_that_arrive_together_count_with_those_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ask_without(ben, 3)
        if bound == "what is kept":
            await ben.engine.set_preference(KEEP_MOST, "7")
        elif bound == "of the conversation":
            monkeypatch.setattr(allowances, "WITHOUT_ASKING_IN_ALL", 7)
        else:
            monkeypatch.setattr(pieces, "SPARE", 0)
            monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 40))
            decide = Files._decide

            async def decide_on_a_small_disk(files: Files, rows: list[FileRow]) -> None:
                monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=7 * PIECE_BYTES))
                await decide(files, rows)

            monkeypatch.setattr(Files, "_decide", decide_on_a_small_disk)
        found = await arrives_together(ada, ben, tmp_path, [SMALL] * 4)
        assert found == {FileState.WHOLE: 2, FileState.ASKS: 2}


@in_virtual_time
async def test_more_files_than_are_decided_about_together_all_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_case, "DECIDED_AT_ONCE", 2)
    async with two_contacts(tmp_path) as (_, ada, ben):
        assert await arrives_together(ada, ben, tmp_path, [1] * 5) == {FileState.WHOLE: 5}


async def send_unseen(person: Person, to: Person, folder: Path, size: int) -> EntryView:
    """A file that the other one is asked about."""
    await ask_without(to, 0)
    await person.engine.limit_files(1)  # so that it takes long
    return await stands(person, to, folder, size, FileState.ASKS)


@in_virtual_time
async def test_a_disk_that_something_else_fills_pauses_a_file_and_keeps_its_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        sent = await send_unseen(ada, ben, tmp_path, LONG)
        await ben.engine.take_file(await ben.contact(ada), sent.id)
        spare = pieces.SPARE
        monkeypatch.setattr(pieces, "SPARE", 1 << 62)
        paused, notice = at(ben, FileState.PAUSED), ben.wait(Notice)
        await ada.engine.limit_files(0)
        await paused
        assert "room" in (await notice).text
        assert await state_of(ben, ada, sent.id) == (FileState.PAUSED, 0)
        await talk(ada, ben, "a message is still stored")
        monkeypatch.setattr(pieces, "SPARE", spare)
        whole = at(ben, FileState.WHOLE)
        await ben.engine.take_file(await ben.contact(ada), sent.id)
        await whole


# --- What is here, and letting go of it ---


@in_virtual_time
async def test_what_a_conversation_has_here_is_counted(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend = await ben.contact(ada)
        assert await ben.engine.files() == ()
        await stands(ada, ben, tmp_path, SMALL, FileState.WHOLE)
        await ask_without(ben, 0)
        large = await stands(ada, ben, tmp_path, LONG, FileState.ASKS)
        assert await ben.engine.files() == (FilesView(friend, 2, SMALL, LONG),)
        await ada.engine.limit_files(pace.COST)
        some = ben.wait(FileProgress, lambda event: event.file.held > 0)
        await ben.engine.take_file(friend, large.id)
        await some
        await ben.engine.pause_file(friend, large.id)
        (view,) = await ben.engine.files()
        assert SMALL < view.held < SMALL + LONG
        assert view.held + view.lacking == SMALL + LONG
        assert view.held % PIECE_BYTES == 0
        await ben.stop()
        await ben.start()
        assert await ben.engine.files() == (view,)


@in_virtual_time
async def test_a_file_is_let_go_of_here_alone_and_taken_again(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend = await ben.contact(ada)
        sent = await stands(ada, ben, tmp_path, LONG, FileState.WHOLE)
        moved = at(ben, FileState.LET_GO)
        gone = await ben.engine.let_go_of_file(friend, sent.id)
        assert gone.file is not None
        assert (gone.file.state, gone.file.held, gone.file.kept_on) == (FileState.LET_GO, 0, "Ada")
        await moved
        assert (on_disk(ben), len(on_disk(ada))) == ([], 3)
        assert await ben.engine.files() == (FilesView(friend, 1, 0, LONG),)
        assert await answers(ada, ben, sent.id) == [PiecesEnd(bytes.fromhex(sent.id))]
        assert on_disk(ben) == []
        with pytest.raises(UsageError):
            await ben.engine.save_file(friend, sent.id, str(tmp_path))
        await ben.stop()
        await ben.start()
        await talk(ada, ben, "it is not taken by itself")
        assert await state_of(ben, ada, sent.id) == (FileState.LET_GO, 0)
        whole = at(ben, FileState.WHOLE)
        await ben.engine.take_file(friend, sent.id)
        await whole
        assert await saved(ben, ada, sent.id, tmp_path) == content(LONG)


@in_virtual_time
async def test_who_says_that_it_has_a_file_is_named_where_it_was_let_go_of(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        said = ada.wait(FileSupplied, lambda event: event.done)
        sent = await stands(ada, ben, tmp_path, SMALL, FileState.WHOLE)
        assert (await state_of(ada, ben, sent.id))[0] is FileState.WHOLE
        await said
        gone = await ada.engine.let_go_of_file(await ada.contact(ben), sent.id)
        assert gone.file is not None
        assert gone.file.kept_on == "Ben"
        whole = at(ada, FileState.WHOLE)
        await ada.engine.take_file(await ada.contact(ben), sent.id)
        await whole
        assert await saved(ada, ben, sent.id, tmp_path) == content(SMALL)


@in_virtual_time
async def test_a_file_is_let_go_of_while_it_is_taken(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ada.engine.limit_files(pace.COST)
        some = ben.wait(FileProgress, lambda event: event.file.held > 0)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await some
        await ben.engine.let_go_of_file(await ben.contact(ada), sent.id)
        await talk(ada, ben, "what was under way has come")
        await asyncio.sleep(5)
        assert (await state_of(ben, ada, sent.id), on_disk(ben)) == ((FileState.LET_GO, 0), [])


# --- Rates ---


class Sent:
    """When each terminal sent a piece, by whose link and of which file, in seconds of virtual time."""

    def __init__(self) -> None:
        self.pieces = list[tuple[float, str, bytes]]()

    def watch(self, person: Person, other: Person) -> None:
        name = other.name

        def note(message: Message) -> None:
            if isinstance(message, Piece):
                self.pieces.append((asyncio.get_running_loop().time(), name, message.entry))

        note_sent(current(person, other).driver, note)

    def of(self, name: str, first: int) -> int:
        """How many of the first pieces went to a person."""
        return [one for _, one, _ in self.pieces[:first]].count(name)


@in_virtual_time
async def test_a_rate_holds_over_all_links_and_is_shared_evenly(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        await pair(ada, ben)
        await meet(ada, cleo)
        for other in (ben, cleo):
            await talk(ada, other, "hello")
        rate_kib = 600  # ten pieces a second, almost
        await ada.engine.set_preference(FILES_LIMIT, str(rate_kib))
        sent = Sent()
        for other in (ben, cleo):
            sent.watch(ada, other)
        whole = [at(other, FileState.WHOLE) for other in (ben, cleo)]
        for other in (ben, cleo):
            await send(ada, other, tmp_path, content(100 * PIECE_BYTES))
        await asyncio.gather(*whole)
        times = [time for time, _, _ in sent.pieces]
        least = (len(times) - 1) * pace.COST / (rate_kib * 1_024)
        assert len(times) == 200
        assert least <= times[-1] - times[0] < least * 1.1
        begun = next(place for place, (_, name, _) in enumerate(sent.pieces) if name == "Cleo")
        del sent.pieces[:begun]
        assert abs(sent.of("Ben", 100) - sent.of("Cleo", 100)) <= 1


@in_virtual_time
async def test_two_files_on_one_link_share_it_evenly(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "hello")
        await ada.engine.limit_files(10 * pace.COST)
        sent = Sent()
        sent.watch(ada, ben)
        run = pieces.RUN * PIECE_BYTES
        entries = [bytes.fromhex((await send(ada, ben, tmp_path, content(10 * run))).id) for _ in range(2)]
        await ben.wait(FileProgress, lambda event: event.file.held > 6 * run)
        later = [entry for _, _, entry in sent.pieces[2 * pieces.RUN :]]
        counts = [later.count(entry) for entry in entries]
        assert abs(counts[0] - counts[1]) <= 2 * pieces.RUN
        assert min(counts) > 2 * pieces.RUN


@in_virtual_time
async def test_a_message_does_not_wait_for_a_piece_that_waits_for_its_turn(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "hello")
        await ada.engine.limit_files(pace.COST // 60)  # a piece a minute
        some = ben.wait(FileProgress, lambda event: event.file.held > 0)
        await send(ada, ben, tmp_path, content(LONG))
        await some
        before = asyncio.get_running_loop().time()
        await talk(ada, ben, "at once")
        assert asyncio.get_running_loop().time() - before < 5


@in_virtual_time
async def test_a_rate_is_changed_and_lifted_while_files_go(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ada.engine.limit_files(1)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await talk(ada, ben, "no piece has come")
        await asyncio.sleep(600)
        assert (await state_of(ben, ada, sent.id))[1] <= PIECE_BYTES
        whole = at(ben, FileState.WHOLE)
        await ada.engine.limit_files(0)
        await asyncio.wait_for(whole, 60)


@in_virtual_time
async def test_a_link_that_ends_takes_no_turn_from_others(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        await pair(ada, ben)
        await meet(ada, cleo)
        for other in (ben, cleo):
            await talk(ada, other, "hello")
        await ada.engine.limit_files(10 * pace.COST)
        some = ben.wait(FileProgress, lambda event: event.file.held > 0)
        await send(ada, ben, tmp_path, content(LONG))
        await some
        await ben.stop()
        whole = at(cleo, FileState.WHOLE)
        await send(ada, cleo, tmp_path, content(20 * PIECE_BYTES))
        await asyncio.wait_for(whole, 10)


# --- Relays ---


@in_virtual_time
async def test_through_a_relay_a_file_goes_only_if_both_persons_let_it(tmp_path: Path) -> None:
    async with apart(tmp_path) as (_, _relay, ada, ben):
        await talk(ada, ben, "through the relay")
        large = await send(ada, ben, tmp_path, content(LONG))
        moved = at(ben, FileState.TAKING)
        await ben.engine.set_preference(f"{FILES_RELAYED}.{await ben.contact(ada)}", "20")
        await moved
        await asyncio.sleep(130)
        assert await state_of(ben, ada, large.id) == (FileState.TAKING, 0)
        assert await answers(ben, ada, large.id) == [PiecesEnd(bytes.fromhex(large.id))]
        whole = at(ben, FileState.WHOLE)
        await ada.engine.set_preference(FILES_RELAYED, "20")
        await asyncio.wait_for(whole, 130)
        assert await saved(ben, ada, large.id, tmp_path) == content(LONG)


@in_virtual_time
async def test_who_does_not_let_files_through_a_relay_does_not_ask_for_them(tmp_path: Path) -> None:
    async with apart(tmp_path) as (_, _relay, ada, ben):
        await talk(ada, ben, "through the relay")
        await ada.engine.set_preference(FILES_RELAYED, "99")
        await ben.engine.set_preference(FILES_RELAYED, "0")
        waits = at(ben, FileState.DIRECT)
        small = await send(ada, ben, tmp_path, content(SMALL))
        await waits
        await asyncio.sleep(130)
        assert await state_of(ben, ada, small.id) == (FileState.DIRECT, 0)
        assert on_disk(ada) != []
        empty = await stands(ada, ben, tmp_path, 0, FileState.WHOLE)
        assert empty.file is not None
        assert (await answers(ben, ada, small.id))[0] != PiecesEnd(bytes.fromhex(small.id))


@in_virtual_time
async def test_through_a_relay_no_more_waits_than_a_slow_reader_takes_in_time(tmp_path: Path) -> None:
    async with apart(tmp_path) as (_, _relay, ada, ben):
        await talk(ada, ben, "through the relay")
        open_now, most = 0, 0

        def asking(message: Message) -> None:
            nonlocal open_now, most
            if isinstance(message, AskPieces):
                open_now += sum(part.count for part in message.ranges)
                most = max(most, open_now)

        def answering(message: Message) -> None:
            nonlocal open_now
            open_now -= isinstance(message, Piece)

        note_sent(current(ben, ada).driver, asking)
        note_sent(current(ada, ben).driver, answering)
        for count in (1, 2):
            await send(ada, ben, tmp_path, content(40 * PIECE_BYTES * count))
        for _ in range(2):
            await at(ben, FileState.WHOLE)
        assert most == transfers.RELAYED_OPEN * transfers.RELAYED_ASKED


# --- Who keeps others waiting ---


@in_virtual_time
async def test_a_contact_that_supplies_nothing_keeps_no_file_of_others_waiting(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        await pair(ada, ben)
        await meet(cleo, ben)
        await ada.engine.limit_files(1)
        for _ in range(transfers.AT_ONCE + 1):
            named = ben.wait(EntryAdded)
            await send(ada, ben, tmp_path, content(SMALL))
            await named
        whole = at(ben, FileState.WHOLE)
        await send(cleo, ben, tmp_path, content(SMALL))
        await asyncio.wait_for(whole, 10)


@in_virtual_time
async def test_a_file_that_does_not_move_gives_its_place_to_one_that_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "AT_ONCE", 1)
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        await pair(ada, ben)
        await meet(cleo, ben)
        await ada.engine.limit_files(1)
        first = await stands(ada, ben, tmp_path, LONG, FileState.TAKING)
        whole = at(ben, FileState.WHOLE)
        await send(cleo, ben, tmp_path, content(SMALL))
        await asyncio.wait_for(whole, 200)
        await ada.engine.limit_files(0)
        await at(ben, FileState.WHOLE)
        assert await saved(ben, ada, first.id, tmp_path) == content(LONG)
