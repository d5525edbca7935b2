"""What leaves the terminals. C4: nobody between the two can read or alter it. C3: it goes to nobody else.

The tricks of C4 are played on whole frames of the wire. C3 is seen by audit events from the inside, and by
strace from the outside.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from chat.interface import EntryView, Unreachable, UsageError
from chat.tools.prove import search
from chat.tools.prove.findings import CannotShow, Record
from chat.tools.prove.programs import Said, Terminal, within
from chat.tools.prove.stage import Stage
from chat.tools.prove.tracing import Calls, Reached, read_calls
from chat.tools.prove.wire import Answer, Trick
from protocol.addresses import is_local
from protocol.link.framing import MAGIC

# --- C4 ---

_CUT_MOST: Final = 64


def flipped(body: bytes) -> list[bytes]:
    at, bit = secrets.randbelow(len(body)), secrets.randbelow(8)
    return [body[:at] + bytes([body[at] ^ (1 << bit)]) + body[at + 1 :]]


def holding(make: Callable[[bytes, bytes], list[bytes]]) -> Trick:
    """Hold the first of two frames until the second arrives."""
    held: list[bytes] = []

    def trick(body: bytes) -> list[bytes] | None:
        held.append(body)
        return make(*held) if len(held) == 2 else None

    return trick


TRICKS: Final[Mapping[str, Callable[[], Trick]]] = {
    "flipped": lambda: flipped,
    "cut": lambda: lambda body: [body[: len(body) - 1 - secrets.randbelow(_CUT_MOST)]],
    "replayed": lambda: lambda body: [body, body],
    "reordered": lambda: holding(lambda first, second: [second, first]),
    "left_out": lambda: holding(lambda first, second: [second]),
    "invented": lambda: lambda body: [secrets.token_bytes(len(body))],
}


ROUNDS: Final = 4
TALK: Final = 20
TRIES: Final = 3  # how often a trick is played until it is clear what followed


async def show_unreadable(stage: Stage, record: Record) -> None:
    """The two talk and what passed is searched. Then each trick is played in both directions."""
    texts = [f"{stage.needle} on the wire, {number}" for number in range(TALK // 2)]
    said = [*await stage.say(stage.ada, *texts), *await stage.say(stage.ben, *texts)]
    record.did(f"{TALK} messages passed between two devices, through somebody who keeps every byte of it.")
    await _control(stage, said, record)
    for trick, make in TRICKS.items():
        rejected = 0
        for number in range(ROUNDS):
            speaker = stage.both[number % 2]
            rejected += await _play(stage, speaker, make, said)
        name = trick.replace("_", " ")
        if rejected < ROUNDS:
            record.violated(f"{ROUNDS - rejected} of {ROUNDS} frames that were {name} were not rejected")
        record.measure(f"frames_{trick}", ROUNDS)
        record.measure(f"frames_{trick}_rejected", rejected, f"of {ROUNDS} frames {name} were rejected")
    record.did(
        "Then whole frames were changed by a bit, cut, sent twice, exchanged with the next, left out and"
        " replaced by others, and each time it was seen whether the device that heard it ended the link."
    )
    await _compare_entries(stage, said, record)
    _read(stage, record)


async def _control(stage: Stage, said: list[EntryView], record: Record) -> None:
    """A frame that passes unchanged must not end the link."""
    for speaker in stage.both:
        if await _play(stage, speaker, lambda: lambda body: [body], said):
            raise CannotShow("links end here without any trick, so that nothing can be told from it")
    record.measure("frames_untouched_accepted", len(stage.both), "frames let through untouched, and accepted")


async def _play(stage: Stage, speaker: Terminal, make: Callable[[], Trick], said: list[EntryView]) -> bool:
    """Play a trick on what a terminal says next, which arrives all the same; whether it was rejected.

    It was if its hearer ended that link. It was not if what was said arrived by that link, nor if each time
    another link began while that one went on: once, that may be a slow answer.
    """
    for _ in range(TRIES):
        await within(stage.wire.quiet(), "the two never had one link alone")
        played = stage.wire.play(speaker.name, make())
        said += await stage.say(speaker, f"{stage.needle} spoilt", f"{stage.needle}, and more")
        for each in stage.both:
            each.look_around()
        if played.done and played.answer is None:
            return False
        if played.answer is Answer.HEARER_ENDED:
            return True
    return False


async def _compare_entries(stage: Stage, said: Sequence[EntryView], record: Record) -> None:
    """Both have everything that was said, unchanged, once."""
    wanted = {entry.id: entry.text for entry in said}
    for each in stage.both:
        held = [entry for entry in await each.history() if entry.id in wanted]
        twice = [id for id, times in Counter(entry.id for entry in held).items() if times > 1]
        other = [entry.id for entry in held if entry.text != wanted[entry.id]]
        missing = len(wanted) - len({entry.id for entry in held})
        record.require(not twice, f"{each.name} has {len(twice)} messages twice")
        record.require(not other, f"{each.name} has {len(other)} messages that were altered")
        record.require(not missing, f"{each.name} lacks {missing} messages")
    record.measure(
        "entries_whole", len(wanted), "messages arrived whole and once, those of spoilt links by the next"
    )


def _read(stage: Stage, record: Record) -> None:
    """Search what passed. The search must find the start of a link and a planted needle."""
    wire = bytes(stage.wire.captured)
    planted = wire[: len(wire) // 2] + stage.needle.encode("utf-16-le") + wire[len(wire) // 2 :]
    if MAGIC not in wire or not list(search.found_in(planted, {"the needle": stage.needle})):
        raise CannotShow("the search of what passed does not find what is there: this is a fault of Parlour")
    found = list(search.found_in(wire, {"the needle": stage.needle}))
    record.did("All that passed was searched for what was said, in nine forms of writing.")
    record.measure("bytes_captured", len(wire), "bytes captured and searched")
    record.measure("frames_seen", stage.wire.frames, "sealed frames in them")
    record.measure("links_seen", wire.count(MAGIC), "links")
    for what in found:
        record.violated(f"{what} stands on the wire")
    for each in stage.both:
        record.require(not any(id in wire for id in each.ids), f"who {each.name} is stands on the wire")
    record.did("So it was for the ids of both people and of their devices.")


# --- C3 ---

PUBLIC: Final = ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1")
TOLD_MAX: Final = 20
FROM_WITHIN: Final = (
    "Everything that both devices did while all of this ran was looked at: each connection, datagram, name"
    " looked up and program started, as Python itself tells of them from inside the process."
    " The one program that may start decodes a picture, without files and connections."
)
FROM_OUTSIDE: Final = "The same was recorded from outside, by strace, as the system calls of the processes."
WITHOUT: Final = (
    "Looking for people nearby (multicast on the local network) was left out, so that nobody there saw the"
    " two."
)


async def show_nobody_else(stage: Stage, record: Record) -> None:
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
        _compare_calls(inside, outside, record)
    record.did(WITHOUT)
    where = Counter(str(each) for calls in inside for each in calls.reached)
    if not where:
        raise CannotShow("the devices made no connection that could be looked at")
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
            record.violated(f"a device that was asked to reach {host} tried to")
    record.measure(
        "public_addresses_refused", refused, f"of {len(PUBLIC)} public addresses asked for were refused"
    )
    record.did("A device was asked to connect to public addresses, as somebody might be talked into.")


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
            record.violated(f"{terminal.name}'s device reached for {where}, which is not local")
        for name in sorted(set(calls.names)):
            record.violated(f"{terminal.name}'s device looked up {name}")
        for path in sorted({each for each in calls.sockets if not Path(each).is_relative_to(stage.folder)}):
            record.violated(f"{terminal.name}'s device spoke to another program at {path}")
        for program in calls.programs:
            record.violated(f"{terminal.name}'s device started {program}")
        for line in calls.unread:
            record.violated(f"a call of {terminal.name}'s device may have reached anywhere: {line}")


def _compare_calls(inside: Sequence[Calls], outside: Sequence[Calls], record: Record) -> None:
    """System calls that Python does not report come from a library."""
    seen, told = (Counter(each for calls in both for each in calls.reached) for both in (outside, inside))
    for where in seen - told:
        record.violated(f"a connection to {where} was made behind Python's back")
    if told - seen:
        raise CannotShow("strace did not record everything that the devices did")
    record.measure("calls_traced", seen.total(), "connections recorded by strace")
    record.measure("calls_by_both", (seen & told).total(), "of them told by Python too")
