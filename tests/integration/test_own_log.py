"""This person's own log, which contacts return (SPEC §7.2)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chat.interface import IdentityChanged, Notice, NotPermitted, OwnLogChanged, TerminalState, UsageError
from chat.network.links import Peer
from chat.service.events import OwnLogChanged as Signal
from chat.service.person_logs import Intake, PersonLogs, log_intake
from chat.storage import keys
from protocol.identity.author import add_operation, rename_operation
from protocol.identity.exchange import in_view
from protocol.identity.log import Rename, parse_operation, sign_operation
from protocol.identity.reduction import CauseKind, PersonState, reduce
from protocol.limits import LOG_OPERATIONS_MAX
from protocol.messages import LogHeads, LogOperations
from tests.integration.steps import current, dial, in_touch, late, presence
from tests.support.engines.engines import (
    Person,
    in_virtual_time,
    invite,
    own_log,
    pair,
    people,
    recover,
    talk,
)
from tests.support.fakes.network import Network
from tests.support.protocol.pairings import SECOND, recovery


def own_state(person: Person) -> PersonState:
    return person.engine._use_cases.keyring.own_log


def state_of(person: Person, other: Person) -> PersonState:
    """A contact's log as a person holds it."""
    return person.engine._use_cases.keyring.log(other.peer.person)


async def renamed(person: Person, other: Person, name: str) -> None:
    """The person signs another name, which the contact sees."""
    seen = other.wait(IdentityChanged)
    await person.engine.rename_self(name)
    await asyncio.wait_for(seen, 5)  # before another link would bring it
    assert state_of(other, person).name == name


async def restore(person: Person, copy: Path) -> None:
    """The person's profile becomes an older copy of itself."""
    await person.stop()
    shutil.rmtree(person.folder)
    shutil.copytree(copy, person.folder)


@asynccontextmanager
async def restored(folder: Path) -> AsyncIterator[tuple[Network, Person, Person]]:
    """Ada, whose profile was copied before she changed her name, and Ben, who knows the change.

    Ada's engine has stopped, and her profile is the copy.
    """
    async with in_touch(folder) as (network, ada, ben):
        await ada.stop()
        copy = folder / "copy"
        shutil.copytree(ada.folder, copy)
        there = presence(ada, present=True)
        await ada.start()
        await there
        await talk(ada, ben, "up again")
        await renamed(ada, ben, "Adele")
        await restore(ada, copy)
        yield network, ada, ben


@in_virtual_time
async def test_case_92_a_restored_profile_that_signs_at_once_is_shown_as_a_copy_and_goes_on(
    tmp_path: Path,
) -> None:
    async with restored(tmp_path) as (network, ada, ben):
        network.part(ada.host, ben.host)
        await ada.start()
        shown = ben.wait(IdentityChanged, lambda event: "may have been copied" in event.cause)
        await ada.engine.rename_self("Ad")
        network.join(ada.host, ben.host)
        await shown
        terminal = ada.engine._use_cases.keyring.own.terminal
        await talk(ada, ben, "the talk goes on")
        for log in (own_state(ada), state_of(ben, ada)):
            assert [*log.copied] == [*log.live] == [terminal]
        assert [view.state for view in await ada.engine.terminals()] == [TerminalState.COPIED]


@in_virtual_time
async def test_case_92_a_returned_operation_is_announced_once_and_outlives_a_restart(tmp_path: Path) -> None:
    async with restored(tmp_path) as (_, ada, ben):
        ada.seen.clear()
        await ada.start()
        changed = await ada.wait(OwnLogChanged)
        assert (changed.kind, changed.operation) == ("renamed", own_state(ada).heads[0].hex())
        assert changed.cause
        await talk(ada, ben, "in touch")
        await dial(ada, ben)
        await talk(ada, ben, "on another link")
        assert [event for event in ada.seen if isinstance(event, OwnLogChanged)] == [changed]
        there = presence(ada, present=True)
        await ada.stop()
        await ada.start()
        assert own_state(ada).name == "Adele"
        await there


