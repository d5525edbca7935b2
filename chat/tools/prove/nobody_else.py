"""C3: content goes to nobody else. Audit events show it from the inside, strace from the outside."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chat.interface import Unreachable, UsageError
from chat.tools.prove.findings import CannotShow, Record
from chat.tools.prove.programs import Said
from chat.tools.prove.stage import Stage
from chat.tools.prove.tracing import Calls, Reached, read_calls
from protocol.addresses import is_local

PUBLIC: Final = ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1")
TOLD_MAX: Final = 20
FROM_WITHIN: Final = (
    "Everything that both terminals did while all of this ran was looked at: each connection, datagram, name"
    " looked up and program started, as Python itself tells of them from inside the process."
)
FROM_OUTSIDE: Final = "The same was recorded from outside, by strace, as the system calls of the processes."
WITHOUT: Final = (
    "Looking for people nearby (multicast on the local network) was left out, so that nobody there saw the"
    " two."
)


async def show(stage: Stage, record: Record) -> None:
    """Both are asked to reach out. Then both end, and what they reached is compared."""
    for each in stage.both:
        await stage.say(each, f"{stage.needle} at the end")
    await _ask_for_more(stage, record)
    await asyncio.gather(*(each.stop() for each in stage.both))
    inside = [from_within(each.said) for each in stage.both]
    record.did(FROM_WITHIN)
    _judge(stage, inside, record)
    if stage.untraced:
        record.did(f"{stage.untraced.capitalize()}, so that nothing was recorded from outside the processes.")
    else:
        outside = [await asyncio.to_thread(read_calls, each.calls) for each in stage.both]
        record.did(FROM_OUTSIDE)
        _judge(stage, outside, record)
        _compare(inside, outside, record)
    record.did(WITHOUT)
    where = Counter(str(each) for calls in inside for each in calls.reached)
    if not where:
        raise CannotShow("the terminals made no connection that could be looked at")
    record.measure("connections", where.total(), "connections opened")
    told = [f"{address} ({times})" for address, times in where.most_common(TOLD_MAX)]
    record.measure("addresses", told, "to these addresses, how often")
    record.measure("names_looked_up", sum(len(calls.names) for calls in inside), "names looked up")
    record.measure("programs_started", sum(len(calls.programs) for calls in inside), "programs started")


async def _ask_for_more(stage: Stage, record: Record) -> None:
    """Public addresses of the documentation ranges: each must be refused."""
    refused = 0
    for host in PUBLIC:
        try:
            await stage.ada.messenger.pair_address(host, 4747)
        except UsageError:
            refused += 1
        except Unreachable:
            record.violated(f"a terminal that was asked to reach {host} tried to")
    record.measure(
        "public_addresses_refused", refused, f"of {len(PUBLIC)} public addresses asked for were refused"
    )
    record.did("A terminal was asked to connect to public addresses, as somebody might be talked into.")


def from_within(said: Sequence[Said]) -> Calls:
    return Calls(
        [Reached(line["reached"], line["port"]) for line in said if "reached" in line],
        [line["local"] for line in said if "local" in line],
        [line["looked_up"] for line in said if "looked_up" in line],
        [line["started"] for line in said if "started" in line],
        [],
    )


def _judge(stage: Stage, both: Sequence[Calls], record: Record) -> None:
    for terminal, calls in zip(stage.both, both, strict=True):
        away = {each for each in calls.reached if not (is_local(each.host) or each in stage.relays)}
        for where in sorted(map(str, away)):
            record.violated(f"{terminal.name}'s terminal reached for {where}, which is not local")
        for name in sorted(set(calls.names)):
            record.violated(f"{terminal.name}'s terminal looked up {name}")
        for path in sorted({each for each in calls.sockets if not Path(each).is_relative_to(stage.folder)}):
            record.violated(f"{terminal.name}'s terminal spoke to another program at {path}")
        for program in calls.programs:
            record.violated(f"{terminal.name}'s terminal started {program}")
        for line in calls.unread:
            record.violated(f"a call of {terminal.name}'s terminal may have reached anywhere: {line}")


def _compare(inside: Sequence[Calls], outside: Sequence[Calls], record: Record) -> None:
    """System calls that Python does not report come from a library."""
    seen, told = (Counter(each for calls in both for each in calls.reached) for both in (outside, inside))
    for where in seen - told:
        record.violated(f"a connection to {where} was made behind Python's back")
    if told - seen:
        raise CannotShow("strace did not record everything that the terminals did")
    record.measure("calls_traced", seen.total(), "connections recorded by strace")
    record.measure("calls_by_both", (seen & told).total(), "of them told by Python too")
