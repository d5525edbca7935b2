"""An invitation whose joiner is turned away, and a pairing of which the last message or a write fails."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from chat.errors import CUT, PENDING, PROBLEM, REFUSED
from chat.interface import ContactChanged, Notice, PairingChanged, PairingStage, ParlourError
from chat.ports import Connection
from chat.service.pairing.session import REFUSED_HERE, SUPERSEDED
from chat.storage import keys
from chat.storage.errors import StorageBroken
from protocol.identity.author import add_operation
from protocol.identity.log import sign_operation, terminal_id
from protocol.keys import X25519Pair
from protocol.limits import INVITATIONS_TRIED_MAX
from protocol.link.framing import Pattern
from protocol.link.handshake import Initiator
from protocol.link.link import Link
from protocol.link.states import Event, LinkOpen
from protocol.pairing.invitation import parse_invitation
from protocol.pairing.pairing import Pairing
from protocol.pairing.record import Identity
from protocol.primitives import ed25519_from_seed
from tests.integration.steps import join, late, now
from tests.support.engines.engines import Person, in_virtual_time, invite, people, take_in, talk
from tests.support.fakes.network import MemoryTransport
from tests.support.protocol.samples import seeded


async def is_forgotten(person: Person) -> bool:
    """Whether no invitation is left, neither in memory nor in the profile."""
    parts = person.engine._use_cases
    await asyncio.sleep(1)
    return not parts.keyring.invitations and not await parts.store.read(keys.invitations)


def sign_add(person: Person, static: bytes) -> bytes:
    """An Add of the person's own log by its terminal; nothing is stored."""
    keyring, seed = person.engine._use_cases.keyring, b"s" * 32
    claim = add_operation(keyring.own_log, keyring.own.terminal, ed25519_from_seed(seed), static, "laptop")
    return sign_operation(claim, keyring.own.signing_seed, seed)


async def used(ada: Person, ben: Person) -> tuple[str, PairingChanged]:
    """An invitation of Ada's that Ben uses, and the question that Ada is asked."""
    text = (await ada.engine.invite()).text
    asked = ada.stage(PairingStage.JOINER)
    await ben.engine.join(text)
    return text, await asked


