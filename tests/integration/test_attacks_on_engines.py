"""Attacks on a running engine: forged entries, spoofed announcements, foreign invitations, floods."""

from __future__ import annotations

import asyncio
from base64 import b32decode, b32encode
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.interface import BadData, ContactChanged, EntryState, PairingChanged, PairingStage, Unreachable
from chat.network.links import LiveLink
from chat.storage import receipts
from protocol.codec import encode
from protocol.entries_and_receipts import conversation_of_two
from protocol.messages import Head, Heads, HeadsHash, Message, Receipt, Typing
from tests.integration.steps import current, entry_of, in_touch, join, meet, number_of, presence, say
from tests.support.engines.engines import Person, delivered, in_virtual_time, invite, pair, people, talk


async def carried_to_the_end(mallory: Person, victim: Person, message: Message) -> None:
    """Send a message on the living link and wait until the victim has ended that link."""
    link, gone = current(mallory, victim), presence(mallory, present=False)
    await link.driver.send(message)
    await gone
    assert link not in mallory.engine._use_cases.links.all()


@pytest.mark.parametrize("of_ada", [True, False])
@in_virtual_time
async def test_attack_38_a_contact_hands_over_entries_of_nobody_but_itself(
    tmp_path: Path, of_ada: bool
) -> None:
    """Neither in the name of the person's own terminal nor of one that is nobody's."""
    async with in_touch(tmp_path) as (_, ada, ben):
        author = ada.engine._use_cases.keyring.own.terminal if of_ada else b"t" * 32
        entry = entry_of(ben, ada, author, b"k" * 32)
        # A log may lack what added its author, and a terminal the self key that it drew: the link goes on.
        link = current(ben, ada)
        await link.driver.send(entry)
        await talk(ada, ben, "still here")
        shown = [(one.text, one.own, one.claimed) for one in await ada.history(ben)]
        claim = [("I owe you", False, "contact")] if of_ada else []
        assert sorted(shown) == sorted([("before", True, ""), *claim, ("still here", True, "")])
        assert current(ben, ada) is link


