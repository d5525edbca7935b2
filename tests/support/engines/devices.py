"""Persons who link a second device, with engines on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from chat.interface import LinkingChanged, LinkingStage, LinkingView
from chat.service.joining import Address, Joining, make_profile
from protocol import profile_header
from tests.support.engines.engines import PASSPHRASE, Person

Answer = Callable[[LinkingView], Awaitable[bool]]


async def says_yes(view: LinkingView) -> bool:
    assert len(view.words) == 5
    return True


def at(person: Person, stage: LinkingStage) -> asyncio.Future[LinkingChanged]:
    """The moment when the adding of a device reaches a stage."""
    return person.wait(LinkingChanged, lambda event: event.linking.stage is stage)


def device(old: Person, folder: Path, host: str, seed: int = 77) -> Person:
    """Another device of a person, which has no profile yet."""
    return Person(old.name, host, folder, old.network, old.config, seed)


async def begin(
    new: Person,
    answer: Answer = says_yes,
    name: str = "laptop",
    address: Address | None = None,
    keep: int = 0,
) -> None:
    """The new device's part: it finds the other one, compares words and makes its profile."""
    joining = Joining(new.ports(), new.config, name, answer)
    cost = profile_header.CHEAPEST
    await new._run(await make_profile(joining, address, new.folder, PASSPHRASE, cost, keep))


async def link(
    old: Person, new: Person, name: str = "laptop", address: Address | None = None, keep: int = 0
) -> None:
    """Link a device, both screens of which show the same words."""
    seen = list[tuple[str, ...]]()

    async def compare(view: LinkingView) -> bool:
        seen.append(view.words)
        return await says_yes(view)

    words, done = at(old, LinkingStage.WORDS), at(old, LinkingStage.DONE)
    await old.engine.add_terminal()
    joining = asyncio.ensure_future(begin(new, compare, name, address, keep))
    view = (await words).linking
    assert view.name == name
    await old.engine.answer_linking(view.id, True)
    await joining
    assert (await done).linking.terminal == (await new.engine.me()).terminal
    assert seen == [view.words]
