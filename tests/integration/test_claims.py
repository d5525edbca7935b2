"""What a contact says that this person wrote, and no self key shows (SPEC §11.2, *Claims*)."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path

import pytest

from chat.interface import (
    AlertsChanged,
    DeletionScope,
    EntryAdded,
    EntryState,
    EntryView,
    Notice,
    UsageError,
)
from chat.network.links import LiveLink
from chat.service import restoring
from chat.service.drawing import renew_upon
from chat.service.events import OwnLogGrew, SettlingDue
from chat.storage import claims, entries, keys, receipts, repair
from chat.storage.claims import CLAIMS_MAX
from chat.storage.database import Database
from protocol.entries_and_receipts import (
    KIND_CUT,
    KIND_DELETE,
    KIND_EDIT,
    KIND_TEXT,
    KIND_TIMER,
    EntryPlace,
    ParsedEntry,
    conversation_of_two,
    cut_body,
    delete_body,
    edit_body,
    parse_entry,
    text_body,
    timer_body,
    write_entry,
)
from protocol.identity.drawing import self_key
from protocol.messages import CutHead, Entry, SharedDrawn
from protocol.profile_header import CHEAPEST
from tests.integration.steps import becomes, current, dial, entry_of, in_touch, same_history, say
from tests.integration.test_backup import back_up, restore_new, started
from tests.integration.test_damaged_profiles import flip, root_of
from tests.integration.test_own_terminals import apart, arrives, desk_and_laptop, linked, terminal_of, unread
from tests.integration.test_renewal import three_and_ben
from tests.integration.test_salvage import OWN, salvage
from tests.support.engines.engines import PASSPHRASE, Person, in_virtual_time, invite, talk

DRAWN = SharedDrawn(b"r" * 32, b"k" * 32)
LOST = self_key(DRAWN.secret)
"""A self key that no terminal has."""

QUIET = 60
"""Virtual seconds in which nothing comes any more, of which there is no event."""


def invented(
    ada: Person,
    ben: Person,
    text: str,
    previous: tuple[int, bytes] | None = None,
    *,
    author: bytes = b"",
    key: bytes = LOST,
    kind: int = KIND_TEXT,
    body: bytes = b"",
    parents: tuple[bytes, ...] = (),
    ahead: int = 0,
) -> ParsedEntry:
    """An entry of Ada's terminal that it never wrote, by default its first one in an incarnation."""
    parts = ada.engine._use_cases
    own = parts.keyring.own
    conversation = conversation_of_two(own.person, ben.peer.person)
    place = EntryPlace(
        conversation, author or own.terminal, b"invented", previous, parents, parts.keyring.own_log.heads
    )
    time = ada.clock.wall() + ahead
    return write_entry(place, time, kind, body or text_body(text), key, parts.runtime.random)


async def claims_of(person: Person, other: Person) -> list[str]:
    """The texts that are shown as what somebody says that this person wrote."""
    return [view.text for view in await person.history(other) if view.claimed]


async def shows(person: Person, other: Person, claimed: list[str]) -> bool:
    return await claims_of(person, other) == claimed


async def is_own(person: Person, other: Person, entry: ParsedEntry) -> bool:
    """Whether an entry is shown as this person's own, and as nobody's claim."""
    return [one.own for one in await person.history(other) if one.id == entry.id.hex()] == [True]


async def holds_kind(person: Person, other: Person, kind: str) -> bool:
    return any(one.kind == kind for one in await person.history(other))


async def sends(ben: Person, ada: Person, *some: ParsedEntry) -> None:
    """Ben's terminal carries entries, and Ada's has taken them."""
    for entry in some:
        await current(ben, ada).driver.send(entry.message())
    await talk(ben, ada, f"after {some[-1].id.hex()[:8]}")


def place(entry: ParsedEntry) -> tuple[int, bytes]:
    return entry.header.sequence, entry.id


async def renewed(person: Person) -> None:
    """A terminal gets what a Renew draws that is in no log here: as one that came with the log would."""
    parts = person.engine._use_cases
    await parts.store.write(keys.add_drawn, [DRAWN])
    parts.keyring.hold([DRAWN])
    parts.keyring.follow_own_log(parts.keyring.own_log, parts.keyring.own_confirmed)
    parts.keyring.newest_keys = (LOST,)
    parts.bus.signal(OwnLogGrew())