@in_virtual_time
async def test_case_95_a_page_of_heads_of_another_form_ends_its_link(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        own = [party.engine._use_cases.keyring.own for party in (ada, ben)]
        conversation = conversation_of_two(own[0].person, own[1].person)
        page = Heads(
            conversation, b"", [Head(b"b" * 32, 1, b"i" * 32), Head(b"a" * 32, 1, b"j" * 32)], more=False
        )
        await carried_to_the_end(ben, ada, page)
        await talk(ada, ben, "still here")


@in_virtual_time
async def test_attack_42_nothing_of_another_conversation_is_told_or_taken(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        await pair(ada, ben)
        await meet(ada, cleo)
        secret = await talk(ada, ben, "between Ada and Ben")
        await talk(ada, cleo, "between Ada and Cleo")
        foreign = conversation_of_two(
            ada.engine._use_cases.keyring.own.person, ben.engine._use_cases.keyring.own.person
        )
        told = heard(cleo)
        for message in (
            Heads(foreign, b"", [], more=False),
            HeadsHash(foreign, b"h" * 32),
            Typing(foreign, True),
        ):
            await carried_to_the_end(cleo, ada, message)
            await talk(ada, cleo, "again")
        await current(cleo, ada).driver.send(Receipt(2, [bytes.fromhex(secret)]))
        await talk(cleo, ada, "after the forged receipt")
        assert not [message for message in told if foreign in encode(message)]
        assert (await ada.history(ben))[0].state is EntryState.DELIVERED
        held = await ada.engine._use_cases.store.read(receipts.of, [bytes.fromhex(secret)])
        assert [row.kind for row in held[bytes.fromhex(secret)]] == [receipts.STORED]


def heard(person: Person) -> list[Message]:
    """Every message that reaches this person from now on, whatever becomes of it."""
    events, told = person.engine._use_cases.sync, list[Message]()
    received = events.received

    async def kept(link: LiveLink, messages: Sequence[Message]) -> None:
        told.extend(messages)
        await received(link, messages)

    events.received = kept  # type: ignore[method-assign]
    return told


@in_virtual_time
async def test_attack_16_an_announcement_is_only_a_hint(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Mallory") as (network, (ada, ben, mallory)):
        await pair(ada, ben)
        await talk(ada, ben, "paired")
        real = network.announced[ben.host]
        await ben.stop()
        await say(ada, ben, "for Ben alone")
        peer, since = ben.peer, len(ada.seen)
        network.watchers[ada.host].found(replace(real, addresses=(mallory.host,), port=4747))
        assert (mallory.host, 4747) not in ada.engine._use_cases.keyring.hints(peer)
        ada.engine._use_cases.keyring.found[peer] = ((mallory.host, 4747),)
        ada.engine._use_cases.dialer.seek_all()
        await asyncio.sleep(120)
        changed = [event.contact for event in ada.seen[since:] if isinstance(event, ContactChanged)]
        assert not any(view.present for view in changed)
        assert (await ada.history(ben))[-1].state is EntryState.QUEUED
        assert await mallory.engine.contacts() == ()
        assert ada.engine._use_cases.links.all() == []
        done = delivered(ada, 1)
        await ben.start()
        await done


@in_virtual_time(limit=3 * 3600.0)
async def test_attack_17_invitations_expire_are_used_once_and_are_not_for_their_maker(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        invitation = await ada.engine.invite()
        with pytest.raises(BadData, match="own"):
            await ada.engine.join(invitation.text)
        with pytest.raises(BadData, match=r"^Invitation incomplete: copy all of it"):
            await ben.engine.join(invitation.text[:-3])
        digits = invitation.text.removeprefix("PARLOUR:")
        written = b32decode(digits + "=" * (-len(digits) % 8))
        later = b32encode(written[:1] + b"\x02" + written[2:]).decode().rstrip("=")
        with pytest.raises(BadData, match="incompatible version"):
            await ben.engine.join(f"PARLOUR:{later}")
        asked = ada.stage(PairingStage.JOINER)
        await ben.engine.join(invitation.text)
        await asked
        failed = cleo.stage(PairingStage.FAILED)
        await cleo.engine.join(invitation.text)
        assert (await asyncio.wait_for(failed, 5)).pairing.problem
        pairings = [event.pairing for event in ada.seen if isinstance(event, PairingChanged)]
        assert {view.peer for view in pairings if view.stage is PairingStage.JOINER} == {"Ben"}
        assert await cleo.engine.contacts() == ()
        late = await ada.engine.invite()
        await asyncio.sleep(3700)
        with pytest.raises(BadData, match="expired"):
            await cleo.engine.join(late.text)
        cleo.clock.offset_ms = -3_700_000  # a joiner whose clock is wrong is refused by the inviter
        with pytest.raises(Unreachable):
            await cleo.engine.join(late.text)


@in_virtual_time
async def test_attack_03_guessing_an_invitation_gets_nowhere_and_leaves_it_usable(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Mallory") as (_, (ada, ben, mallory)):
        invitation = await ada.engine.invite()
        real = next(iter(ada.engine._use_cases.keyring.invitations.values())).invitation
        for guess in range(20):
            wrong = replace(real, secret=bytes([guess]) * 16)
            initiate, place = mallory.engine._use_cases.initiate, (ada.host, 4747)
            plan = partial(initiate._by_invitation, wrong, mallory.engine._use_cases.keyring.identity.static)
            with pytest.raises(Unreachable):
                await initiate._begin("", [initiate._connect(place)], plan, [place])
        await join(ada, ben, invitation.text)
        assert [view.name for view in await ada.engine.contacts()] == ["Ben"]


@pytest.mark.parametrize("frames", [0, 1])
@in_virtual_time
async def test_attack_25_an_invitation_is_burned_by_message_3_and_by_nothing_before(
    tmp_path: Path, frames: int
) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (network, (ada, ben, cleo)):
        invitation = await ada.engine.invite()
        network.break_next_after = (frames, None)
        failed = ben.stage(PairingStage.FAILED)
        with suppress(Unreachable):
            await ben.engine.join(invitation.text)
        await failed
        opened = next(iter(ada.engine._use_cases.keyring.invitations.values()))
        assert opened.burned_by is None
        asked = ada.stage(PairingStage.JOINER)
        await cleo.engine.join(invitation.text)
        await asked
        assert opened.burned_by is not None


@in_virtual_time
async def test_attack_25_a_burned_invitation_is_finished_by_the_key_that_burned_it(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        invitation = await ada.engine.invite()
        network.break_next_after = (None, 2)  # greeting and message 2, then nothing
        asked, failed = ada.stage(PairingStage.JOINER), ben.stage(PairingStage.FAILED)
        await ben.engine.join(invitation.text)
        await asked
        network.unplug(ben.host)
        await failed
        await ada.stop()
        await ada.start()
        await join(ada, ben, invitation.text)


@in_virtual_time
async def test_attack_14_two_contacts_of_one_name_stay_apart(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Ben2") as (_, (ada, ben, other)):
        await invite(ada, ben)
        await invite(ada, other)
        await ada.engine.rename(await ada.contact(other), "Ben")
        views = await ada.engine.contacts()
        assert [view.name for view in views] == ["Ben", "Ben"]
        assert len({view.label for view in views}) == 2
        await ada.engine.verify(await ada.contact(ben), await number_of(ada, ben))
        marks = {view.person: view.verified for view in await ada.engine.contacts()}
        assert marks == {await ada.contact(ben): True, await ada.contact(other): False}


@in_virtual_time
async def test_attack_39_a_contact_blocked_during_the_handshake_gets_no_link(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        await ben.stop()
        keys = ada.engine._use_cases.keyring
        asked = keys.contact_psk

        def then_blocked(static, hello):  # type: ignore[no-untyped-def]
            answer = asked(static, hello)
            keys.contacts[hello.person].blocked = True
            return answer

        keys.contact_psk = then_blocked  # type: ignore[method-assign]
        await ben.start()
        await asyncio.sleep(10)
        assert ada.engine._use_cases.links.all() == []


@in_virtual_time
async def test_attack_64_strangers_hear_neither_presence_nor_receipts(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Mallory") as (network, (ada, ben, mallory)):
        await pair(ada, ben)
        await talk(ada, ben, "between us")
        await ada.engine.set_visible(False)
        network.seen.clear()
        with pytest.raises(Unreachable):
            await mallory.engine.pair_address(ada.host, 4747)
        answers = [data for here, there, data in network.seen if (here, there) == (ada.host, mallory.host)]
        assert sum(map(len, answers)) <= 28 + 5  # the greeting and the refusal, whatever Ada is doing
        assert await mallory.engine.contacts() == ()


@in_virtual_time
async def test_garbage_and_silence_on_the_port_do_not_stop_a_conversation(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Mallory") as (network, (ada, ben, mallory)):
        await pair(ada, ben)
        await talk(ada, ben, "before")
        transport = mallory.ports().transport
        flood = [await transport.connect(ada.host, 4747, 1.0) for _ in range(300)]
        for number, connection in enumerate(flood):
            try:
                await connection.write(bytes([number % 256]) * (number * 7))
            except ConnectionError:
                assert number, "the first of the flood has its place"
        await talk(ada, ben, "during")
        assert 0 < ada.engine._use_cases.acceptor._admission._open.total() <= ada.config.handshakes_address
        taken = [pipe for pipe in network.pipes if pipe.here == ada.host and pipe.peer == mallory.host]
        assert sum(not pipe.closed for pipe in taken) <= ada.config.handshakes_address
        await talk(ben, ada, "during, too")
        await asyncio.sleep(30)
        assert ada.engine._use_cases.acceptor._admission._open.total() == 0
        assert not ada.engine._use_cases.acceptor._opening
        await ben.stop()
        done = delivered(ada, 1)
        await say(ada, ben, "after")
        await ben.start()
        await done
