"""What shows that this person wrote an entry (SPEC §11.2, *Signatures* and *Claims*).

Among own devices a signature does, and from a contact the newest self key. Who had a device or a backup of a
person once, and is its contact or helps one, changes nothing of what the person said.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.interface import EntryView
from chat.network.links import LiveLink
from chat.service.keyring import Keyring
from chat.storage.database import Database
from protocol.codec import encode
from protocol.entries_and_receipts import (
    KIND_CUT,
    KIND_DELETE,
    KIND_EDIT,
    KIND_STATE,
    KIND_TEXT,
    KIND_TIMER,
    EntryPlace,
    ParsedEntry,
    Signed,
    conversation_of,
    cut_body,
    delete_body,
    edit_body,
    sign_entry,
    take_entry,
    text_body,
    timer_body,
    write_entry,
)
from protocol.identity.author import recovery_words
from protocol.identity.log import Remove, sign_operation
from protocol.messages import (
    CutHead,
    Entry,
    LogOperations,
    Message,
    SignedEntry,
    StateWrite,
    SwitchValue,
)
from protocol.notes import Register, state_body, subject
from tests.integration.steps import current, in_touch, seed_in
from tests.integration.test_accomplices import say_yes
from tests.integration.test_own_terminals import LAPTOP, linked, terminal_of
from tests.integration.test_renewal import PHONE, copied, keyring, three_and_ben
from tests.support.engines.engines import Person, in_virtual_time, recover, talk
from tests.support.engines.terminals import add_terminal


def forged(
    thief: Keyring,
    desk: Person,
    author: bytes,
    kind: int,
    body: bytes,
    *,
    person: bytes = b"",
    incarnation: bytes = b"forged!!",
    back: int = 0,
    parents: Sequence[bytes] = (),
) -> ParsedEntry:
    """What a thief with a copy of a device writes in the name of a device, to a person or into the notes."""
    own = thief.own
    conversation = conversation_of(own.person, person or own.person)
    place = EntryPlace(conversation, author, incarnation, None, parents, thief.own_log.heads)
    return write_entry(place, desk.clock.wall() - back, kind, body, thief.self_keys[0], os.urandom)


async def last_notes(person: Person) -> list[bytes]:
    """The notes that come last: what follows them rules."""
    notes = conversation_of(person.peer.person, person.peer.person)

    def read(database: Database) -> list[bytes]:
        rows = database.rows(
            "SELECT e.id FROM entries AS e JOIN conversations AS c ON c.number = e.conversation"
            " WHERE c.id = ? ORDER BY e.rank DESC LIMIT 3",
            notes,
        )
        return sorted(row[0] for row in rows)

    return await person.engine._use_cases.store.read(read)


async def view(person: Person, other: Person, entry: str) -> EntryView | None:
    return next((one for one in await person.history(other) if one.id == entry), None)


async def is_claim(person: Person, other: Person, entry: ParsedEntry) -> bool:
    shown = await view(person, other, entry.id.hex())
    return shown is not None and bool(shown.claimed) and not shown.own


@in_virtual_time(limit=3_600)
async def test_with_an_old_self_key_a_contact_invents_edits_and_deletes_nothing(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        genuine = await talk(desk, ben, "I will NOT pay")
        second = await talk(desk, ben, "second genuine")
        thief = copied(phone)
        honest = await talk(phone, ben, "honest text of the phone")
        desk_id, phone_id = (bytes.fromhex(terminal_of(one)) for one in (desk, phone))
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(600)
        await talk(desk, ben, "long after the removal")

        def forge(kind: int, body: bytes, author: bytes = desk_id, back: int = 0) -> ParsedEntry:
            drawn = os.urandom(8)
            return forged(
                thief, desk, author, kind, body, person=ben.peer.person, incarnation=drawn, back=back
            )

        debt = forge(KIND_TEXT, text_body("I owe Ben 10,000"), back=700_000)
        edit = forge(KIND_EDIT, edit_body(bytes.fromhex(genuine), "I WILL pay 10,000"))
        gone = forge(KIND_DELETE, delete_body([bytes.fromhex(second)]))
        timer = forge(KIND_TIMER, timer_body(5))
        late = forge(KIND_TEXT, text_body("Ada's phone, after its removal"), phone_id)
        head = CutHead(late.header.incarnation, 1, late.id)
        cut = forge(KIND_CUT, cut_body(phone_id, [head]))
        for one in (debt, edit, gone, timer, late, cut):
            for device in (desk, laptop):
                await current(ben, device).driver.send(one.message())
        await talk(ben, desk, "poll")
        await asyncio.sleep(300)
        for device in (desk, laptop):
            for invented in (debt, timer, late, cut):
                assert await is_claim(device, ben, invented)
            for text, said in ((genuine, "I will NOT pay"), (second, "second genuine")):
                shown = await view(device, ben, text)
                assert shown is not None
                assert (shown.own, shown.text, shown.edited, shown.deleted_by) == (True, said, False, "")
            from_phone = await view(device, ben, honest)
            assert from_phone is not None
            assert (from_phone.own, from_phone.quarantined) == (True, False)
            assert device.engine._use_cases.book.timers.get(ben.peer.person, 0) == 0


async def blocked(*who: Person) -> list[bool]:
    return [one.blocked for each in who for one in await each.engine.contacts()]


@in_virtual_time(limit=3_600)
async def test_a_stolen_device_writes_nothing_in_the_name_of_another_one(tmp_path: Path) -> None:
    """The laptop does not know of the removal yet, and has a link with the thief alone."""
    async with three_and_ben(tmp_path) as (network, desk, laptop, phone, ben):
        victim = await talk(desk, ben, "genuine text of the desk")
        await asyncio.sleep(60)
        for other in (desk, ben):
            network.part(laptop.host, other.host)
            network.part(phone.host, other.host)
        await asyncio.sleep(40)
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        assert linked(laptop, phone)
        thief, desk_id = keyring(phone), bytes.fromhex(terminal_of(desk))
        blocks = [StateWrite(Register.BLOCKED, subject(ben.peer.person), encode(SwitchValue(on=True)))]
        deletes = [StateWrite(Register.DELETED, bytes.fromhex(victim), b"")]
        notes, last = list[ParsedEntry](), await last_notes(laptop)
        for writes in (blocks, deletes):
            body, drawn = state_body(writes), os.urandom(8)
            notes.append(forged(thief, desk, desk_id, KIND_STATE, body, incarnation=drawn, parents=last))
        debt = forged(
            thief, desk, desk_id, KIND_TEXT, text_body("IOU, in the desk's name"), person=ben.peer.person
        )
        own = thief.own
        for bare in (*notes, debt):
            taken = replace(bare, signed=take_entry(bare.id, own.terminal, own.signing_seed))
            for message in (bare.message(), taken.passed()):
                await current(phone, laptop).driver.send(message)
        await asyncio.sleep(20)
        assert linked(laptop, phone)
        for bare in (*notes, debt):  # a signature of the desk ends the link: the thief has none
            signature = sign_entry(bare, own.signing_seed).signed
            assert signature is not None
            as_desk = replace(bare, signed=Signed(desk_id, signature.signature))
            link = current(phone, laptop)
            await link.driver.send(as_desk.passed())
            await asyncio.sleep(5)
            assert link.driver.aborted or not link.driver.link.is_open
            await asyncio.sleep(60)
        await phone.stop()
        for other in (desk, ben):
            network.join(laptop.host, other.host)
        await asyncio.sleep(300)
        assert await blocked(desk, laptop) == [False, False]
        for device in (desk, laptop):
            shown = await view(device, ben, victim)
            assert shown is not None
            assert shown.text == "genuine text of the desk"
            invented = await view(device, ben, debt.id.hex())
            assert invented is None or (not invented.own and invented.claimed)


def _signed(database: Database) -> dict[str, bool]:
    """By id, whether an own entry, of a person or of the notes, has a signature."""
    rows = database.rows(
        "SELECT e.id, e.number IN (SELECT entry FROM signatures) FROM entries AS e WHERE e.author IN"
        " (SELECT terminal FROM person_terminals WHERE person = (SELECT person FROM own))"
    )
    return {entry.hex(): bool(signed) for entry, signed in rows}


@in_virtual_time(limit=900)
async def test_signatures_go_to_own_devices_and_to_no_contact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, _, ben):
        seen: dict[str, set[type]] = {}

        def watch(link: LiveLink, name: str) -> None:
            send = link.driver.send

            async def told(message: Message) -> None:
                if isinstance(message, Entry):
                    seen.setdefault(name, set()).add(type(message))
                await send(message)

            monkeypatch.setattr(link.driver, "send", told)

        watch(current(desk, ben), "ben")
        watch(current(desk, laptop), "laptop")
        await talk(desk, ben, "hello")
        await asyncio.sleep(60)
        assert seen == {"ben": {Entry}, "laptop": {SignedEntry}}
        held = [await one.engine._use_cases.store.read(_signed) for one in (desk, laptop)]
        assert held[0] == held[1]
        assert all(held[0].values())


@in_virtual_time(limit=7_200)
async def test_what_a_contact_alone_has_from_before_a_removal_is_taken_by_one_act(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (network, desk, laptop, phone, ben):
        for own in (desk, laptop):
            for other in (phone, ben):
                network.part(own.host, other.host)
        await asyncio.sleep(40)
        first = await talk(phone, ben, "written on the way")
        second = await talk(phone, ben, "and soon after")
        await phone.stop()
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        network.join(ben.host, desk.host)
        await asyncio.sleep(3_600)
        friend = await desk.contact(ben)
        for entry in (first, second):
            shown = await view(desk, ben, entry)
            assert shown is not None
            assert (shown.own, shown.claimed) == (False, "earlier")
            assert shown.before is not None
            assert await view(laptop, ben, entry) is None  # what a contact claims goes to no other device
        assert await desk.engine.takeable(friend) == 2
        assert await desk.engine.take_earlier(friend) == 2
        assert await desk.engine.takeable(friend) == 0
        assert await desk.engine.take_earlier(friend) == 0
        await asyncio.sleep(120)
        for device in (desk, laptop):
            for entry in (first, second):
                shown = await view(device, ben, entry)
                assert shown is not None
                assert (shown.own, shown.claimed, shown.quarantined) == (True, "", False)
        # What a device took counts as long as that device is one of its person's.
        network.join(ben.host, laptop.host)
        words = recovery_words(await seed_in(desk))
        await recover(laptop, tuple(words), (terminal_of(desk),))
        await asyncio.sleep(120)
        shown = await view(laptop, ben, first)
        assert shown is not None
        assert (shown.own, shown.quarantined) == (True, True)


@in_virtual_time(limit=3_600)
async def test_a_backdated_removal_of_the_drawer_brings_no_replaced_key_back(tmp_path: Path) -> None:
    """The thief of the first device knows the earlier keys, and expels the device that drew the newest one.

    A contact passes that removal to the device that is left, which draws then, and words before and after.
    """
    async with in_touch(tmp_path) as (_, desk, ben):
        laptop = await add_terminal(desk, LAPTOP)
        await asyncio.sleep(10)
        phone = await add_terminal(laptop, PHONE)
        await asyncio.sleep(10)
        await say_yes(laptop)
        thief, words = copied(desk), recovery_words(await seed_in(desk))
        await desk.stop()
        await recover(laptop, tuple(words), (terminal_of(desk),))
        await asyncio.sleep(60)
        await say_yes(phone)
        await asyncio.sleep(120)
        own, drawn = keyring(phone).own, keyring(phone).self_keys[0]
        added = keyring(phone).own_log.live[own.terminal].operation
        assert drawn == keyring(laptop).self_keys[0] not in thief.self_keys
        # What it keeps of the laptop is the adding of the phone alone.
        heads = list(thief.own_log.heads)
        remove = Remove(own.person, thief.own.terminal, heads, keyring(laptop).own.terminal, [added])
        expels = sign_operation(remove, thief.own.signing_seed)
        debts = [
            forged(
                *(thief, phone, own.terminal, KIND_TEXT, text_body(text)),
                person=ben.peer.person,
                incarnation=os.urandom(8),
            )
            for text in ("I owe Ben", "I owe Ben more")
        ]
        link = current(ben, phone)
        for message in (debts[0].message(), LogOperations([expels]), debts[1].message()):
            await link.driver.send(message)
        await asyncio.sleep(300)
        assert [*keyring(phone).own_log.live] == [own.terminal]
        assert keyring(phone).self_keys[0] not in {drawn, *thief.self_keys}
        for debt in debts:
            assert await is_claim(phone, ben, debt)
        for one in (laptop, phone):
            await one.engine.close()