@in_virtual_time
async def test_a_joiner_who_is_declined_ends_the_invitation(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        text, asked = await used(ada, ben)
        assert asked.pairing.invitation == text
        assert text not in repr(asked.pairing)
        failed, told = ada.stage(PairingStage.FAILED), ben.stage(PairingStage.FAILED)
        await ada.engine.answer_pairing(asked.pairing.id, False)
        assert (await failed).pairing.problem == REFUSED_HERE
        assert (await told).pairing.problem == REFUSED
        assert await is_forgotten(ada)


@in_virtual_time
async def test_a_joiner_whose_record_is_refused_ends_the_invitation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mallory shows Ada's own key as that of his terminal."""
    async with people(tmp_path, "Ada", "Mallory") as (_, (ada, mallory)):
        parts = mallory.engine._use_cases
        static = ada.engine._use_cases.keyring.identity.static.public
        await take_in(mallory, sign_add(mallory, static), confirmed=True)
        claimed = terminal_id(ed25519_from_seed(b"s" * 32), static)
        identity = parts.pairings.identity

        async def claiming() -> Identity:
            return replace(await identity(), terminal=claimed, signing_seed=b"s" * 32)

        monkeypatch.setattr(parts.pairings, "identity", claiming)
        text = (await ada.engine.invite()).text
        failed = ada.stage(PairingStage.FAILED)
        await mallory.engine.join(text)
        pairing = (await failed).pairing
        assert (pairing.problem, pairing.invitation) == (PROBLEM, text)
        assert await is_forgotten(ada)


@in_virtual_time
async def test_a_joiner_whose_connection_was_cut_comes_again(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        text, _ = await used(ada, ben)
        failed = ada.stage(PairingStage.FAILED)
        network.unplug(ben.host)
        pairing = (await failed).pairing
        assert (pairing.problem, pairing.invitation) == (CUT, text)
        await join(ada, ben, text)
        assert await is_forgotten(ada)


async def by_invitation(ada: Person, ben: Person) -> None:
    _, asked = await used(ada, ben)
    await ada.engine.answer_pairing(asked.pairing.id, True)


async def by_words(ada: Person, ben: Person) -> None:
    words = ada.stage(PairingStage.WORDS), ben.stage(PairingStage.WORDS)
    await ada.engine.pair_nearby((await ada.sees("Ben")).instance)
    mine, theirs = await asyncio.gather(*words)
    await ada.engine.answer_pairing(mine.pairing.id, True)
    await ben.engine.answer_pairing(theirs.pairing.id, True)


@pytest.mark.parametrize("way", [by_invitation, by_words])
@in_virtual_time
async def test_a_lost_accept_says_that_the_contact_is_stored(
    tmp_path: Path, way: Callable[[Person, Person], Awaitable[None]]
) -> None:
    """Both have stored the contact. Ada, who gets no Accept, has it when they meet again."""
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        late(ben.engine._use_cases.pending, "store", 20)  # Ben's Accept is not sent yet
        failed = ada.stage(PairingStage.FAILED)
        await way(ada, ben)
        await asyncio.sleep(10)
        network.unplug(ben.host)
        assert (await failed).pairing.problem == PENDING
        assert [contact.pending for contact in ada.engine._use_cases.keyring.contacts.values()] == [True]
        paired = ada.wait(ContactChanged, lambda event: event.contact.present)
        await paired


ENDED = PairingStage.DONE, PairingStage.FAILED


@contextmanager
def breaking(person: Person, number: int, *, stays: bool = False) -> Iterator[None]:
    """Let the database fail once, at its use after so many others, or `stays`: at all from then on."""
    store, uses = person.engine._use_cases.store, itertools.count()
    real = store.run

    async def run(work: Callable[[], Any]) -> Any:
        if (use := next(uses)) == number or (stays and use > number):
            raise StorageBroken
        return await real(work)

    store.run = run  # type: ignore[method-assign]
    yield
    store.run = real  # type: ignore[method-assign]


@in_virtual_time
async def test_an_inviter_hears_that_the_disk_kept_an_invitation_from_being_used(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        invitation = (await ada.engine.invite()).text
        failed = ada.stage(PairingStage.FAILED), ben.stage(PairingStage.FAILED)
        with breaking(ada, 1, stays=True):  # the first use reads what is shown of this person
            await ben.engine.join(invitation)
            view, other = [event.pairing for event in await asyncio.gather(*failed)]
        assert (view.invitation, view.problem, other.problem) == (invitation, StorageBroken.what, CUT)
        await join(ada, ben, invitation)  # the same joiner may come again


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("stage", [PairingStage.JOINER, PairingStage.WORDS])
@in_virtual_time
async def test_attack_74_a_disk_that_stays_broken_is_told_on_both_sides_within_seconds(
    tmp_path: Path, stage: PairingStage, side: int, number: int
) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        persons = ada, ben
        began = await attempt(ada, ben, stage, breaking(persons[side], number, stays=True), 5)
        heard = set[str]() if began else {"Ben"}
        for one in persons:
            views = {e.pairing.id: e.pairing for e in one.seen if isinstance(e, PairingChanged)}.values()
            assert [view for view in views if view.stage not in ENDED] == []
            assert [view for view in views if view.stage is PairingStage.FAILED and not view.problem] == []
            notices = [event.text for event in one.seen if isinstance(event, Notice)]
            if views or any("disk" in text for text in notices):
                heard.add(one.name)
        never_came = side == 1 and number < 3  # Ben's own disk failed before he dialled
        assert heard == ({"Ben"} if never_came else {"Ada", "Ben"})


async def attempt(
    ada: Person, ben: Person, stage: PairingStage, broken: AbstractContextManager[None], seconds: float
) -> bool:
    """Pair by an invitation or by words while a disk is broken; whether Ben's engine began.

    What is still open after so many seconds stays open.
    """
    text, visible = (await ada.engine.invite()).text, await ben.sees("Ada")
    answers = [asyncio.ensure_future(confirm(one, stage)) for one in (ada, ben)]
    began = True
    with broken:
        try:
            if stage is PairingStage.JOINER:
                await ben.engine.join(text)
            else:
                await ben.engine.pair_nearby(visible.instance)
        except ParlourError:
            began = False
        await asyncio.sleep(seconds)  # of virtual time: the bound that both sides keep
    for answer in answers:
        answer.cancel()
    return began


async def confirm(person: Person, stage: PairingStage) -> None:
    """Say yes to the question of this stage, and again if that could not be done."""
    pairing = (await person.stage(stage)).pairing.id
    for _ in range(2):
        with suppress(ParlourError):
            await person.engine.answer_pairing(pairing, True)


STRUCK = (2, 3, 4)
"""Of the transactions on either side, those of the pairing itself."""


def problems(person: Person) -> list[str]:
    """What the pairings of a person said of their failure."""
    return [str(event.pairing.problem) for event in person.seen if isinstance(event, PairingChanged)]


@pytest.mark.parametrize("number", range(9))
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("stage", [PairingStage.JOINER, PairingStage.WORDS])
@in_virtual_time
async def test_a_database_that_fails_ends_the_pairing_on_both_sides_and_says_what_is_stored(
    tmp_path: Path, stage: PairingStage, side: int, number: int
) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        persons = ada, ben
        await attempt(ada, ben, stage, breaking(persons[side], number), 20)
        stored = [one.engine._use_cases.keyring.contacts for one in persons]
        for one, contacts in zip(persons, stored, strict=True):
            seen = [event.pairing for event in one.seen if isinstance(event, PairingChanged)]
            last = {view.id: view for view in seen}
            assert [view.stage for view in last.values() if view.stage not in ENDED] == []
            for view in last.values():
                assert (view.stage is PairingStage.DONE or view.problem == PENDING) == bool(contacts)
        if number in STRUCK:
            told = [event.text for event in persons[side].seen if isinstance(event, Notice)]
            assert any("disk" in text for text in told + problems(persons[side]))
        if not all(stored):
            await invite(ada, ben)
        await talk(ada, ben, "whole")
        await talk(ben, ada, "again")


async def held_back(ben: Person, text: str, name: str = "joiner") -> tuple[Connection, bytes]:
    """A joiner's link without its Confirm, which burns the invitation, and that Confirm."""
    invitation = parse_invitation(text)
    host, _, port = invitation.addresses[0].rpartition(":")
    connection = await MemoryTransport(ben.network, ben.host).connect(host, int(port), 5)
    start = Initiator.pairing(
        Pattern.XXPSK0,
        invitation.psk(),
        responder=invitation.one_time,
        static=X25519Pair.generate(seeded("joiner")),
        random=seeded(name),
    )
    link, events = Link(start, now()), list[Event]()
    while not any(isinstance(event, LinkOpen) for event in events):
        if sent := link.data_to_send():
            await connection.write(sent)
        events = link.receive(await connection.read(), now())
    sent = link.data_to_send()
    confirm = 2 + int.from_bytes(sent[:2])
    await connection.write(sent[:confirm])
    await asyncio.sleep(1)
    return connection, sent[confirm:]


async def until_its_end(connection: Connection) -> bytes:
    came = b""
    while more := await connection.read():
        came += more
    return came


@in_virtual_time
async def test_a_joiner_who_opens_two_links_at_once_goes_on_with_the_last(tmp_path: Path) -> None:
    """The first has no handler yet, since the record for it is being made."""
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        text = (await ada.engine.invite()).text
        links = [await held_back(ben, text, name) for name in ("first", "second")]
        service = ada.engine._use_cases.pairings
        as_inviter = service.as_inviter

        async def late_machine(opened: LinkOpen, identity: Identity) -> Pairing:
            machine = await as_inviter(opened, identity)
            await asyncio.sleep(0.5)
            return machine

        service.as_inviter = late_machine  # type: ignore[method-assign]
        given_up = ada.stage(PairingStage.FAILED)
        for connection, confirm in links:
            await connection.write(confirm)
        assert (await given_up).pairing.problem == SUPERSEDED
        assert await asyncio.wait_for(until_its_end(links[0][0]), 1)  # a Close, and no cut
        (living,) = service._active.values()
        assert living.view.stage is PairingStage.CONNECTING
        assert text in {one.text for one in ada.engine._use_cases.keyring.invitations.values()}
        for connection, _ in links:
            connection.close()
        gc.collect()  # a task reports an exception that nobody took once it is gone
        assert not faults


async def is_closed(inviter: Person, connection: Connection, confirm: bytes) -> None:
    """The joiner sends the Confirm that it held back: its link is closed, and no pairing begins."""
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    await connection.write(confirm)
    assert await connection.read()  # a Close, and no cut
    connection.close()
    gc.collect()  # a task reports an exception that nobody took once it is gone
    assert not faults
    assert not [event for event in inviter.seen if isinstance(event, PairingChanged)]


@in_virtual_time
async def test_an_invitation_that_ends_before_its_joiner_confirms_ends_the_link(tmp_path: Path) -> None:
    """The joiner has burned it and holds Confirm back while four newer ones take its place."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        text = (await ada.engine.invite()).text
        invitation = parse_invitation(text)
        connection, confirm = await held_back(ben, text)
        assert ada.engine._use_cases.keyring.invitations[invitation.secret].burned_by is not None
        for _ in range(INVITATIONS_TRIED_MAX):
            await ada.engine.invite()
        assert invitation.secret not in ada.engine._use_cases.keyring.invitations
        await is_closed(ada, connection, confirm)


@in_virtual_time
async def test_case_84_a_link_that_opens_while_the_inviters_identity_changes_is_closed(
    tmp_path: Path,
) -> None:
    """The joiner holds Confirm back until somebody with a copy of Ada's key has added a terminal."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        connection, confirm = await held_back(ben, (await ada.engine.invite()).text)
        await take_in(ada, sign_add(ada, b"t" * 32))
        assert await ada.engine.questions()
        await is_closed(ada, connection, confirm)


@in_virtual_time
async def test_of_more_than_four_invitations_one_that_was_used_goes_first(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        texts = []
        for _ in range(INVITATIONS_TRIED_MAX):
            texts.append((await ada.engine.invite()).text)
            await asyncio.sleep(2)
        connection, _ = await held_back(ben, texts[2])
        texts += [(await ada.engine.invite()).text, (await ada.engine.invite()).text]
        left = {one.text for one in ada.engine._use_cases.keyring.invitations.values()}
        assert left == {texts[number] for number in (1, 3, 4, 5)}  # then the oldest
        connection.close()