@in_virtual_time
async def test_a_person_without_contacts_signs_at_once(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await ada.engine.rename_self("Adele")
        assert (await ada.engine.me()).name == "Adele"
        await pair(ada, ben)
        assert state_of(ben, ada).name == "Adele"


@pytest.mark.parametrize("work", [in_view, reduce])
@in_virtual_time
async def test_a_record_contains_the_heads_that_it_names_though_the_log_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[..., object]
) -> None:
    """The name changes while the log is made ready for the other side."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        worker = ada.engine._use_cases.pairings.worker
        real = worker.run

        async def run(this: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
            done = await real(this, *arguments, **options)
            if this is work and own_state(ada).name == "Ada":
                await ada.engine.rename_self("Adele")
            return done

        monkeypatch.setattr(worker, "run", run)
        await invite(ada, ben)
        assert own_state(ada).name == "Adele"
        await talk(ada, ben, "paired")


@in_virtual_time
async def test_a_name_is_refused_before_anything_is_signed(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        before = own_state(ada).heads
        for name in ("", " Ada", "A\u202ea"):
            with pytest.raises(UsageError):
                await ada.engine.rename_self(name)
        assert own_state(ada).heads == before


@in_virtual_time
async def test_after_as_many_names_as_there_may_be_a_person_signs_no_other_and_pairs(
    tmp_path: Path,
) -> None:
    """Its log has more operations than one Record."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        for number in range(LOG_OPERATIONS_MAX - 1):
            await ada.engine.rename_self(f"Ada {number}")
        with pytest.raises(NotPermitted):
            await ada.engine.rename_self("Ada the last")
        for person in (ada, ben):
            await person.engine.set_visible(True)
        await pair(ada, ben)
        await talk(ada, ben, "paired")
        assert state_of(ben, ada) == own_state(ada)


@in_virtual_time
async def test_what_another_terminal_did_is_signalled_with_its_kind_and_operation(tmp_path: Path) -> None:
    """An add that only a contact has heard of, and a recovery."""
    async with in_touch(tmp_path) as (_, ada, ben):
        parts, signals = ada.engine._use_cases, list[Signal]()
        parts.bus.on(Signal, signals.append)
        own, log = parts.keyring.own, own_state(ada)
        add = add_operation(log, own.terminal, SECOND.signing, SECOND.static, "laptop")
        added = sign_operation(add, own.signing_seed, SECOND.seed)
        changed = ada.wait(OwnLogChanged)
        await current(ben, ada).driver.send(LogOperations([added]))
        await changed
        seed = (await parts.store.read(keys.read_own)).recovery_seed
        assert seed is not None
        recovered = recovery(await own_log(ada), seed)
        changed = ada.wait(OwnLogChanged)
        await current(ben, ada).driver.send(LogOperations([recovered]))
        await changed
        found = [(signal.cause.kind, signal.cause.operation) for signal in signals]
        assert found == [
            (CauseKind.ADDED, parse_operation(added).id),
            (CauseKind.RECOVERED, parse_operation(recovered).id),
        ]
        assert SECOND.id in own_state(ada).live
        views = await ada.engine.terminals()
        assert [(view.this, view.state) for view in views] == [(True, "live"), (False, "live")]


