"""The demo's network on a virtual clock: its past is the sample's, and the people who are there answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from chat import interface
from chat.interface import ContactChanged, EntryAdded, EntryChanged, EntryState, PairingChanged, PairingStage
from chat.storage import folder
from chat.storage import profile as stored_profile
from chat.storage.errors import StorageFull, WrongPassphrase
from chat.tools.demo.door import PASSPHRASE, DemoDoor
from chat.tools.demo.make import CHINESE, Conversation, Playing, Said, placed, read_sample
from chat.tools.demo.make import PASSPHRASE as NEIGHBOURS_PASSPHRASE
from tests.support.lab.virtual import VirtualClock, run_virtual, seeded

SAMPLE = read_sample()
E = TypeVar("E", bound=interface.Event)


class Watched:
    def __init__(self, door: DemoDoor, messenger: interface.Messenger) -> None:
        self.door = door
        self.messenger = messenger
        self.seen: list[interface.Event] = []
        self._changed = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(messenger.events()))

    async def _listen(self, events: AsyncIterator[interface.Event]) -> None:
        async for event in events:
            self.seen.append(event)
            self._changed.set()

    async def until(self, kind: type[E], test: Callable[[E], bool]) -> E:
        """The first event of a kind, of all so far and to come, that passes a test."""
        while True:
            self._changed.clear()
            for event in self.seen:
                if isinstance(event, kind) and test(event):
                    return event
            await self._changed.wait()

    async def said(self, text: str) -> interface.EntryView:
        event = await self.until(EntryAdded, lambda event: not event.entry.own and text in event.entry.text)
        return event.entry

    async def named(self, name: str) -> interface.ContactView:
        return next(view for view in await self.messenger.contacts() if view.name == name)

    async def stage(self, stage: PairingStage) -> PairingChanged:
        return await self.until(PairingChanged, lambda event: event.pairing.stage is stage)


Scenario = Callable[[Watched], Coroutine[Any, Any, None]]


def play(folder: Path, scenario: Scenario, language: str = "en") -> None:
    async def run(clock: VirtualClock) -> None:
        door = DemoDoor(folder, language, clock=clock, random=seeded(1))
        await scenario(Watched(door, await door.attach()))
        await (await door.attach()).close()

    run_virtual(run, 3600.0)


def in_demo(scenario: Scenario) -> Callable[[Path], None]:
    """A test that is played in a demo, in virtual time."""
    return lambda tmp_path: play(tmp_path, scenario)


def answer(word: str) -> str:
    return next(one.text for one in SAMPLE.answers if word in one.words)


@pytest.mark.parametrize("language", ["en", CHINESE])
def test_the_past_is_the_sample(tmp_path: Path, language: str) -> None:
    async def look(watched: Watched) -> None:
        contacts = {view.name: view for view in await watched.messenger.contacts()}
        times = placed(SAMPLE.conversations, _now(watched))
        assert contacts.keys() == {row.name for row in SAMPLE.contacts}
        for row in SAMPLE.contacts:
            view = contacts[row.name]
            assert (view.verified, view.present, view.blocked) == (row.verified, row.present, row.blocked)
        for conversation in SAMPLE.conversations:
            view = contacts[conversation.contact]
            assert view.unread == conversation.unread
            held = await watched.messenger.history(view.person)
            assert [_shown(entry, held) for entry in held] == _expected(conversation, language, times)
        assert [view.name for view in await watched.messenger.nearby()] == [row.name for row in SAMPLE.nearby]
        me = await watched.messenger.me()
        assert (me.name, me.visible) == (SAMPLE.person, False)

    play(tmp_path, look, language)


def _now(watched: Watched) -> datetime:
    clock: VirtualClock = watched.door._machine  # type: ignore[assignment]
    return datetime.fromtimestamp(clock.wall() / 1000, UTC).astimezone()


def _shown(entry: interface.EntryView, held: tuple[interface.EntryView, ...]) -> tuple[object, ...]:
    answered = next((other.text for other in held if other.id == entry.reply), "")
    return entry.author, entry.text, answered, entry.state, round(entry.time.timestamp() * 1000)


def _expected(conversation: Conversation, language: str, times: dict[datetime, int]) -> list[object]:
    by_id = {said.id: said.within(language) for said in conversation.entries if said.id}

    def one(said: Said) -> tuple[object, ...]:
        text, reply = said.within(language), by_id.get(said.reply, "")
        state = said.state or EntryState.RECEIVED
        return said.author, text, reply, state, times[said.time.replace(tzinfo=None)]

    return [one(said) for said in conversation.entries]


def test_all_days_move_alike_and_the_hours_stay() -> None:
    """The last entry is from today where its hour has passed, else from yesterday, and never to come."""
    last = max(said.time for one in SAMPLE.conversations for said in one.entries)
    for now, day in (
        (datetime(2031, 5, 7, 23, 0, tzinfo=UTC), 7),
        (datetime(2031, 5, 7, last.hour, last.minute, tzinfo=UTC), 6),
        (datetime(2020, 2, 1, 0, 0, tzinfo=UTC), 31),
    ):
        times = placed(SAMPLE.conversations, now)
        moved = datetime.fromtimestamp(max(times.values()) / 1000, UTC)
        assert (moved.day, moved.time()) == (day, last.time())
        assert moved < now
        aware = [(time.replace(tzinfo=UTC), at) for time, at in times.items()]
        assert len({time.timestamp() * 1000 - at for time, at in aware}) == 1


@in_demo
async def test_who_is_there_reads_types_and_answers(watched: Watched) -> None:
    ben = await watched.named("Ben")
    sent = await watched.messenger.send(ben.person, "Where is the SERVER?")
    await watched.until(EntryChanged, lambda event: (event.id, event.state) == (sent.id, EntryState.READ))
    await watched.until(
        ContactChanged, lambda event: event.contact.person == ben.person and event.contact.typing
    )
    assert (await watched.said("straight from one to the other")).text == answer("server")
    await watched.messenger.send(ben.person, "x" * 60)
    assert f"“{'x' * 39}…”" in (await watched.said("xxx")).text
    await watched.messenger.send(ben.person, "服务器在哪里？")
    await watched.said("没有服务器")


@in_demo
async def test_of_several_texts_the_last_is_answered_with_a_reply_to_it(watched: Watched) -> None:
    ben = await watched.named("Ben")
    sent = [await watched.messenger.send(ben.person, text) for text in ("one", "two", "any keys?")]
    reply = await watched.said("Double Ratchet")
    assert reply.reply == sent[-1].id
    assert not [one for one in await watched.messenger.search("one", ben.person) if "“one”" in one.text]


@in_demo
async def test_who_was_away_comes_and_what_waited_goes(watched: Watched) -> None:
    ben, chiara = await watched.named("Ben"), await watched.named("Chiara")
    held = await watched.messenger.history(chiara.person)
    waiting = [entry.id for entry in held if entry.state is EntryState.QUEUED]
    await watched.messenger.send(ben.person, "And Chiara?")
    await watched.said(answer("chiara"))
    await watched.said(SAMPLE.back.text)
    after = {entry.id: entry.state for entry in await watched.messenger.history(chiara.person)}
    assert {after[entry] for entry in waiting} == {EntryState.READ}
    assert (await watched.named("Chiara")).present
    await watched.messenger.send(ben.person, "Chiara is here now")
    await watched.said("“Chiara is here now”")


@in_demo
async def test_a_stranger_agrees_after_the_person_and_not_before(watched: Watched) -> None:
    (dov,) = await watched.messenger.nearby()
    refused = await watched.messenger.pair_nearby(dov.instance)
    await watched.stage(PairingStage.WORDS)
    await watched.messenger.answer_pairing(refused.id, False)
    await watched.until(interface.NearbyChanged, lambda event: event.nearby == ())
    theirs = stages_of(watched, "Dov")
    again = await watched.until(interface.NearbyChanged, lambda event: bool(event.nearby))
    pairing = await watched.messenger.pair_nearby(again.nearby[0].instance)
    await watched.until(
        PairingChanged, lambda event: event.pairing.id == pairing.id and bool(event.pairing.words)
    )
    await asyncio.sleep(60)
    assert theirs == [PairingStage.WORDS]
    await watched.messenger.answer_pairing(pairing.id, True)
    await watched.stage(PairingStage.DONE)
    await watched.said(SAMPLE.greeting.text.replace("{name}", SAMPLE.person))
    assert (await watched.named("Dov")).verified


def test_who_nearby_writes_chinese_compares_chinese_words(tmp_path: Path) -> None:
    async def pair(watched: Watched) -> None:
        await watched.messenger.set_preference(interface.WORDS_READ, CHINESE)
        (dov,) = await watched.messenger.nearby()
        await watched.messenger.pair_nearby(dov.instance)
        shown = (await watched.stage(PairingStage.WORDS)).pairing.words
        assert all("\u4e00" <= sign <= "\u9fff" for word in shown for sign in word)

    play(tmp_path, pair, CHINESE)


def stages_of(watched: Watched, name: str) -> list[PairingStage]:
    stages: list[PairingStage] = []
    made = watched.door._demo
    assert made is not None
    made._neighbours._terminals[name].watch(
        lambda event: stages.append(event.pairing.stage) if isinstance(event, PairingChanged) else None
    )
    return stages


@in_demo
async def test_an_invitation_is_used_by_somebody_nearby(watched: Watched) -> None:
    await watched.messenger.invite()
    asked = await watched.stage(PairingStage.JOINER)
    assert asked.pairing.peer == "Dov"
    await watched.messenger.answer_pairing(asked.pairing.id, True)
    await watched.stage(PairingStage.DONE)
    await watched.said(SAMPLE.greeting.text.replace("{name}", SAMPLE.person))
    assert not (await watched.named("Dov")).verified


@in_demo
async def test_who_is_removed_stands_nearby_again(watched: Watched) -> None:
    await watched.messenger.remove((await watched.named("Ben")).person)
    await watched.until(interface.NearbyChanged, lambda event: "Ben" in [view.name for view in event.nearby])


@in_demo
async def test_a_lock_stops_all_and_the_passphrase_opens_it_again(watched: Watched) -> None:
    door = watched.door
    assert await door.state() is interface.DoorState.RUNNING
    with pytest.raises(interface.CannotCreate):
        await door.unlock(PASSPHRASE)
    await watched.messenger.change_passphrase(PASSPHRASE, "another")
    await watched.messenger.lock()
    assert await door.state() is interface.DoorState.LOCKED
    with pytest.raises(interface.NotPermitted):
        await door.unlock(PASSPHRASE)
    assert await door.state() is interface.DoorState.LOCKED
    again = Watched(door, await door.unlock("another"))
    ben = await again.named("Ben")
    await again.messenger.send(ben.person, "which keys?")
    await again.said("Double Ratchet")


def test_what_lies_in_the_folder_is_readable_for_nobody(tmp_path: Path) -> None:
    async def look(watched: Watched) -> None:
        files = everything(tmp_path)
        assert len([path for path in files if path.name == folder.HEADER]) == 2 + len(SAMPLE.contacts)
        for data in map(Path.read_bytes, files):
            assert not [word for word in (b"harbour", b"SQLite", "小雨".encode()) if word in data]

    play(tmp_path, look)
    for profile in tmp_path.glob("*/*"):
        for passphrase in (PASSPHRASE, NEIGHBOURS_PASSPHRASE):
            with pytest.raises(WrongPassphrase):
                stored_profile.unlock(profile, passphrase)


def everything(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_failure_leaves_nothing_and_is_repeatable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(clock: VirtualClock) -> None:
        door = DemoDoor(tmp_path, "en", clock=clock, random=seeded(1))
        with monkeypatch.context() as patch, pytest.raises(StorageFull):
            patch.setattr(Playing, "_read", _full)
            await door.attach()
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
        watched = Watched(door, await door.attach())
        assert (await watched.named("Ben")).present
        await watched.messenger.close()

    run_virtual(run, 3600.0)


async def _full(playing: Playing, conversation: Conversation) -> None:
    raise StorageFull


def test_every_word_of_an_answer_is_lower_case_and_leads_to_it() -> None:
    for one in SAMPLE.answers:
        assert [word for word in one.words if word != word.casefold()] == []
        assert one.zh
    assert all(text.zh for text in (*SAMPLE.otherwise, SAMPLE.greeting, SAMPLE.back))
