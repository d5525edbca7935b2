"""Logs that one message or one record of a backup has no room for: their largest operations travel, too."""

from __future__ import annotations

from itertools import chain

from protocol.backup.records import BackupLog, write_record
from protocol.codec import encode
from protocol.identity.exchange import in_batches, in_messages
from protocol.limits import LOG_MESSAGE_BYTES, LOG_OPERATIONS_MAX, RECOVER_BYTES_MAX
from protocol.messages import MESSAGE, LogOperations
from tests.support.protocol.pairings import Person


def test_recoveries_travel_in_several_messages() -> None:
    anna = Person("Anna")
    anna.recover({})
    (recovery,) = anna.operations[2:]
    operations = [*anna.operations[:2], *[recovery] * 64]
    messages = in_messages(operations)
    assert len(messages) == 2
    for message in messages:
        assert MESSAGE.decode(encode(message)) == message
    assert list(chain.from_iterable(message.operations for message in messages)) == operations


def test_a_batch_ends_before_its_bounds() -> None:
    longest = bytes(RECOVER_BYTES_MAX)
    fitting = LOG_MESSAGE_BYTES // RECOVER_BYTES_MAX
    assert [len(one) for one in in_batches([longest] * (fitting + 1))] == [fitting, 1]
    assert [len(one) for one in in_batches([b"x"] * (LOG_OPERATIONS_MAX + 1))] == [LOG_OPERATIONS_MAX, 1]
    assert in_batches([]) == []
    message = LogOperations([longest] * fitting)
    assert MESSAGE.decode(encode(message)) == message
    assert write_record(BackupLog(bytes(32), message.operations))
