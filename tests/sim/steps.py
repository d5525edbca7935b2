"""What each kind of step does. A step begins something; what it began goes on while later steps happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Final

from chat.interface import DeletionScope, NearbyChanged
from tests.sim.disk import copied
from tests.sim.network import corrupt, drop, repeat, swap
from tests.sim.plan import LIES, Step
from tests.sim.thieves import Thief
from tests.sim.world import CRASH_WITHIN, Copy, Host, World
from tests.support.fakes.network import Pipe

SEEN_WITHIN: Final = 30.0
"""Seconds in which a person nearby is looked for."""


def _ready(world: World, step: Step) -> bool:
    """Whether a terminal is up whose person has that of the other one as a contact."""
    if max(step.who, step.other) >= len(world.hosts) or world.laws.sides[step.who].thief:
        return False  # nothing was stolen, or it acts as its thief does
    one, other = world.hosts[step.who], world.hosts[step.other]
    person = world.laws.persons[other.owner]
    if not world.laws.sides[step.who].runs or not person:
        return False
    return person in one.person.engine._use_cases.book.rows and one.owner != other.owner


# Persons.


def _send(world: World, step: Step) -> None:
    if _ready(world, step):
        host = world.hosts[step.who]
        world.spawn(host, "send", world.write(host, world.hosts[step.other], long=step.number == 11))


def _read(world: World, step: Step) -> None:
    """Read all that has come."""
    if not _ready(world, step):
        return
    side, other = world.laws.sides[step.who], world.hosts[step.other].owner
    ids = [view.id for view in world.laws.views(side, other) if not view.own and view.kind == "text"]
    host = world.hosts[step.who]

    async def read() -> None:
        side.read.update(ids)
        await host.person.engine.mark_read(world.person(world.hosts[step.other]), tuple(ids))
        side.seen.told.update(ids)

    if ids:
        world.spawn(host, "receipt", read)


def _delete(world: World, step: Step) -> None:
    """`number`: which of the entries, counted from the last; every fourth one on all own terminals."""
    if not _ready(world, step):
        return
    side, other = world.laws.sides[step.who], world.hosts[step.other].owner
    ids = [view.id for view in world.laws.views(side, other) if view.kind == "text"]
    host = world.hosts[step.who]
    scope = DeletionScope.MINE if step.number % 4 == 3 else DeletionScope.HERE

    async def delete(entry: str) -> None:
        await host.person.engine.delete(world.person(world.hosts[step.other]), entry, scope)
        side.seen.deleted.add(entry)
        if scope is DeletionScope.MINE:
            side.seen.on_all.add(entry)

    if ids:
        world.spawn(host, "delete", partial(delete, ids[-1 - step.number % len(ids)]))


def _mine(world: World, step: Step) -> str:
    """Of the own texts in a conversation the `number`th from the last, empty where there is none."""
    if not _ready(world, step):
        return ""
    side, other = world.laws.sides[step.who], world.hosts[step.other].owner
    ids = [view.id for view in world.laws.views(side, other) if view.own and view.kind == "text"]
    return ids[-1 - step.number % len(ids)] if ids else ""


def _delete_for_all(world: World, step: Step) -> None:
    """`number`: which of the own texts, counted from the last."""
    entry, host, side = _mine(world, step), world.hosts[step.who], world.laws.sides[step.who]

    async def delete() -> None:
        contact = world.person(world.hosts[step.other])
        gone = await host.person.engine.delete(contact, entry, DeletionScope.EVERYONE)
        side.seen.deleted.add(entry)
        side.seen.for_all.add(entry)
        assert gone.change

    if entry:
        world.spawn(host, "delete", delete)


def _edit(world: World, step: Step) -> None:
    """`number`: which of the own texts, counted from the last."""
    entry, host = _mine(world, step), world.hosts[step.who]
    if entry:
        world.spawn(host, "send", world.write(host, world.hosts[step.other], edits=entry))


def _timer(world: World, step: Step) -> None:
    """`number`: which timer, every fourth one none."""
    if not _ready(world, step):
        return
    host, other = world.hosts[step.who], world.hosts[step.other]
    seconds = (0, 1, 5, 30)[step.number % 4]

    async def timer() -> None:
        await host.person.engine.set_timer(world.person(other), seconds)

    world.spawn(host, "", timer)


def _mark(world: World, step: Step) -> None:
    """`number` odd: on; the half of it: pin or mute the contact, or pin the notes."""
    if not _ready(world, step):
        return
    host, contact, on = world.hosts[step.who], world.person(world.hosts[step.other]), bool(step.number % 2)

    async def mark() -> None:
        engine = host.person.engine
        match step.number // 2:
            case 0:
                await engine.pin(contact, on)
            case 1:
                await engine.mute(contact, on)
            case _:
                await engine.pin((await engine.me()).person, on)

    world.spawn(host, "", mark)


def _verify(world: World, step: Step) -> None:
    """`number`: of three times the first undoes it."""
    if not _ready(world, step):
        return
    host, contact = world.hosts[step.who], world.person(world.hosts[step.other])
    side = world.laws.sides[step.who]

    async def unverify() -> None:
        own = [one for one in world.hosts if one.owner == host.owner]
        for one in own:
            world.laws.sides[one.number].seen.verified.discard(world.hosts[step.other].owner)
        if len(own) > 1:  # another terminal may verify before it hears of this, and either may come last
            for one in own:
                world.laws.sides[one.number].undone.add(world.hosts[step.other].owner)
        await host.person.engine.unverify(contact)

    async def verify() -> None:
        numbers = (await host.person.engine.verification(contact)).numbers
        await host.person.engine.verify(contact, numbers[0])
        side.seen.verified.add(world.hosts[step.other].owner)

    world.spawn(host, "verify", verify if step.number % 3 else unverify)


def _init(world: World, step: Step) -> None:
    host = world.hosts[step.who]
    if not host.made and not host.starting and not host.up:
        host.starting = True
        context = world.born(host)
        world.loop.create_task(world.begin(host, host.person.create, "init"), context=context)


def _is_beside(world: World, host: Host) -> bool:
    """Whether the person has another terminal, or may have: such persons pair again at the end alone."""
    own = [one for one in world.hosts if one.owner == host.owner and one is not host]
    return any(one.made or one.up or one.starting for one in own)


def _pair(world: World, step: Step) -> None:
    """`number` odd: by an invitation, else nearby."""
    one, other = world.hosts[step.who], world.hosts[step.other]
    beside = _is_beside(world, one) or _is_beside(world, other)
    if not (one.up and other.up) or one is other or (beside and not world.calm_now):
        return
    for here, there in ((step.who, step.other), (step.other, step.who)):
        world.laws.sides[here].paired_again.add(there)

    async def invite() -> None:
        text = (await one.person.engine.invite()).text
        joins = partial(other.person.engine.join, text)
        world.loop.call_soon(world.spawn, other, "pairing", joins, context=Context())

    async def nearby() -> None:
        async with asyncio.timeout(SEEN_WITHIN):
            coming = one.person.wait(NearbyChanged, lambda event: bool(event.nearby))
            found = await one.person.engine.nearby() or (await coming).nearby
        for view in found:
            if view.name == other.person.name:
                await one.person.engine.pair_nearby(view.instance)

    async def seek() -> None:
        try:
            await nearby()
        except TimeoutError:
            world.counts["nobody nearby"] += 1

    if step.number % 2:
        world.spawn(one, "pairing", invite)
    else:
        world.spawn(other, "pairing", partial(other.person.engine.set_visible, True))
        world.spawn(one, "pairing", seek)


# The terminals of a person.


def _link(world: World, step: Step) -> None:
    """`number` odd: synced or not; of 2 and 3: at an address. What is no contact by then would be none."""
    if max(step.who, step.other) >= len(world.hosts) or world.laws.sides[step.who].thief:
        return
    host, new = world.hosts[step.who], world.hosts[step.other]
    if (
        host.up
        and not (new.made or new.starting)
        and host.owner == new.owner
        and world.all_paired(host.owner)
    ):
        world.link(host, new, named=step.number % 4 > 1)


def _remove(world: World, step: Step) -> None:
    """`number` odd: synced or not."""
    host, other = world.hosts[step.who], world.laws.sides[step.other]
    if host.up and host.owner == other.owner and other.terminal and not world.side(host).thief:
        work = partial(host.person.engine.remove_terminal, other.terminal.hex())
        world.spawn(host, "remove", work)


def _theft(world: World, step: Step) -> None:
    """A copy of the profile goes on at a machine of its own."""
    host = world.hosts[step.who]
    if len(world.hosts) > world.plan.terminals or not host.made or not world.all_paired(host.owner):
        return
    thief = world.add_host(host.owner)
    side, victim = world.laws.sides[thief.number], world.laws.sides[host.number]
    side.stolen, side.seen, side.ever = True, victim.seen.copy(), set(world.laws.ids(victim))
    world.stolen_from = host
    copied(host.person.folder, thief.person.folder)
    thief.made = True
    world.start(thief)


def _steal(world: World, step: Step) -> None:
    """`number`: of thieves.DEVICE to LEAKED. `other`: the contact who colludes, 0 for none."""
    host = world.hosts[step.who]
    others = len({one.owner for one in world.hosts}) > step.other
    if world.thief is None and host.up and others and world.all_paired(host.owner):
        world.thief = world.laws.thief = Thief(world, host, step.number, step.other)


def _act(world: World, step: Step) -> None:
    if world.thief is not None:
        world.thief.act(step.number, step.who, step.other)


def _wake(world: World, step: Step) -> None:
    if world.thief is not None:
        world.thief.wake()


def _cure(world: World, step: Step) -> None:
    if world.thief is not None:
        world.thief.cure()


def _recover(world: World, step: Step) -> None:
    """`other` is removed; `number` odd: synced or not."""
    world.recover(world.hosts[step.who], world.hosts[step.other])


# The network.


def _for_a_while(world: World, step: Step, end: Callable[[], object], *, everywhere: bool = False) -> None:
    """A fault that lasts: it strikes what goes on, and what begins before it ends."""
    key = step.kind, -1 if everywhere else step.who
    world.strike(step.kind, None if everywhere else world.hosts[step.who])
    world.active[key] += 1

    def over() -> None:
        if not world.calm_now:
            world.active[key] -= 1
            end()

    world.loop.call_later(step.seconds, over, context=Context())


def _slow(world: World, step: Step) -> None:
    """`number` tenths of a second more, for a while."""
    host = world.hosts[step.who].person.host
    world.network.slow[host] = step.number / 10
    _for_a_while(world, step, lambda: world.network.slow.pop(host, None))


def _cut(world: World, step: Step) -> None:
    host = world.hosts[step.who].person.host
    world.network.cut(host)
    _for_a_while(world, step, lambda: world.network.heal(host))


def _part(world: World, step: Step) -> None:
    one, other = world.hosts[step.who].person.host, world.hosts[step.other].person.host
    world.network.part(one, other)
    _for_a_while(world, step, lambda: None if world.plan.apart else world.network.join(one, other))


def _stream(world: World, step: Step, act: Callable[[Pipe], bool]) -> None:
    """Something happens to the stream of a host that carries bytes now, or that carries some next."""

    def acts(pipe: Pipe) -> bool:
        if pipe.closed or not act(pipe):
            return False
        for host in world.hosts:
            if host.person.host in (pipe.here, pipe.peer):
                world.strike(step.kind, host)
        return True

    here = world.hosts[step.who].person.host
    for pipe in reversed(world.network.pipes):
        if pipe.under_way and here in (pipe.here, pipe.peer) and acts(pipe):
            return
    world.network.armed.append((here, acts))


def _drop(world: World, step: Step) -> None:
    _stream(world, step, drop)


def _break(world: World, step: Step) -> None:
    """An end breaks after `number` more writes."""

    def breaks(pipe: Pipe) -> bool:
        pipe.left = step.number
        return True

    _stream(world, step, breaks)


def _corrupt(world: World, step: Step) -> None:
    _stream(world, step, corrupt)


def _repeat(world: World, step: Step) -> None:
    _stream(world, step, repeat)


def _swap(world: World, step: Step) -> None:
    _stream(world, step, swap)


def _relay_dies(world: World, step: Step) -> None:
    relay = world.relay
    if relay is None:
        return
    relay.stop()
    _for_a_while(world, step, relay.start, everywhere=True)


def _relay_lies(world: World, step: Step) -> None:
    relay = world.relay
    if relay is None:
        return

    def honest() -> None:
        relay.lie = ""

    relay.lie = LIES[step.number % len(LIES)]
    _for_a_while(world, step, honest, everywhere=True)


# Machines.


def _crash(world: World, step: Step) -> None:
    """Die after `number` steps of its tasks, or soon; come back after `seconds`."""
    host = world.hosts[step.who]
    if host.life is None or not host.life.alive or not (host.up or host.starting):
        return
    host.life.fuse, host.down_for, host.ends = step.number, step.seconds, step.kind
    life = host.life

    def now() -> None:
        if life.alive and life.fuse is not None and host.life is life:
            world.kill(host)

    world.loop.call_later(CRASH_WITHIN, now, context=Context())


def _torn(world: World, step: Step) -> None:
    """Die in the middle of a commit, after up to 3 others; come back after `seconds`."""
    host = world.hosts[step.who]
    host.disk.tears, host.disk.share = step.number % 4, (step.number // 4 % 8) / 8
    host.down_for, host.ends = step.seconds, "torn"


def _old_copy(world: World, step: Step) -> None:
    """Take a copy, and at every second time die after `number` steps and come back as an older one."""
    host = world.hosts[step.who]
    if not host.made or not host.person.folder.exists():
        return
    if world.plan.devices and not world.all_paired(host.owner):
        return  # who would have to pair again may have another terminal by then, which would not learn of it
    if not host.copies or step.number % 2 == 0:
        place = host.person.folder.with_suffix(f".copy{len(host.copies)}")
        files = copied(host.person.folder, place)
        side = world.laws.sides[host.number]
        world.laws.ids(side)
        host.copies.append(Copy(files, side.seen.copy()))
    if step.number % 3:
        host.puts_back = host.copies[step.number % len(host.copies)]
        _crash(world, step)


def _stop(world: World, step: Step) -> None:
    host = world.hosts[step.who]
    if host.up:
        world.strike("stop", host)
        host.down_for = step.seconds
        world.spawn(host, "", partial(world.stop, host))


def _clock(world: World, step: Step) -> None:
    """`number` milliseconds, which the clock is wrong from now on."""
    host = world.hosts[step.who]
    host.person.clock.offset_ms = step.number
    world.strike("clock", host)


def _disk(world: World, step: Step) -> None:
    """The next `number` writes or reads fail, after `seconds` (a whole number) that do not."""
    world.hosts[step.who].disk.fail(step.kind, step.number, int(step.seconds))


STEPS: Final[dict[str, Callable[[World, Step], None]]] = {
    "send": _send,
    "read": _read,
    "delete": _delete,
    "delete_for_all": _delete_for_all,
    "edit": _edit,
    "timer": _timer,
    "mark": _mark,
    "verify": _verify,
    "init": _init,
    "pair": _pair,
    "link": _link,
    "remove": _remove,
    "theft": _theft,
    "recover": _recover,
    "steal": _steal,
    "act": _act,
    "wake": _wake,
    "cure": _cure,
    "slow": _slow,
    "cut": _cut,
    "part": _part,
    "drop": _drop,
    "break": _break,
    "corrupt": _corrupt,
    "repeat": _repeat,
    "swap": _swap,
    "crash": _crash,
    "torn": _torn,
    "old_copy": _old_copy,
    "stop": _stop,
    "full": _disk,
    "broken": _disk,
    "late": _disk,
    "unread": _disk,
    "clock": _clock,
    "relay_dies": _relay_dies,
    "relay_lies": _relay_lies,
}
