"""The operations of the own log that go to a contact who lacks them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chat.config import Config
from chat.service.own_log import OwnLog
from chat.storage import persons
from chat.storage.database import Database
from chat.tasks import Runtime
from protocol.codec import encode
from protocol.identity.author import add_operation, create_person
from protocol.identity.exchange import extend
from protocol.identity.log import Rename, operation_id, parse_operation, sign_operation
from protocol.identity.reduction import reduce
from protocol.limits import LOG_OPERATIONS_MAX
from protocol.messages import MESSAGE, LogOperations
from tests.support.protocol.pairings import SECOND
from tests.support.storage.samples import new_database, seeded

ADA = create_person("Ada", seeded("ada"))


def renamed(times: int) -> tuple[bytes, ...]:
    """Ada's log after so many more operations, half of them by a second terminal."""
    add = add_operation(reduce(ADA.operations), ADA.terminal, SECOND.signing, SECOND.static, "laptop")
    operations = [*ADA.operations, sign_operation(add, ADA.signing_seed, SECOND.seed)]
    authors = {ADA.terminal: ADA.signing_seed, SECOND.id: SECOND.seed}
    parents = reduce(operations).heads
    for number in range(times - 1):
        author = ADA.terminal if number % 2 else SECOND.id
        rename = Rename(ADA.person, author, list(parents), f"Ada {number}")
        operations.append(sign_operation(rename, authors[author]))
        parents = (operation_id(encode(rename), genesis=False),)
    return tuple(operations)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = new_database(tmp_path)
    yield made
    made.close()


def logs_of(database: Database, operations: tuple[bytes, ...]) -> OwnLog:
    with database.transaction():
        for signed in operations:
            persons.add_operation(database, ADA.person, parse_operation(signed).id, signed)

    async def read(work: Callable[..., object], *arguments: object) -> object:
        return work(database, *arguments)

    store, keyring = SimpleNamespace(read=read), SimpleNamespace(own=ADA, own_log=reduce(operations))
    unused, runtime = cast(Any, None), Runtime(cast(Any, None), os.urandom, Config(), cast(Any, None))
    return OwnLog(runtime, cast(Any, store), unused, cast(Any, keyring))


def test_more_operations_than_one_message_holds_go_in_several_in_causal_order(database: Database) -> None:
    operations = renamed(LOG_OPERATIONS_MAX + 1)
    messages = asyncio.run(logs_of(database, operations).missing(reduce(ADA.operations).heads))
    assert [len(message.operations) for message in messages] == [LOG_OPERATIONS_MAX, 1]
    held: tuple[bytes, ...] = ADA.operations
    for message in messages:
        received = MESSAGE.decode(encode(message))
        assert isinstance(received, LogOperations)
        held += extend(held, received.operations).new
    assert held == operations


def test_a_holder_of_the_heads_gets_nothing(database: Database) -> None:
    assert asyncio.run(logs_of(database, ADA.operations).missing(reduce(ADA.operations).heads)) == []
