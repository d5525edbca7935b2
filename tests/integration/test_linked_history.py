"""What a linked device gets from the one that added it: the history, and what came while that was away."""

from __future__ import annotations

from pathlib import Path

from chat.interface import DeletionScope, EntryAdded, EntryChanged, EntryState
from tests.integration.steps import now
from tests.integration.test_linking import laptop_of, present
from tests.support.engines import devices
from tests.support.engines.engines import Person, in_virtual_time, talk, two_contacts

BEFORE = 150


async def shown(person: Person, other: Person) -> list[tuple[str, str, str, str]]:
    """Kind, text, author and state of everything with a contact."""
    views = await person.engine.history(await person.contact(other), 1_000)
    return [(view.kind, view.text, view.author, view.state) for view in views]


@in_virtual_time
async def test_a_linked_device_has_the_history_with_its_states_and_no_deleted_text(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend = await ada.contact(ben)
        ids = [(await ada.engine.send(friend, f"text {number}")).id for number in range(BEFORE)]
        await talk(ben, ada, "an answer")
        await ada.engine.mark_read(friend, ((await ada.engine.history(friend, 1))[-1].id,))
        await ada.engine.delete(friend, ids[3], DeletionScope.EVERYONE)
        await ada.engine.edit(friend, ids[4], "text four")
        await talk(ada, ben, "the last one")
        laptop = laptop_of(ada, tmp_path)
        await devices.link(ada, laptop)
        began = now()
        await laptop.wait(EntryAdded, lambda event: event.entry.text == "the last one")
        await present(laptop)
        await talk(ben, laptop, "to both")
        told = laptop.wait(EntryChanged, lambda event: event.state is EntryState.DELIVERED)
        await talk(ada, ben, "as one")
        await told
        assert now() - began < 10
        assert await shown(laptop, ben) == await shown(ada, ben)
        assert len(await shown(laptop, ben)) == BEFORE + 4
        root = await ada.engine.history_root()
        assert await laptop.engine.history_root() == root
        assert root.entries == root.conversations[0].entries > BEFORE
        await ada.engine.delete(friend, ids[7])
        assert (await ada.engine.history_root()).root != root.root
        await laptop.engine.close()


@in_virtual_time
async def test_two_devices_that_are_never_awake_together_with_the_contact_pass_everything_on(
    tmp_path: Path,
) -> None:
    """Ada's laptop takes what Ben says while her desk sleeps, and hands it over while Ben is away."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        laptop = laptop_of(ada, tmp_path)
        await devices.link(ada, laptop)
        await present(laptop)
        await ada.stop()
        await talk(ben, laptop, "to the laptop")
        own = await talk(laptop, ben, "from the laptop")
        await ben.stop()
        last = ada.wait(EntryAdded, lambda event: event.entry.state is EntryState.DELIVERED)
        await ada.start()
        assert (await last).entry.id == own
        written = await ada.engine.send(await ada.contact(ben), "while you were away")
        await laptop.wait(EntryAdded, lambda event: event.entry.id == written.id)
        await ada.stop()
        come = ben.wait(EntryAdded, lambda event: event.entry.id == written.id)
        await ben.start()
        assert (await come).entry.text == "while you were away"
        delivered = ada.wait(
            EntryChanged, lambda event: (event.id, event.state) == (written.id, EntryState.DELIVERED)
        )
        await ada.start()
        await delivered
        assert await shown(ada, ben) == await shown(laptop, ben)
        await laptop.engine.close()