@in_virtual_time(limit=600)
async def test_what_a_contact_invents_is_shown_as_its_claim_and_counts_nowhere(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend, store = await ada.contact(ben), ada.engine._use_cases.store
        mine = await talk(ada, ben, "mine")
        held = await store.read(entries.get, bytes.fromhex(mine))
        assert held is not None
        shown = ada.wait(EntryAdded, lambda event: event.entry.claimed == "contact")
        first = invented(ada, ben, "I owe you a thousand", (held.sequence, held.id), ahead=1_000)
        far = invented(ada, ben, "and more", (2**51, first.id), ahead=10**9)
        rival = invented(ada, ben, "another place", None)
        await sends(ben, ada, first, far, rival)
        view = (await shown).entry
        assert (view.own, view.author, view.state) == (False, "Ben", EntryState.RECEIVED)
        assert set(await claims_of(ada, ben)) == {"I owe you a thousand", "and more", "another place"}
        assert await unread(ada) == sum(not one.own and not one.claimed for one in await ada.history(ben))
        details = await ada.engine.details(friend, first.id.hex())
        assert (details.claimed, details.receipts, details.awaited, details.person) == (
            "contact",
            (),
            (),
            friend,
        )
        # Nothing goes on from it, accuses by it, or waits for the contact.
        later = await say(ada, ben, "later")
        row = await store.read(entries.get, bytes.fromhex(later.id))
        assert row is not None
        header = row.fields
        assert header.previous == held.id
        assert not set(header.parents) & {first.id, far.id, rival.id}
        assert not any(one.conflicting for one in await ada.history(ben))
        assert not [event for event in ada.seen if isinstance(event, (AlertsChanged, Notice))]
        own = ada.engine._use_cases.keyring.own
        conversation = conversation_of_two(own.person, ben.peer.person)

        async def all_arrived() -> bool:
            waiting = await store.read(receipts.unacknowledged, conversation, own.terminal, ben.peer.person)
            return waiting == []

        await becomes(ada, all_arrived)
        with pytest.raises(UsageError):
            await ada.engine.edit(friend, first.id.hex(), "I owe nothing")
        await ada.stop()
        await ada.start()
        assert set(await claims_of(ada, ben)) == {"I owe you a thousand", "and more", "another place"}
        assert "later" in await ben.texts(ada)


@in_virtual_time(limit=600)
async def test_a_claim_comes_once_and_goes_to_nobody(tmp_path: Path) -> None:
    """Ben's terminal holds it, and compares what the two hold on each link."""
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await apart(network, laptop, ben)
        first = invented(desk, ben, "I owe you")
        second = invented(desk, ben, "a lot", place(first), ahead=1)
        await hold(ben, desk, first, second)
        await dial(desk, ben)
        await becomes(desk, partial(shows, desk, ben, ["I owe you", "a lot"]))
        came = list[bytes]()
        inbound = desk.engine._use_cases.inbound
        take = inbound.entries

        async def noted(link: LiveLink, messages: list[Entry]) -> object:
            came.extend(parse_entry(one).id for one in messages)
            return await take(link, messages)

        inbound.entries = noted  # type: ignore[method-assign, assignment]
        for _ in range(3):
            await dial(desk, ben)
            await asyncio.sleep(QUIET)
        await talk(ben, desk, "still here")
        assert linked(desk, ben)
        assert not {first.id, second.id}.intersection(came)
        assert await claims_of(laptop, ben) == []
        await same_history(desk, laptop)


async def hold(ben: Person, ada: Person, *some: ParsedEntry) -> None:
    """Ben's terminal holds entries of Ada's as its own would."""
    await ben.engine._use_cases.inbound.entries(current(ben, ada), [one.message() for one in some])


@in_virtual_time(limit=900)
async def test_ten_thousand_claims_of_a_contact_are_bounded_and_move_nothing(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await apart(network, laptop, ben)
        mine = (await say(desk, ben, "mine")).id
        some, before = list[ParsedEntry](), None
        for number in range(10_000):
            some.append(invented(desk, ben, f"I owe you {number}", before, ahead=10**8 + number))
            before = place(some[-1]) if number % 3 else None
        parts, link = desk.engine._use_cases, current(desk, ben)
        kept = 0
        for start in range(0, len(some), 500):
            receipt, unknown = await parts.inbound.entries(
                link, [one.message() for one in some[start : start + 500]]
            )
            kept += len(receipt.ids) if receipt else 0
            assert unknown == []
        assert kept == CLAIMS_MAX
        conversation = conversation_of_two(desk.peer.person, ben.peer.person)
        assert await parts.store.read(claims.count, conversation) == CLAIMS_MAX
        page = await desk.engine.history(await desk.contact(ben), limit=100)
        assert all(view.claimed and not view.own for view in page if view.text.startswith("I owe you"))
        assert await unread(desk) == 0
        named = await parts.store.read(repair.asking_heads, conversation, bytes(32))
        assert len([head for head in named if head.author.hex() == terminal_of(desk)]) <= 4
        assert mine in {head.id.hex() for head in named}
        last = await parts.store.read(entries.last_by, conversation, parts.keyring.own.terminal)
        assert last is not None
        assert last.id.hex() == mine
        await talk(ben, desk, "hello")
        await talk(desk, ben, "goes on")
        await same_history(desk, laptop)


@in_virtual_time(limit=900)
async def test_words_under_a_new_key_that_a_contact_passes_are_own_since_the_log_hands_out_the_key(
    tmp_path: Path,
) -> None:
    """The laptop draws and writes while the desk is away, which meets the contact first."""
    async with three_and_ben(tmp_path) as (network, desk, laptop, phone, ben):
        for one in (laptop, phone, ben):
            await apart(network, desk, one)
        await laptop.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(QUIET)
        entry = await talk(laptop, ben, "under the new key")
        network.join(desk.host, ben.host)
        await arrives(desk, "under the new key")

        async def is_own() -> bool:
            """The words may come before the log that hands out their key."""
            (view,) = [one for one in await desk.history(ben) if one.id == entry]
            return (view.claimed, view.own, view.author) == ("", True, "Ada")

        await becomes(desk, is_own)
        await talk(ben, desk, "it goes on")
        network.join(desk.host, laptop.host)
        await same_history(desk, laptop)

        async def is_delivered() -> bool:
            return EntryState.DELIVERED in [one.state for one in await desk.history(ben) if one.id == entry]

        await becomes(desk, is_delivered)
        (view,) = [one for one in await desk.history(ben) if one.id == entry]
        assert (view.state, view.quarantined) == (EntryState.DELIVERED, False)


@in_virtual_time(limit=600)
async def test_what_another_own_terminal_has_counts_in_the_root_without_the_key(tmp_path: Path) -> None:
    """The laptop has a key that the desk never gets. It is shown apart from what the contact claims."""
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await apart(network, desk, laptop)
        await renewed(laptop)
        author = bytes.fromhex(terminal_of(laptop))
        first = invented(desk, ben, "under a lost key", author=author)
        second = invented(desk, ben, "and more", place(first), author=author)
        await hold(laptop, ben, first, second)
        await sends(ben, desk, first)
        assert [one.claimed for one in await desk.history(ben) if one.text == "under a lost key"] == [
            "contact"
        ]
        network.join(desk.host, laptop.host)
        await same_history(desk, laptop)
        shown = {one.text: (one.claimed, one.own) for one in await desk.history(ben)}
        assert shown["under a lost key"] == shown["and more"] == ("device", False)
        assert {one.text: one.own for one in await laptop.history(ben)}["and more"]


@in_virtual_time(limit=600)
async def test_what_an_own_entry_follows_is_own_without_its_key(tmp_path: Path) -> None:
    """Its header names the one before, and its tag covers that, whichever of both comes first."""
    async with in_touch(tmp_path) as (_, ada, ben):
        key, author = ada.engine._use_cases.keyring.self_keys[0], b""
        first = invented(ada, ben, "first", author=author)
        second = invented(ada, ben, "second", place(first))
        third = invented(ada, ben, "third", place(second), key=key)
        await sends(ben, ada, second)
        await sends(ben, ada, third)
        await settled(ada)
        assert await claims_of(ada, ben) == []
        await sends(ben, ada, first)
        await settled(ada)
        assert await claims_of(ada, ben) == []
        own = [one.text for one in await ada.history(ben) if one.own]
        assert own == ["before", "first", "second", "third"]


@pytest.mark.parametrize("by_laptop", [False, True])
@in_virtual_time(limit=600)
async def test_a_contact_changes_nothing_of_what_an_own_entry_follows(
    tmp_path: Path, *, by_laptop: bool
) -> None:
    """It is shown as own, and the contact can neither edit nor delete it, whatever its tag is of."""
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await apart(network, desk, laptop)
        key = desk.engine._use_cases.keyring.self_keys[0]
        author = bytes.fromhex(terminal_of(laptop if by_laptop else desk))
        first = invented(desk, ben, "first", author=author)
        second = invented(desk, ben, "second", place(first), author=author)
        third = invented(desk, ben, "third", place(second), key=key, author=author)
        await sends(ben, desk, first, second, third)
        await settled(desk)
        changes = [(KIND_EDIT, edit_body(first.id, "changed")), (KIND_DELETE, delete_body([second.id]))]
        for amends in changes:
            await current(ben, desk).driver.send(entry_of(ben, desk, amends=amends))
            await talk(ben, desk, "changed")
            await settled(desk)
        ids = {one.id.hex() for one in (first, second, third)}
        shown = [(one.text, one.own, one.author) for one in await desk.history(ben) if one.id in ids]
        assert shown == [(text, True, "Ada") for text in ("first", "second", "third")]
        await desk.engine.edit(await desk.contact(ben), second.id.hex(), "mine")
        assert "mine" in await desk.texts(ben)


@in_virtual_time(limit=3 * 3_600)
async def test_what_precedes_a_claim_of_an_own_device_comes_on_the_next_link(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await apart(network, desk, laptop)
        await renewed(laptop)
        author, some = bytes.fromhex(terminal_of(laptop)), list[ParsedEntry]()
        for number in range(4):
            before = place(some[-1]) if some else None
            some.append(invented(desk, ben, f"text {number}", before, author=author))
        await hold(laptop, ben, *some)
        network.part(desk.host, ben.host)
        inbound, cut = desk.engine._use_cases.inbound, list[bytes]()
        take = inbound.entries

        async def takes(link: LiveLink, messages: list[Entry]) -> object:
            last = [one for one in messages if parse_entry(one).id == some[-1].id]
            if not last or cut:
                return await take(link, messages)
            cut.append(some[-1].id)
            done = await take(link, last)
            link.driver.abort()
            return done

        inbound.entries = takes  # type: ignore[method-assign, assignment]
        network.join(desk.host, laptop.host)
        await same_history(desk, laptop)
        assert cut
        shown = [one.text for one in await desk.history(ben) if one.claimed == "device"]
        assert shown == [f"text {number}" for number in range(4)]


@in_virtual_time(limit=3 * 3_600)
async def test_own_devices_agree_about_a_claim_that_one_has_without_its_body(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await apart(network, desk, laptop)
        await renewed(laptop)
        author = bytes.fromhex(terminal_of(laptop))
        first = invented(desk, ben, "first", author=author)
        second = invented(desk, ben, "second", place(first), author=author)
        await hold(laptop, ben, first, second)
        friend = await laptop.contact(ben)
        await laptop.engine.delete(friend, first.id.hex(), DeletionScope.HERE)
        network.part(desk.host, ben.host)
        network.join(desk.host, laptop.host)
        await same_history(desk, laptop)
        shown = [(one.kind, one.text) for one in await desk.history(ben) if one.claimed]
        assert shown == [("missing", ""), ("text", "second")]
        network.join(desk.host, ben.host)
        await dial(ben, desk)
        await sends(ben, desk, first)
        shown = [(one.kind, one.text) for one in await desk.history(ben) if one.claimed]
        assert shown == [("text", "first"), ("text", "second")]


@in_virtual_time(limit=20 * 3_600)
async def test_what_an_own_entry_follows_comes_back_when_all_is_kept_again(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        await renewed(laptop)
        key, author = desk.engine._use_cases.keyring.self_keys[0], bytes.fromhex(terminal_of(desk))
        first = invented(desk, ben, "first", author=author)
        second = invented(desk, ben, "second", place(first), key=key, author=author)
        await sends(ben, desk, first, second)
        await hold(laptop, ben, first, second)
        await hold(ben, desk, first, second)
        await settled(desk)
        await asyncio.sleep(QUIET)
        for one in (desk, laptop, ben):
            one.clock.slept_ms += 3 * 86_400_000
        await asyncio.sleep(QUIET)
        ids = {first.id.hex(), second.id.hex()}

        async def both(kind: str) -> bool:
            return [one.kind for one in await desk.history(ben) if one.id in ids] == [kind] * 2

        await desk.engine.choose_keeper((await laptop.engine.me()).terminal)
        await desk.engine.keep(1)
        await becomes(desk, partial(both, "elsewhere"))
        await desk.engine.keep(0)
        await becomes(desk, partial(both, "text"))
        assert [one.text for one in await desk.history(ben) if one.id in ids] == ["first", "second"]


async def settled(person: Person) -> None:
    """Let settle what is due: where nothing is, there is no event."""
    person.engine._use_cases.bus.signal(SettlingDue())
    await asyncio.sleep(5)


@in_virtual_time(limit=600)
async def test_a_claim_deletes_edits_cuts_and_times_nothing_until_its_key_comes(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend, parts = await ada.contact(ben), ada.engine._use_cases
        mine = bytes.fromhex(await talk(ada, ben, "mine"))
        other = bytes.fromhex(await talk(ada, ben, "hallo"))
        some = [
            invented(ada, ben, "", kind=KIND_DELETE, body=delete_body([mine])),
            invented(ada, ben, "", kind=KIND_EDIT, body=edit_body(other, "hello")),
            invented(ada, ben, "", kind=KIND_TIMER, body=timer_body(60)),
            invented(ada, ben, "", kind=KIND_CUT, body=cut_body(b"t" * 32, [CutHead(b"invented", 1, mine)])),
        ]
        await sends(ben, ada, *some)
        await settled(ada)
        assert [one.text for one in await ada.history(ben)][1:3] == ["mine", "hallo"]
        assert not parts.book.timers.get(ben.peer.person)
        text = invented(ada, ben, "claimed")
        await sends(ben, ada, text)
        theirs = entry_of(ben, ada, amends=(KIND_DELETE, delete_body([text.id])))
        await current(ben, ada).driver.send(theirs)
        await talk(ben, ada, "the contact deletes its claim")
        assert "claimed" in await ada.texts(ben)
        await renewed(ada)
        await becomes(ada, partial(is_own, ada, ben, text))
        await settled(ada)
        history = await ada.history(ben)
        assert [(one.kind, one.text, one.own) for one in history if one.id in {mine.hex(), other.hex()}] == [
            ("deleted", "", True),
            ("text", "hello", True),
        ]
        assert [one.own for one in history if one.text == "claimed"] == [True]
        assert parts.book.timers.get(ben.peer.person) == 60
        assert (await ada.engine.details(friend, text.id.hex())).claimed == ""


@in_virtual_time(limit=600)
async def test_a_claim_that_was_deleted_here_stays_so(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        text = invented(ada, ben, "I never wrote this")
        await sends(ben, ada, text)
        assert [view.text for view in await found(ada, "never")] == ["I never wrote this"]
        await ada.engine.delete(await ada.contact(ben), text.id.hex())
        await sends(ben, ada, text)
        await renewed(ada)
        await becomes(ada, partial(is_own, ada, ben, text))
        (view,) = [one for one in await ada.history(ben) if one.id == text.id.hex()]
        assert (view.kind, view.deleted_by, view.own) == ("deleted", "here", True)
        assert await found(ada, "never") == []


async def found(person: Person, words: str) -> list[EntryView]:
    return list(await person.engine.search(words))


@in_virtual_time
async def test_claims_stay_so_in_a_backup_and_when_the_profile_is_damaged(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        claim = invented(ada, ben, "I owe you")
        await sends(ben, ada, claim)
        await talk(ada, ben, "mine")
        path = tmp_path / "backup"
        made = await back_up(ada, path)
        view = await asyncio.to_thread(restore_new, tmp_path / "restored", path)
        assert view.root == made.root
        other = await started(ada, tmp_path / "restored")
        assert await claims_of(other, ben) == ["I owe you"]
        assert [one.own for one in await other.history(ben) if one.text == "mine"] == [True]
        await other.stop()
        pages = [await root_of(ada, table) for table in ("claims", "claims_by_conversation")]
        await ada.stop()
        whole = (ada.folder / "history.db").read_bytes()
        for page in (None, *pages):
            (ada.folder / "history.db").write_bytes(whole)
            if page is not None:
                flip(ada.folder, page)
            saved = tmp_path / f"saved {page}"
            await asyncio.to_thread(salvage, ada.folder, saved, recovery=True)
            folder = saved.with_suffix(".restored")
            await asyncio.to_thread(
                restoring.restore_new, folder, PASSPHRASE, restoring.Asked(saved, OWN), os.urandom, CHEAPEST
            )
            other = await started(ada, folder)
            assert [one.claimed for one in await other.history(ben) if one.claimed] == ["contact"]
            assert [one.own for one in await other.history(ben) if one.text == "mine"] == [True]
            await other.stop()
            await ada.start()
            assert [one.text for one in await ada.history(ben) if one.claimed == "contact"] == ["I owe you"]
            assert [one.own for one in await ada.history(ben) if one.text == "mine"] == [True]
            await ada.stop()
        await ada.start()


async def draws(person: Person) -> None:
    """A terminal signs a Renew, and tags with what it draws."""
    log, parts = person.engine._use_cases.own_log, person.engine._use_cases
    held = await log._held()
    signed, drawn = renew_upon(held.operations, held.pins, parts.keyring.own, parts.runtime.random)
    await log._add([signed], drawn=[drawn])


@in_virtual_time(limit=600)
async def test_words_under_a_key_that_was_drawn_after_the_backup_come_back_as_claims(tmp_path: Path) -> None:
    """The contact has them, and passes them once the restored device has paired again."""
    async with in_touch(tmp_path) as (_, ada, ben):
        path = tmp_path / "backup"
        await back_up(ada, path)
        await draws(ada)
        await talk(ada, ben, "under the new key")
        await ada.stop()
        await asyncio.to_thread(restore_new, tmp_path / "restored", path)
        other = await started(ada, tmp_path / "restored")
        try:
            (contact,) = await ben.engine.contacts()
            shown = other.wait(EntryAdded, lambda event: event.entry.text == "under the new key")
            await invite(other, ben)
            await ben.engine.verify(
                contact.person, (await ben.engine.verification(contact.person)).numbers[0]
            )
            view = (await shown).entry
            assert (view.claimed, view.own) == ("contact", False)
            assert [one.own for one in await other.history(ben) if one.text == "before"] == [True]
        finally:
            await other.stop()


@in_virtual_time(limit=600)
async def test_a_claim_ends_with_its_timer_and_goes_with_the_contact(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend, parts = await ada.contact(ben), ada.engine._use_cases
        own = parts.keyring.own
        place_of = EntryPlace(
            conversation_of_two(own.person, ben.peer.person),
            own.terminal,
            b"invented",
            None,
            [],
            parts.keyring.own_log.heads,
        )
        timed = write_entry(
            place_of, ada.clock.wall(), KIND_TEXT, text_body("short"), LOST, parts.runtime.random, 60
        )
        await sends(ben, ada, timed, invented(ada, ben, "stays"))
        assert set(await claims_of(ada, ben)) == {"short", "stays"}
        await becomes(ada, partial(holds_kind, ada, ben, "expired"))
        assert [one.kind for one in await ada.history(ben) if one.id == timed.id.hex()] == ["expired"]
        assert sorted(await claims_of(ada, ben)) == ["", "stays"]
        await ada.engine.remove(friend)

        async def none_left() -> bool:
            return not await parts.store.read(Database.value, "SELECT count(*) FROM claims")

        await becomes(ada, none_left)


@in_virtual_time(limit=900)
async def test_a_claimed_cut_takes_the_place_of_no_genuine_one(tmp_path: Path) -> None:
    """The contact says that the desk has cut the laptop after its first text."""
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        first = bytes.fromhex(await talk(laptop, ben, "first"))
        await talk(laptop, ben, "second")
        await same_history(desk, laptop)
        await desk.engine.remove_terminal(terminal_of(laptop))
        await becomes(desk, partial(holds_kind, desk, ben, "cut"))
        author, store = bytes.fromhex(terminal_of(laptop)), desk.engine._use_cases.store
        row = await store.read(entries.get, first)
        assert row is not None
        cut = cut_body(author, [CutHead(row.incarnation, row.sequence, first)])
        await sends(ben, desk, invented(desk, ben, "", kind=KIND_CUT, body=cut))
        await settled(desk)
        assert [one.quarantined for one in await desk.history(ben) if one.text in {"first", "second"}] == [
            False,
            False,
        ]


@in_virtual_time(limit=600)
async def test_a_claim_of_a_removed_device_counts_no_more_than_its_cut_says_when_its_key_comes(
    tmp_path: Path,
) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        await talk(laptop, ben, "first")
        await same_history(desk, laptop)
        await desk.engine.remove_terminal(terminal_of(laptop))
        await becomes(desk, partial(holds_kind, desk, ben, "cut"))
        late = invented(desk, ben, "late", author=bytes.fromhex(terminal_of(laptop)))
        await sends(ben, desk, late)
        assert await claims_of(desk, ben) == ["late"]
        await renewed(desk)
        await becomes(desk, partial(is_own, desk, ben, late))
        await settled(desk)
        shown = {one.text: (one.claimed, one.quarantined) for one in await desk.history(ben)}
        assert (shown["first"], shown["late"]) == (("", False), ("", True))
