"""The operations of the own log that go to a contact who lacks them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from chat.service.person_logs import PersonLogs
from protocol.codec import encode
from protocol.identity.author import create_person
from protocol.identity.log import Rename, operation_id, sign_operation
from protocol.identity.reduction import extend, reduce
from protocol.limits import LOG_OPERATIONS_MAX
from protocol.messages import MESSAGE, LogOperations
from tests.support.storage.samples import seeded

ADA = create_person("Ada", seeded("ada"))


def renamed(times: int) -> tuple[bytes, ...]:
    operations, parents = list(ADA.operations), reduce(ADA.operations).heads
    for number in range(times):
        rename = Rename(ADA.person, ADA.terminal, number + 2, list(parents), f"Ada {number}")
        operations.append(sign_operation(rename, ADA.signing_seed))
        parents = (operation_id(encode(rename), genesis=False),)
    return tuple(operations)


def logs_of(operations: tuple[bytes, ...]) -> PersonLogs:
    async def read(*_: object) -> list[bytes]:
        return list(operations)

    store, keyring = SimpleNamespace(read=read), SimpleNamespace(own=ADA, own_log=reduce(operations))
    unused = cast(Any, None)
    return PersonLogs(cast(Any, store), unused, cast(Any, keyring), unused, unused, unused)


def test_more_operations_than_one_message_holds_go_in_several_that_stand_upon_each_other() -> None:
    operations = renamed(LOG_OPERATIONS_MAX + 1)
    messages = asyncio.run(logs_of(operations).missing(reduce(ADA.operations).heads))
    assert [len(message.operations) for message in messages] == [LOG_OPERATIONS_MAX, 1]
    held: tuple[bytes, ...] = ADA.operations
    for message in messages:
        received = MESSAGE.decode(encode(message))
        assert isinstance(received, LogOperations)
        held += extend(held, received.operations).new
    assert held == operations


def test_a_holder_of_the_heads_gets_nothing() -> None:
    assert asyncio.run(logs_of(ADA.operations).missing(reduce(ADA.operations).heads)) == []
