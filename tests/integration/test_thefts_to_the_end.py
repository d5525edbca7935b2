"""Thefts, from the first act of the thief to what is left after the owner's one cure (SPEC §7.3)."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from chat.interface import AlertKind
from chat.network.driver import Driver, Handler
from chat.service.drawing import renew_upon
from protocol.codec import encode
from protocol.entries_and_receipts import (
    KIND_STATE,
    KIND_TEXT,
    EntryPlace,
    ParsedEntry,
    conversation_of,
    sign_entry,
    text_body,
    write_entry,
)
from protocol.identity.author import recovery_words
from protocol.identity.drawing import self_key
from protocol.identity.log import Rename, parse_operation, sign_operation
from protocol.identity.reduction import NO_PINS, Standing
from protocol.limits import LINK_SECONDS_MAX, LOG_OPERATIONS_MAX
from protocol.link.states import LinkOpen
from protocol.messages import LogHeads, LogOperations, Message, RenewedShare, StateWrite, SwitchValue
from protocol.notes import Register, state_body, subject
from protocol.pairing.contact_secret import pairing_id
from tests.integration.steps import current, in_touch, meet, number_of, seed_in
from tests.integration.test_claims import claims_of, invented
from tests.integration.test_old_copies import alarm, keep
from tests.integration.test_own_entries import blocked, forged, is_claim, last_notes, view
from tests.integration.test_own_terminals import linked, terminal_of
from tests.integration.test_renewal import best, keyring, pair_of, three_and_ben
from tests.integration.test_runs_twice import copy_of
from tests.support.engines.engines import Person, in_virtual_time, own_log, pair, people, recover, talk

SECRET = bytes(range(32))
"""What a removed device draws."""


@in_virtual_time(limit=20_000)
async def test_case_c10_a_copy_that_only_listens_is_told_to_its_owner_and_reads_nothing_after_the_cure(
    tmp_path: Path,
) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        words = recovery_words(await seed_in(ada))
        await ada.stop()
        thief = copy_of(ada, tmp_path / "copy", network)
        await ada.start()
        await asyncio.sleep(30)
        found = alarm(ada, AlertKind.TWO_COPIES)
        await thief.start()
        await found
        await talk(ben, ada, "read by both")
        await asyncio.sleep(2 * LINK_SECONDS_MAX)
        assert "read by both" in await thief.texts(ben)
        await recover(ada, tuple(words), (terminal_of(ada),))
        await asyncio.sleep(120)
        await ben.engine.verify(await ben.contact(ada), await number_of(ada, ben))
        await talk(ben, ada, "for Ada alone")
        await talk(ada, ben, "from Ada alone")
        await asyncio.sleep(2 * LINK_SECONDS_MAX)
        assert {"for Ada alone", "from Ada alone"} <= {*await ada.texts(ben)}
        assert not {"for Ada alone", "from Ada alone"} & {*await thief.texts(ben)}
        assert not linked(thief, ben)
        await thief.stop()


@pytest.mark.parametrize("wrote", [False, True])
@in_virtual_time(limit=3_600)
async def test_case_c6_what_a_removed_device_signs_in_its_own_name_changes_nothing(
    tmp_path: Path, wrote: bool
) -> None:
    """The laptop does not know of the removal yet, and has a link with the thief alone."""
    async with three_and_ben(tmp_path) as (network, desk, laptop, phone, ben):
        victim = await talk(desk, ben, "genuine text of the desk")
        honest = ""
        if wrote:
            await phone.engine.send(await phone.contact(phone), "honest note of the phone")
            honest = await talk(phone, ben, "honest text of the phone")
        await asyncio.sleep(60)
        for other in (desk, ben):
            network.part(laptop.host, other.host)
            network.part(phone.host, other.host)
        await asyncio.sleep(40)
        await desk.engine.remove_terminal(terminal_of(phone), True)
        await asyncio.sleep(60)
        assert linked(laptop, phone)
        assert not linked(desk, phone)
        debt = signed(phone, desk, KIND_TEXT, text_body("I owe Ben 10,000"), person=ben.peer.person)
        blocks = [StateWrite(Register.BLOCKED, subject(ben.peer.person), encode(SwitchValue(on=True)))]
        deletes = [StateWrite(Register.DELETED, bytes.fromhex(victim), b"")]
        last = await last_notes(laptop)
        notes = [
            signed(phone, desk, KIND_STATE, state_body(writes), parents=last) for writes in (blocks, deletes)
        ]
        for one in (debt, *notes):
            await current(phone, laptop).driver.send(one.passed())
        await asyncio.sleep(20)
        assert await blocked(laptop) == [True], "the laptop cannot know yet"
        await phone.stop()
        for other in (desk, ben):
            network.join(laptop.host, other.host)
        await asyncio.sleep(300)
        assert await blocked(desk, laptop) == [False, False]
        genuine = await view(desk, ben, victim)
        assert genuine is not None
        assert (genuine.own, genuine.text) == (True, "genuine text of the desk")
        for device, other in ((desk, ben), (laptop, ben), (ben, desk)):
            invented = await view(device, other, debt.id.hex())
            assert invented is None or invented.quarantined
            before = await view(device, other, honest)
            assert not wrote or (before is not None and not before.quarantined)
        await talk(desk, ben, "not blocked")
        await talk(ben, laptop, "nor here")


def signed(
    thief: Person, desk: Person, kind: int, body: bytes, *, person: bytes = b"", parents: Sequence[bytes] = ()
) -> ParsedEntry:
    """What a stolen device writes in its own name, with its signature."""
    own, drawn = keyring(thief).own, thief.engine._use_cases.runtime.random(8)
    made = forged(
        keyring(thief), desk, own.terminal, kind, body, person=person, incarnation=drawn, parents=parents
    )
    return sign_entry(made, own.signing_seed)


@in_virtual_time(limit=7_200)
async def test_case_c4_a_contact_brings_no_key_that_a_removed_device_drew(tmp_path: Path) -> None:
    """The thief draws upon what it knew before its removal, and its accomplice passes that on and uses it."""
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        thief, before = keyring(phone).own, await own_log(phone)
        await phone.stop()
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        key, secret = keyring(desk).self_keys[0], best(ben, desk)
        late, drawn = renew_upon(before, NO_PINS, thief, lambda size: SECRET[:size])
        for device in (desk, laptop):
            link = current(ben, device)
            await link.driver.send(LogOperations([late]))
            debt = invented(device, ben, "I owe Ben 10,000", key=self_key(drawn.secret))
            await link.driver.send(debt.message())
            await asyncio.sleep(20)
            assert await is_claim(device, ben, debt)
        await asyncio.sleep(2 * LINK_SECONDS_MAX)
        for device in (desk, laptop):
            assert keyring(device).own_log.drawn.get(drawn.operation, Standing.FALLEN) is Standing.FALLEN
            assert keyring(device).self_keys[0] == key
            assert best(device, ben) == best(ben, device) == secret
            assert await claims_of(device, ben) == ["I owe Ben 10,000"]
            await talk(device, ben, "under the key of the removal")


@in_virtual_time(limit=3_600)
async def test_case_c5_a_contact_that_says_it_holds_nothing_of_the_log_shuts_nobody_out(
    tmp_path: Path,
) -> None:
    """Mallory is the first whom the older image of the only device meets."""
    async with people(tmp_path, "Ada", "Ben", "Mallory") as (network, (ada, ben, mallory)):
        await pair(ada, ben)
        await meet(ada, mallory)
        await ada.stop()
        image = tmp_path / "image"
        keep(ada, image)
        await ada.start()
        await asyncio.sleep(20)
        await ada.engine.rename_self("Ada B.")
        await asyncio.sleep(20)
        await ada.stop()
        shutil.rmtree(ada.folder)
        shutil.copytree(image, ada.folder)
        network.part(ada.host, ben.host)
        said = say_nothing_of(mallory, ada)
        await ada.start()
        await asyncio.sleep(60)
        assert linked(ada, mallory)
        assert said
        await ada.engine.rename_self("Ada C.")
        network.join(ada.host, ben.host)
        await asyncio.sleep(200)
        log, own = keyring(ben).log(ada.peer.person), keyring(ada).own.terminal
        assert [*log.live] == [*log.copied] == [own]
        for friend in (ben, mallory):
            await talk(ada, friend, "as before")
            await talk(friend, ada, "and back")


@in_virtual_time(limit=3_600)
async def test_a_thief_that_shows_each_holder_another_full_log_is_removed_at_all(tmp_path: Path) -> None:
    """What the removal follows has no room with what the others hold, and fills a message before it."""
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        own, chains = keyring(phone).own, list[list[bytes]]()
        for word in ("a", "b"):
            heads, made = keyring(phone).own_log.heads, list[bytes]()
            for number in range(LOG_OPERATIONS_MAX):
                rename = Rename(own.person, own.terminal, list(heads), f"{word}{number}")
                made.append(sign_operation(rename, own.signing_seed))
                heads = (parse_operation(made[-1]).id,)
            chains.append(made)
        shown = ((desk, chains[0]), (laptop, chains[1]), (ben, chains[1]))
        sent = (current(phone, one).driver.send(LogOperations(made)) for one, made in shown)
        await asyncio.gather(*sent)
        await asyncio.sleep(60)
        names = [keyring(one).log(own.person).name for one in (desk, laptop, ben)]
        assert names == ["a255", "b255", "b255"]
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(LINK_SECONDS_MAX)
        for one in (desk, laptop, ben):
            assert own.terminal not in keyring(one).log(own.person).live
        await talk(ben, laptop, "for Ada alone")
        await asyncio.sleep(60)
        assert "for Ada alone" not in await phone.texts(ben)


@in_virtual_time(limit=3_600)
async def test_what_the_owner_writes_after_a_removal_comes_after_all_that_the_thief_wrote(
    tmp_path: Path,
) -> None:
    """The thief's last note comes after a long chain, and is one of more tips than a note can name."""
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        keys, place = keyring(phone), None
        notes = conversation_of(keys.own.person, keys.own.person)

        def note(kind: int, body: bytes, previous: tuple[int, bytes] | None = None) -> ParsedEntry:
            drawn = b"chained!" if previous else os.urandom(8)
            upon = EntryPlace(notes, keys.own.terminal, drawn, previous, (), keys.own_log.heads)
            made = write_entry(upon, phone.clock.wall(), kind, body, keys.self_keys[0], os.urandom)
            return sign_entry(made, keys.own.signing_seed)

        written = list[ParsedEntry]()
        for _ in range(64):
            written.append(note(KIND_TEXT, text_body("x"), place))
            place = (written[-1].header.sequence, written[-1].id)
        blocks = [StateWrite(Register.BLOCKED, subject(ben.peer.person), encode(SwitchValue(on=True)))]
        last = note(KIND_STATE, state_body(blocks), place)
        while last.id[0] < 0xE0:  # by no chance among the lowest ids
            last = note(KIND_STATE, state_body(blocks), place)
        written += [last, *(note(KIND_TEXT, text_body("y")) for _ in range(64))]
        for one in written:
            await current(phone, desk).driver.send(one.passed())
        await asyncio.sleep(60)
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        assert await blocked(desk, laptop) == [True, True]
        await desk.engine.block(await desk.contact(ben), False)
        await asyncio.sleep(60)
        assert await blocked(desk, laptop) == [False, False]