@in_virtual_time
async def test_what_one_contact_returns_reaches_the_others_at_once(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        for other in (ben, cleo):
            for person in (ada, other):
                await person.engine.set_visible(True)
            await pair(ada, other)
            await talk(ada, other, "before")
        own = ada.engine._use_cases.keyring.own
        signed = sign_operation(rename_operation(own_state(ada), own.terminal, "Adele"), own.signing_seed)
        seen = cleo.wait(IdentityChanged)
        await current(ben, ada).driver.send(LogOperations([signed]))
        await asyncio.wait_for(seen, 5)  # before another link would bring it
        assert state_of(cleo, ada).name == "Adele"


@in_virtual_time
async def test_case_92_a_full_own_log_ends_no_link(tmp_path: Path) -> None:
    """A thief of the key fills the log at a contact, who returns it."""
    async with in_touch(tmp_path) as (_, ada, ben):
        own, log = ada.engine._use_cases.keyring.own, own_state(ada)
        parents, operations = list(log.heads), list[bytes]()
        for number in range(LOG_OPERATIONS_MAX):
            rename = Rename(own.person, own.terminal, parents, f"Ada {number}")
            operations.append(sign_operation(rename, own.signing_seed))
            parents = [parse_operation(operations[-1]).id]
        said = ada.wait(Notice)
        link = current(ben, ada)
        await link.driver.send(LogOperations(operations))
        await said
        assert own_state(ada).heads == log.heads
        await talk(ben, ada, "the link goes on")
        assert current(ben, ada) is link


@in_virtual_time
async def test_operations_without_their_ancestors_end_the_link_of_who_exceeded_no_bound(
    tmp_path: Path,
) -> None:
    """Operations of either log. Those of another terminal that exceeded one excuse nothing."""
    async with in_touch(tmp_path) as (_, ada, ben):
        logs = ada.engine._use_cases.sync._logs
        for author in (ben, ada):
            own, log = author.engine._use_cases.keyring.own, own_state(author)
            parents, operations = list(log.heads), list[bytes]()
            for number in range(LOG_OPERATIONS_MAX + 1):
                rename = Rename(own.person, own.terminal, parents, f"name {number}")
                operations.append(sign_operation(rename, own.signing_seed))
                parents = [parse_operation(operations[-1]).id]
            await logs.received(
                Peer(ben.peer.person, SECOND.static), operations[:LOG_OPERATIONS_MAX], log_intake(0.0)
            )
            there = presence(ada, present=True)
            gone = presence(ada, present=False)
            await current(ben, ada).driver.send(LogOperations(operations[-1:]))
            await asyncio.wait_for(gone, 5)
            await there


@in_virtual_time
async def test_the_heads_of_a_third_person_end_the_link(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        gone = presence(ada, present=False)
        await current(ben, ada).driver.send(LogHeads(bytes(32), []))
        await gone


@pytest.mark.parametrize("signed", ["rename", "recovery"])
@in_virtual_time
async def test_case_89_what_was_signed_reaches_who_is_there_though_the_engine_ends_with_it(
    tmp_path: Path, signed: str
) -> None:
    """As a command does that runs its own engine."""
    async with in_touch(tmp_path) as (_, ada, ben):
        words = (await ada.engine.recovery_words()).words
        learned = ben.wait(IdentityChanged)
        late(ada.engine._use_cases.own_log, "missing", 1.0)  # as on a busy machine
        if signed == "rename":
            await ada.engine.rename_self("Adele")
        else:
            await recover(ada, words, ())
        await ada.stop()
        await learned


@in_virtual_time
async def test_a_contact_that_reads_nothing_delays_a_signature_no_longer_than_one_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):

        async def never(*_arguments: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(current(ada, ben).driver, "send", never)
        before = ada.clock.monotonic()
        await ada.engine.rename_self("Adele")
        assert ada.clock.monotonic() == before + ada.config.sync_within


@in_virtual_time
async def test_a_contact_gets_of_a_new_name_the_operations_that_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heads that it has named of its own log say nothing of that."""
    async with in_touch(tmp_path) as (_, ada, ben):
        own, received = ada.engine._use_cases.keyring.own.person, list[int]()
        logs, original = ben.engine._use_cases.sync._logs, PersonLogs.received

        async def noted(self: PersonLogs, peer: Peer, operations: Sequence[bytes], intake: Intake) -> None:
            if self is logs and peer.person == own:
                received.append(len(operations))
            await original(self, peer, operations, intake)

        monkeypatch.setattr(PersonLogs, "received", noted)
        await renamed(ada, ben, "Adele")
        assert received == [1]
