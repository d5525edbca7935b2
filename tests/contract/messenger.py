"""What every `Messenger` does with entries, contacts and what it keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from chat.interface import (
    BackupProgress,
    BadData,
    BotCommand,
    BotView,
    CannotCreate,
    Cleaned,
    ClientChanged,
    ClientRights,
    ContactChanged,
    ContactRemoved,
    DeletedBy,
    DeletionScope,
    EntriesTimed,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryEdited,
    EntryKind,
    EntryState,
    Event,
    HistoryCleared,
    NotesPinned,
    NotPermitted,
    RelayChanged,
    RelayRemoved,
    RelayStanding,
    RetentionView,
    SettingsView,
    TerminalState,
    TerminalView,
    UsageError,
    VisibilityChanged,
    notes_view,
)
from protocol.relay.rendezvous import RelayAddress
from tests.contract.subject import RELAY, Subject, contact, is_delivered, listening, told, until


def _is_marked(on: bool, event: ContactChanged) -> bool:
    return event.contact.pinned == event.contact.muted == on


class MessengerContract:
    """The tests. A subclass adds the fixture `subject`."""

    async def test_says_who_one_is(self, subject: Subject) -> None:
        me = await subject.messenger.me()
        assert len(bytes.fromhex(me.person)) == len(bytes.fromhex(me.terminal)) == 32
        assert 0 < me.port < 65536
        assert me.addresses

    async def test_one_changes_the_name_that_contacts_see(self, subject: Subject) -> None:
        await subject.messenger.rename_self("Adele")
        assert (await subject.messenger.me()).name == "Adele"
        with pytest.raises(UsageError):
            await subject.messenger.rename_self(" Adele")
        (view,) = await subject.messenger.terminals()
        assert view == TerminalView((await subject.messenger.me()).terminal, True, TerminalState.LIVE)

    async def test_visibility_is_changed_and_announced(self, subject: Subject) -> None:
        await subject.messenger.set_visible(False)
        events = subject.messenger.events()
        await subject.messenger.set_visible(True)
        await until(events, lambda event: event == VisibilityChanged(True))
        assert (await subject.messenger.me()).visible
        await subject.messenger.set_visible(False)
        await until(events, lambda event: event == VisibilityChanged(False))
        assert not (await subject.messenger.me()).visible

    async def test_an_invitation_has_text_and_a_time_in_utc(self, subject: Subject) -> None:
        first, second = await subject.messenger.invite(), await subject.messenger.invite()
        assert first.text != second.text
        assert first.expires.utcoffset() == UTC.utcoffset(None)

    async def test_a_contact_is_renamed_here(self, subject: Subject) -> None:
        events = subject.messenger.events()
        await subject.messenger.rename(subject.friend, "Gärtner 花")
        assert (await contact(subject)).label == "Gärtner 花"
        await told(events, ContactChanged, lambda event: event.contact.name == "Gärtner 花")
        for wrong in ("  ", "two\nlines", "x" * 65, "ends with a space "):
            with pytest.raises(UsageError):
                await subject.messenger.rename(subject.friend, wrong)

    async def test_a_contact_is_blocked_and_verified_and_neither(self, subject: Subject) -> None:
        for on in (True, False):
            await subject.messenger.block(subject.friend, on)
            if on:
                (number,) = (await subject.messenger.verification(subject.friend)).numbers
                await subject.messenger.verify(subject.friend, number)
            else:
                await subject.messenger.unverify(subject.friend)
            assert ((await contact(subject)).blocked, (await contact(subject)).verified) == (on, on)

    async def test_a_contact_is_pinned_and_muted_and_neither(self, subject: Subject) -> None:
        messenger, friend, events = subject.messenger, subject.friend, await listening(subject)
        for on in (True, False):
            await messenger.pin(friend, on)
            await messenger.mute(friend, on)
            await told(events, ContactChanged, partial(_is_marked, on))
            assert ((await contact(subject)).pinned, (await contact(subject)).muted) == (on, on)

    async def test_the_notes_are_pinned_and_never_muted(self, subject: Subject) -> None:
        messenger, events = subject.messenger, await listening(subject)
        own = (await messenger.me()).person
        for on in (True, False):
            await messenger.pin(own, on)
            assert (await told(events, NotesPinned)).on == on
            assert (await messenger.me()).notes_pinned == notes_view(await messenger.me()).pinned == on
        with pytest.raises(UsageError):
            await messenger.mute(own, True)

    async def test_one_writes_to_oneself(self, subject: Subject) -> None:
        messenger, own = subject.messenger, (await subject.messenger.me()).person
        assert await messenger.history(own) == ()
        first = await messenger.send(own, "a note of Ada")
        assert (first.contact, first.own, first.noted, first.state) == (own, True, True, EntryState.KEPT)
        second = await messenger.send(own, "an answer", first.id)
        assert second.reply == first.id
        assert [view.id for view in await messenger.history(own)] == [first.id, second.id]
        assert (await messenger.latest())[0].id == second.id
        assert [view.id for view in await messenger.search("in:notes note")] == [first.id]
        assert (await messenger.edit(own, first.id, "edited")).text == "edited"
        assert await messenger.first_unread(own) is None
        await messenger.mark_read(own, (first.id,))
        await messenger.mark_all_read(own)
        await messenger.typing(own, True)
        gone = await messenger.delete(own, first.id, DeletionScope.EVERYONE)
        assert (gone.kind, gone.deleted_by) == ("deleted", "mine")
        assert own not in [view.person for view in await messenger.contacts()]
        for refused in (
            messenger.set_timer(own, 60),
            messenger.block(own, True),
            messenger.rename(own, "Myself"),
            messenger.remove(own),
            messenger.verification(own),
        ):
            with pytest.raises(UsageError):
                await refused

    async def test_the_safety_number_has_sixty_digits(self, subject: Subject) -> None:
        (number,) = (await subject.messenger.verification(subject.friend)).numbers
        assert [len(group) for group in number.split()] == [5] * 12
        assert "".join(number.split()).isdigit()

    async def test_another_number_verifies_nobody(self, subject: Subject) -> None:
        (number,) = (await subject.messenger.verification(subject.friend)).numbers
        await subject.messenger.unverify(subject.friend)
        with pytest.raises(BadData):
            await subject.messenger.verify(subject.friend, number[:-1] + str(9 - int(number[-1])))
        assert not (await contact(subject)).verified
        await subject.messenger.verify(subject.friend, number)
        assert (await contact(subject)).verified
        found = await subject.messenger.verification(subject.friend)
        assert found.compared is not None
        assert (found.by_words, found.changes) == (False, ())

    async def test_the_files_are_checked_in_steps(self, subject: Subject) -> None:
        view = await subject.messenger.check_files()
        while view.after is not None:
            view = await subject.messenger.check_files(view.after)
        assert view.percent == 100
        assert [line.good for line in view.lines] == [True, True]

    async def test_nobody_asks_about_what_has_not_changed(self, subject: Subject) -> None:
        assert await subject.messenger.questions() == ()
        with pytest.raises(UsageError):
            await subject.messenger.confirm_own("ab" * 32)

    async def test_an_entry_is_announced_once_and_delivered(self, subject: Subject) -> None:
        events = subject.messenger.events()
        sent = await subject.messenger.send(subject.friend, "Grüße\nin two lines 🙂")
        assert sent.own
        assert sent.contact == subject.friend
        assert sent.text == "Grüße\nin two lines 🙂"
        added: list[str] = []

        def delivered(event: Event) -> bool:
            if isinstance(event, EntryAdded):
                added.append(event.entry.id)
            return isinstance(event, EntryChanged) and event.state is EntryState.DELIVERED

        await until(events, delivered)
        assert added == [sent.id]
        assert (await subject.messenger.history(subject.friend))[-1].state is EntryState.DELIVERED

    async def test_history_is_read_in_pages_that_meet_and_one_by_one(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        sent = [(await messenger.send(friend, f"number {n}")).id for n in range(7)]

        async def page(limit: int = 100, **where: Any) -> list[str]:
            return [entry.id for entry in await messenger.history(friend, limit, **where)]

        assert (await page(2), await page(2, before=sent[5])) == (sent[5:], sent[3:5])
        assert (await page(3, after=sent[1]), await page(after=sent[4])) == (sent[2:5], sent[5:])
        assert await page(after=sent[-1]) == []
        nowhere = ({"before": "none"}, {"after": "none"}, {"after": "00" * 32})
        for wrong in (*nowhere, {"before": sent[2], "after": sent[1]}):
            with pytest.raises(UsageError):
                await page(100, **wrong)
        (last,) = await messenger.history(friend, 1)
        found = await messenger.entry(friend, sent[-1])
        assert found is not None
        assert replace(found, state=last.state) == last  # a receipt may come between the two
        for other in ("none", "00" * 32):
            assert await messenger.entry(friend, other) is None

    async def test_the_last_entry_of_each_conversation_is_read_at_once(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        before = {entry.contact: entry for entry in await messenger.latest()}
        assert before.get(friend) == next(iter(await messenger.history(friend, 1)), None)
        sent = [await messenger.send(friend, f"number {n}") for n in range(3)]
        (last,) = await messenger.latest()
        assert (last.id, last.contact, last.text) == (sent[-1].id, friend, "number 2")
        await messenger.delete(friend, last.id)
        (last,) = await messenger.latest()
        assert (last.id, last.kind, last.text) == (sent[-1].id, "deleted", "")

    async def test_a_reply_names_the_entry_that_it_answers(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        events, asked = messenger.events(), await messenger.send(friend, "Tea?")
        assert asked.reply == ""
        await until(events, lambda event: is_delivered(event, asked.id))
        answer = await subject.hear("Yes", asked.id)
        said = await messenger.entry(friend, answer)
        assert said is not None
        assert said.reply == asked.id
        assert (await messenger.send(friend, "Good", reply=answer)).reply == answer
        assert [entry.reply for entry in await messenger.history(friend)] == ["", asked.id, answer]
        for wrong in ("none", "00" * 32, "00"):
            with pytest.raises(UsageError):
                await messenger.send(friend, "To nothing", reply=wrong)
        assert len(await messenger.history(friend)) == 3

    async def test_only_the_entries_that_were_shown_are_read(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        assert await messenger.first_unread(friend) is None
        mine = (await messenger.send(friend, "mine is never unread")).id
        heard = [await subject.hear(f"number {n}", "") for n in range(4)]
        assert await messenger.first_unread(friend) == heard[0]
        await messenger.mark_read(friend, (heard[3], mine, heard[1], "00" * 32))
        assert await messenger.first_unread(friend) == heard[0]
        assert (await contact(subject)).unread == 2
        kinds = [
            EntryState.READ in {receipt.kind for receipt in (await messenger.details(friend, id)).receipts}
            for id in heard
        ]
        assert kinds == [False, True, False, True]
        with pytest.raises(UsageError):
            await messenger.mark_read(friend, ("none",))
        await messenger.mark_read(friend, (heard[0],))
        assert await messenger.first_unread(friend) == heard[2]
        await messenger.mark_all_read(friend)
        assert await messenger.first_unread(friend) is None
        assert (await contact(subject)).unread == 0

    async def test_a_time_leads_to_the_first_entry_that_is_not_before_it(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        assert await messenger.entry_at(friend, datetime(1970, 1, 1, tzinfo=UTC)) is None
        entries = [await messenger.send(friend, f"number {n}") for n in range(3)]
        for entry in entries:
            first = next(other.id for other in entries if other.time >= entry.time)
            assert await messenger.entry_at(friend, entry.time) == first
            before = entry.time - timedelta(microseconds=1)
            assert await messenger.entry_at(friend, before.astimezone(timezone(timedelta(hours=5)))) == first
        assert await messenger.entry_at(friend, entries[-1].time + timedelta(microseconds=1)) is None
        with pytest.raises(UsageError):
            await messenger.entry_at(friend, entries[0].time.replace(tzinfo=None))

    async def test_details_say_who_wrote_an_entry_and_who_has_it(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        events, me = messenger.events(), await messenger.me()
        sent = await messenger.send(friend, "Mine")
        await until(events, lambda event: is_delivered(event, sent.id))
        mine = await messenger.details(friend, sent.id)
        assert (mine.id, mine.person, mine.terminal) == (sent.id, me.person, me.terminal)
        assert mine.time == mine.stored == sent.time
        assert mine.bytes > len("Mine")
        assert {(one.person, one.kind) for one in mine.receipts} == {(friend, EntryState.DELIVERED)}
        with pytest.raises(UsageError):
            await messenger.details(friend, "00" * 32)
        heard = await subject.hear("Theirs", "")
        theirs = await messenger.details(friend, heard)
        assert theirs.person == friend
        assert theirs.terminal not in (me.terminal, "")
        assert theirs.stored is not None
        assert theirs.stored.utcoffset() == timedelta()
        await messenger.mark_read(friend, (heard,))
        read = (await messenger.details(friend, heard)).receipts
        assert [one.kind for one in read] == [EntryState.DELIVERED, EntryState.READ]
        assert [one.terminal for one in (*theirs.receipts, *read)] == [me.terminal] * 3

    async def test_a_deleted_entry_keeps_its_place_and_says_nothing(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        events, asked = await listening(subject), await messenger.send(friend, "the harbour at noon")
        await until(events, lambda event: is_delivered(event, asked.id))
        answer = await subject.hear("the harbour, yes", asked.id)
        shown = await messenger.delete(friend, asked.id)
        gone = replace(asked, kind=EntryKind.DELETED, text="", reply="", deleted_by=DeletedBy.HERE)
        assert shown == replace(gone, state=EntryState.DELIVERED)
        assert (await told(events, EntryDeleted)) == EntryDeleted(friend, asked.id)
        assert [entry.id for entry in await messenger.history(friend)] == [asked.id, answer]
        assert await messenger.entry(friend, asked.id) == shown
        assert [entry.id for entry in await messenger.search("harbour")] == [answer]
        assert await messenger.delete(friend, asked.id) == shown
        await messenger.clean()
        await messenger.send(friend, "after")
        more: list[Event] = []

        def added(event: Event) -> bool:
            more.append(event)
            return isinstance(event, EntryAdded)

        await until(events, added)
        assert [event for event in more if isinstance(event, EntryDeleted | Cleaned)] == [Cleaned()]
        for wrong in ("none", "00" * 32):
            with pytest.raises(UsageError):
                await messenger.delete(friend, wrong)

    async def test_an_entry_deleted_for_everyone_says_so_and_the_delete_has_a_state(
        self, subject: Subject
    ) -> None:
        messenger, friend = subject.messenger, subject.friend
        events, asked = await listening(subject), await messenger.send(friend, "the harbour at noon")
        await until(events, lambda event: is_delivered(event, asked.id))
        shown = await messenger.delete(friend, asked.id, DeletionScope.EVERYONE)
        assert (shown.kind, shown.text, shown.deleted_by) == ("deleted", "", "author")
        await until(events, lambda event: is_delivered(event, shown.change))
        change = await messenger.entry(friend, shown.change)
        assert change is not None
        assert (change.kind, change.own, change.state) == ("delete", True, EntryState.DELIVERED)
        assert await messenger.history(friend) == (shown,)
        assert await messenger.delete(friend, asked.id) == shown
        assert await messenger.delete(friend, asked.id, DeletionScope.EVERYONE) == shown
        theirs = await subject.hear("the harbour, yes", "")
        with pytest.raises(UsageError):
            await messenger.delete(friend, theirs, DeletionScope.EVERYONE)

    async def test_an_edited_entry_keeps_its_place_and_says_the_new_words(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        events, theirs = await listening(subject), await subject.hear("noon?", "")
        asked = await messenger.send(friend, "the harbour at noon", theirs)
        after = (await messenger.send(friend, "after")).id
        await until(events, lambda event: is_delivered(event, after))
        shown = await messenger.edit(friend, asked.id, "the pier at noon", "drawn by the client")
        assert (await told(events, EntryEdited)).entry.text == "the pier at noon"
        expected = replace(asked, text="the pier at noon", edited=True, state=EntryState.DELIVERED)
        assert shown == replace(expected, change=shown.change)
        assert [entry.id for entry in await messenger.history(friend)] == [theirs, asked.id, after]
        assert [entry.id for entry in await messenger.search("pier")] == [asked.id]
        assert await messenger.search("harbour") == ()
        versions = (await messenger.details(friend, asked.id)).versions
        assert [(one.id, one.text) for one in versions] == [
            (asked.id, "the harbour at noon"),
            (shown.change, "the pier at noon"),
        ]
        for wrong, text in ((theirs, "not theirs"), (asked.id, " "), ("00" * 32, "nothing")):
            with pytest.raises(UsageError):
                await messenger.edit(friend, wrong, text)
        await messenger.delete(friend, asked.id)
        with pytest.raises(UsageError):
            await messenger.edit(friend, asked.id, "again")

    async def test_a_timer_holds_for_new_entries_and_begins_with_their_reading(
        self, subject: Subject
    ) -> None:
        messenger, friend = subject.messenger, subject.friend
        before = await messenger.send(friend, "from before")
        events = await listening(subject)
        setting = await messenger.set_timer(friend, 3_600)
        assert setting is not None
        assert (setting.kind, setting.own, setting.seconds, setting.text) == ("timer", True, 3_600, "")
        assert (await contact(subject)).timer == 3_600
        assert await messenger.set_timer(friend, 3_600) is None
        mine = await messenger.send(friend, "with a timer")
        await until(events, lambda event: is_delivered(event, mine.id))
        theirs = await subject.hear("theirs, with a timer", "")
        await messenger.mark_read(friend, (theirs,))
        assert (await told(events, EntriesTimed)).contact == friend
        shown = {entry.id: entry for entry in await messenger.history(friend)}
        assert [shown[one].expires is not None for one in (before.id, setting.id, mine.id, theirs)] == [
            *(False, False, True, True)
        ]
        off = await messenger.set_timer(friend, 0)
        assert off is not None
        assert off.seconds == (await contact(subject)).timer == 0
        assert (await messenger.send(friend, "stays")).expires is None
        for wrong in (-1, 31_536_001):
            with pytest.raises(UsageError):
                await messenger.set_timer(friend, wrong)

    async def test_a_bot_is_declared_once_and_withdrawn(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        echo, time = BotCommand("echo", "says the same"), BotCommand("time", "says what time it is")
        assert await messenger.declared_bot() == await messenger.declared_bot(friend) == BotView(False)
        await messenger.declare_bot((time, echo))
        assert await messenger.declared_bot() == BotView(True, (echo, time))
        await messenger.declare_bot((echo, time))
        await messenger.declare_bot((echo, time), friend)
        with pytest.raises(UsageError):
            await messenger.declare_bot((echo, echo))
        assert await messenger.declared_bot(friend) == BotView(True, (echo, time))
        await messenger.withdraw_bot()
        await messenger.withdraw_bot(friend)
        assert await messenger.declared_bot() == await messenger.declared_bot(friend) == BotView(False)
        said = [one for one in await messenger.history(friend) if one.kind == "bot"]
        assert [(one.own, one.bot, one.commands) for one in said] == [
            (True, True, (echo, time)),
            (True, False, ()),
        ]
        assert not (await contact(subject)).bot  # the friend has declared nothing

    async def test_a_cleared_conversation_keeps_places_and_timer(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        await messenger.set_timer(friend, 3_600)
        sent = await messenger.send(friend, "the harbour at noon")
        heard = await subject.hear("the harbour, yes", "")
        events = await listening(subject)
        await messenger.clear(friend)
        step = await told(events, HistoryCleared)
        assert (step.contact, step.done) == (friend, step.total)
        kinds = {entry.id: entry.kind for entry in await messenger.history(friend)}
        assert (kinds[sent.id], kinds[heard]) == ("deleted", "deleted")
        assert await messenger.search("harbour") == ()
        view = await contact(subject)
        assert (view.unread, view.timer) == (0, 3_600)
        assert (await messenger.send(friend, "later")).kind == "text"

    async def test_what_was_deleted_unread_is_not_unread(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        first, second = [await subject.hear(f"number {n}", "") for n in range(2)]
        await messenger.delete(friend, first)
        assert (await contact(subject)).unread == 1
        assert await messenger.first_unread(friend) == second
        await messenger.mark_read(friend, (second,))
        assert (await contact(subject)).unread == 0
        kinds = [receipt.kind for receipt in (await messenger.details(friend, first)).receipts]
        assert kinds == [EntryState.DELIVERED]

    async def test_search_finds_all_words_in_what_arrived_last(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        sent = [(await messenger.send(friend, f"the tide {word}")).id for word in ("one", "two", "three")]
        for where in (friend, None):
            assert [entry.id for entry in await messenger.search("tide two", where)] == [sent[1]]
        assert [entry.id for entry in await messenger.search("TIDE", limit=2)] == sent[1:]
        for nothing in ("nowhere", "tid", "", '"two tide', "!"):
            assert await messenger.search(nothing) == ()
        for whole in ("tid*", "th* tid*", '"the tide"', "tide from:me", "tide after:2019", "from:ME"):
            assert [entry.id for entry in await messenger.search(whole)] == sent
        for typed in ("tid", '"the tid', "THE T", "from:me tide"):
            assert [entry.id for entry in await messenger.search(typed, typing=True)] == sent
        assert await messenger.search("tid ", typing=True) == ()

    async def test_search_takes_authors_conversations_and_days(self, subject: Subject) -> None:
        messenger, name = subject.messenger, (await contact(subject)).name
        mine = (await messenger.send(subject.friend, "the pier")).id
        theirs = await subject.hear("the pier, too", "")
        for typed, found in (
            (f"pier from:{name.lower()}", [theirs]),
            (f"from:{name[:2]}", [theirs]),
            (f'from:me from:"{name}" pier', [mine, theirs]),
            (f"pier in:{name}", [mine, theirs]),
            ("pier before:2019", []),
            ("pier before:2019-02 after:2018-01-31", []),
            ("before:9000-12", [mine, theirs]),
            ("PIER AFTER:2019", [mine, theirs]),
        ):
            assert [entry.id for entry in await messenger.search(typed)] == found, typed
        for wrong in (
            "from:nobody",
            "in:nobody pier",
            "in:me",
            "before:soon",
            "after:2026-13",
            "from:",
            "in: x",
        ):
            with pytest.raises(UsageError) as caught:
                await messenger.search(wrong)
            assert caught.value.phrase.template, wrong

    async def test_what_cannot_be_sent_is_a_usage_error(self, subject: Subject) -> None:
        for text in ("", " \n", "x" * 16_385):
            with pytest.raises(UsageError):
                await subject.messenger.send(subject.friend, text)
        assert await subject.messenger.history(subject.friend) == ()

    async def test_settings_and_preferences_are_kept_changed_and_deleted(self, subject: Subject) -> None:
        messenger, settings = subject.messenger, SettingsView(read_receipts=False, typing=True)
        assert dict(await messenger.preferences()) == {}
        await messenger.change_settings(settings)
        await messenger.set_preference("theme", "high-contrast")
        await messenger.set_preference("draft." + "0a" * 32, "Zwölf\n🙂\x00")
        await messenger.set_preference("long", "x" * 65_536)
        await messenger.set_preference("theme", "dark")
        await messenger.set_preference("long", "")
        kept = {"theme": "dark", "draft." + "0a" * 32: "Zwölf\n🙂\x00"}
        assert dict(await messenger.preferences()) == kept
        for name, value in (("", "x"), ("Theme", "x"), ("a b", "x"), ("x" * 97, "x"), ("long", "x" * 65_537)):
            with pytest.raises(UsageError):
                await messenger.set_preference(name, value)
        assert dict(await messenger.preferences()) == kept
        assert await messenger.settings() == settings

    async def test_what_is_kept_is_chosen_by_days_and_by_a_keeper(self, subject: Subject) -> None:
        messenger = subject.messenger
        assert await messenger.retention() == RetentionView(days=0, keeper="", elsewhere=0)
        for days in (-1, 36_501):
            with pytest.raises(UsageError):
                await messenger.keep(days)
        with pytest.raises(UsageError):
            await messenger.choose_keeper("ab" * 32)
        assert await messenger.keep(30) == RetentionView(30)
        own = (await messenger.me()).terminal
        assert await messenger.choose_keeper(own) == RetentionView(30, own)
        assert await messenger.retention() == RetentionView(30, own)
        assert await messenger.choose_keeper("") == RetentionView(30)
        assert await messenger.keep(0) == RetentionView(0)

    async def test_a_program_gets_what_came_since_it_acknowledged(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        before = await messenger.send(friend, "before")
        assert await messenger.clients() == ()
        place = (await messenger.follow("echo")).acknowledged
        sent = [(await messenger.send(friend, word)).id for word in ("one", "two")]
        heard = await subject.hear("three", "")
        found = (await messenger.arrivals("echo", place)).arrivals
        assert [one.entry.id for one in found] == [*sent, heard]
        assert all(one.came == one.position for one in found)
        assert [one.position for one in found] == sorted({one.position for one in found})
        page = await messenger.arrivals("echo", place, 1)
        assert [one.entry.id for one in page.arrivals] == sent[:1]  # its state may be another one by now
        assert page.position == found[0].position
        await messenger.acknowledge("echo", found[1].position)
        await messenger.acknowledge("echo", found[0].position)
        assert (await messenger.follow("echo")).acknowledged == found[1].position
        with pytest.raises(UsageError):
            await messenger.arrivals("echo", found[0].position)
        await messenger.delete(friend, heard)
        await messenger.edit(friend, sent[1], "two, edited")
        await messenger.edit(friend, before.id, "before all, edited")
        last = (await messenger.arrivals("echo", found[1].position)).arrivals
        said = [(one.entry.id, one.entry.kind, one.entry.text) for one in last]
        assert said == [
            (heard, "deleted", ""),
            (sent[1], "text", "two, edited"),
            (before.id, "text", "before all, edited"),
        ]
        assert [one.came > found[1].position for one in last] == [True, False, False]
        for wrong in (last[-1].position + 1, -1):
            with pytest.raises(UsageError):
                await messenger.arrivals("echo", wrong)
        with pytest.raises(UsageError):
            await messenger.acknowledge("echo", last[-1].position + 1)
        events = await listening(subject)
        first, position = await messenger.take_turn("echo"), last[0].position
        assert (await told(events, ClientChanged)).client == "echo"
        assert (await messenger.arrivals("echo", position, 1, first)).arrivals == last[1:2]
        second = await messenger.take_turn("echo")
        with pytest.raises(NotPermitted):
            await messenger.arrivals("echo", position, 1, first)
        with pytest.raises(NotPermitted):
            await messenger.acknowledge("echo", position, first)
        await messenger.acknowledge("echo", position, second)
        assert (await told(events, ClientChanged)).client == "echo"
        await messenger.forget_client("echo")
        assert (await told(events, ClientChanged)).client == "echo"
        with pytest.raises(NotPermitted):
            await messenger.acknowledge("echo", position, second)
        for name in ("echo", "nobody"):
            with pytest.raises(UsageError):
                await messenger.arrivals(name, 0)
            with pytest.raises(UsageError):
                await messenger.take_turn(name)
            with pytest.raises(UsageError):
                await messenger.forget_client(name)

    async def test_the_ids_of_a_program_are_apart_from_those_of_others(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        for name in ("echo", "alerts"):
            await messenger.follow(name)
        ids = [
            (await messenger.send(friend, f"of {name}", "", "1", name)).id
            for name in ("echo", "alerts", "", "echo")
        ]
        assert ids[0] == ids[3]
        assert len(set(ids)) == 3

    async def test_a_token_stands_for_a_program_until_it_is_revoked(self, subject: Subject) -> None:
        messenger, friend = subject.messenger, subject.friend
        made = await messenger.permit("alerts", ClientRights.SEND, friend)
        assert (made.client.token, made.client.rights, made.client.contact) == (
            *(True, ClientRights.SEND),
            friend,
        )
        assert made.token not in repr(made)
        assert await messenger.client_of(made.token) == made.client
        for name, conversation in (("alerts", ""), ("No name", ""), ("x" * 65, ""), ("other", "00" * 32)):
            with pytest.raises(UsageError):
                await messenger.permit(name, ClientRights.ALL, conversation)
        mine = await messenger.send(friend, "written by this person")
        sent = await messenger.send(friend, "an alert", "", "1", "alerts")
        assert (await messenger.edit(friend, sent.id, "no alert", "2", "alerts")).text == "no alert"
        with pytest.raises(NotPermitted):
            await messenger.edit(friend, mine.id, "not written by this person", "3", "alerts")
        assert mine.text in [one.text for one in await messenger.history(friend)]
        own = (await messenger.me()).person
        notes = await messenger.permit("notes", ClientRights.ALL, own)
        assert notes.token != made.token
        await messenger.send(friend, "to the friend")
        noted = await messenger.send(own, "to oneself")
        found = await messenger.arrivals("notes", notes.client.acknowledged)
        assert [one.entry.id for one in found.arrivals] == [noted.id]
        await messenger.forget_client("alerts")
        with pytest.raises(NotPermitted):
            await messenger.client_of(made.token)
        assert [one.name for one in await messenger.clients()] == ["notes"]

    async def test_relays_are_named_and_removed_in_order(self, subject: Subject) -> None:
        messenger, events = subject.messenger, await listening(subject)
        assert await messenger.relays() == ()
        first = await messenger.add_relay(f"  {RELAY[:40]}\n{RELAY[40:]} ")
        assert (first.address, first.host, first.port) == (RELAY, "127.0.0.1", 9)
        assert (first.standing, first.invited) == (RelayStanding.UNKNOWN, False)
        await told(events, RelayChanged, lambda event: event.relay.address == RELAY)
        named = await messenger.add_relay(str(RelayAddress("relay.example.org", 4746, b"\x07" * 32)))
        assert (await messenger.add_relay(RELAY)).address == RELAY
        assert [relay.address for relay in await messenger.relays()] == [RELAY, named.address]
        await messenger.remove_relay(RELAY)
        assert (await told(events, RelayRemoved)) == RelayRemoved(RELAY)
        assert [relay.address for relay in await messenger.relays()] == [named.address]
        with pytest.raises(UsageError):
            await messenger.remove_relay(RELAY)
        await messenger.add_relay(RELAY)
        other = str(RelayAddress("127.0.0.1", 9, b"\x07" * 32))  # which takes the place of the one before
        await messenger.add_relay(other)
        assert (await told(events, RelayRemoved)).address == RELAY
        assert [relay.address for relay in await messenger.relays()] == [named.address, other]

    async def test_no_more_relays_are_named_than_may_be(self, subject: Subject) -> None:
        messenger = subject.messenger
        for port in range(1, 9):
            await messenger.add_relay(str(RelayAddress("127.0.0.1", port, b"\x09" * 32)))
        with pytest.raises(UsageError, match="remove"):
            await messenger.add_relay(str(RelayAddress("127.0.0.1", 10, b"\x09" * 32)))
        await messenger.add_relay(str(RelayAddress("127.0.0.1", 1, b"\x07" * 32)))
        assert len(await messenger.relays()) == 8

    @pytest.mark.parametrize(
        ("address", "said"),
        [
            ("127.0.0.1:4746", "key is missing"),
            (RELAY.partition("#")[0], "key is missing"),
            (RELAY[:-1], "key .* damaged"),
            (RELAY.replace(":9#", ":90000#"), "port"),
            (RELAY.replace("127.0.0.1", "127.0.0.256"), "host"),
            (RELAY.replace("127.0.0.1", "Relay.Example"), "host"),
            ("PARLOUR:AAAA", "not a relay address"),
            ("", "not a relay address"),
            (RELAY + "x" * 255, "at most 255"),
        ],
    )
    async def test_a_damaged_relay_address_is_bad_data_that_says_where(
        self, subject: Subject, address: str, said: str
    ) -> None:
        with pytest.raises(BadData, match=said):
            await subject.messenger.add_relay(address)
        assert await subject.messenger.relays() == ()

    async def test_a_passphrase_is_changed_only_with_the_old_one(self, subject: Subject) -> None:
        with pytest.raises(NotPermitted):
            await subject.messenger.change_passphrase("not " + subject.passphrase, "another one")
        await subject.messenger.change_passphrase(subject.passphrase, "another one")
        with pytest.raises(NotPermitted):
            await subject.messenger.change_passphrase(subject.passphrase, "a third")

    async def test_a_readable_export_has_a_known_format(self, subject: Subject, tmp_path: Path) -> None:
        made = await subject.messenger.export(str(tmp_path / "all.html"), "html")
        assert not made.recovery
        with pytest.raises(UsageError):
            await subject.messenger.export(str(tmp_path / "all.pdf"), "pdf")

    async def test_a_backup_is_written_to_a_file_that_was_not_there(
        self, subject: Subject, tmp_path: Path
    ) -> None:
        messenger, path = subject.messenger, str(tmp_path / "new.backup")
        events = messenger.events()
        made = await messenger.back_up(path, "of the backup")
        assert (made.path, made.recovery) == (path, False)
        await told(events, BackupProgress)
        with pytest.raises(CannotCreate):
            await messenger.back_up(path, "of the backup")

    async def test_a_removed_contact_is_gone_with_its_preferences(self, subject: Subject) -> None:
        messenger, friend, events = subject.messenger, subject.friend, await listening(subject)
        await messenger.send(friend, "before")
        for name in (f"draft.{friend}", f"open.{friend}", "draft." + "0a" * 32):
            await messenger.set_preference(name, "on")
        name = (await contact(subject)).name
        await messenger.remove(friend)
        assert await told(events, ContactRemoved) == ContactRemoved(friend, name)
        assert await messenger.contacts() == ()
        assert await messenger.search("before") == ()
        assert dict(await messenger.preferences()) == {"draft." + "0a" * 32: "on"}
        with pytest.raises(UsageError):
            await messenger.send(friend, "after")