def say_nothing_of(liar: Person, other: Person) -> list[LogHeads]:
    """A contact names no heads of a log, and passes nothing of it; what it names from now on."""
    said, parts, person = list[LogHeads](), liar.engine._use_cases, other.peer.person
    adopt = parts.sync.adopt

    async def lying(driver: Driver, opened: LinkOpen) -> Handler | None:
        send = driver.send

        async def sending(message: Message) -> None:
            if isinstance(message, LogHeads) and message.person == person:
                said.append(LogHeads(person, []))
                message = said[-1]
            if not isinstance(message, LogOperations):
                await send(message)

        driver.send = sending  # type: ignore[method-assign]
        return await adopt(driver, opened)

    parts.acceptor._adopt_contact = lying
    parts.dialer._adopt = lying
    return said


@in_virtual_time(limit=3_600)
async def test_case_c1_a_contact_that_gives_two_shares_of_each_draw_ends_nothing(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, mallory):
        own, held = keyring(mallory).own, await own_log(mallory)
        link, pairing = current(mallory, ada), pairing_id(pair_of(mallory, ada).root)
        faults = list[object]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        for number in range(4):
            renew, drawn = renew_upon(held, NO_PINS, own, mallory.engine._use_cases.runtime.random)
            held.append(renew)
            await link.driver.send(LogOperations([renew]))
            for share in (bytes([number]) * 32, bytes([number + 100]) * 32):
                await link.driver.send(RenewedShare(pairing, drawn.operation, share))
            await asyncio.sleep(5)
            assert pair_of(ada, mallory).theirs[0].operation == drawn.operation
            assert pair_of(ada, mallory).theirs[0].share == bytes([number]) * 32
        assert current(mallory, ada) is link
        await talk(ada, mallory, "on the same link")
        await asyncio.sleep(2 * LINK_SECONDS_MAX)
        await talk(mallory, ada, "on the next")
        await talk(ada, mallory, "and back")
        assert faults == []
