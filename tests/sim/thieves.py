"""A thief of a person's device, image or words: real engines that act as an adversary, to the end of the run.

A thief acts by the calls of its engines. What they refuse it signs and sends itself. It takes in all that
others sign but what removes it, so it goes on after the cure. The colluding contact hands over what the thief
signs and writes, on links of its own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from chat.interface import DeletionScope, ParlourError
from chat.network.links import LiveLink
from chat.service.drawing import renew_upon
from chat.service.messages import _is_held
from chat.storage import persons
from protocol.entries_and_receipts import (
    KIND_CUT,
    KIND_TEXT,
    EntryPlace,
    ParsedEntry,
    Signed,
    conversation_of,
    conversation_of_two,
    cut_body,
    take_entry,
    text_body,
    write_entry,
)
from protocol.errors import ProtocolError
from protocol.identity import log
from protocol.identity.author import (
    create_terminal,
    read_recovery_words,
    recover_operation,
    recovery_key,
    sign_recovery,
)
from protocol.identity.exchange import extend, in_messages
from protocol.identity.reduction import Reduction
from protocol.labels import SIGN_ENTRY
from protocol.limits import LINK_SECONDS_MAX
from protocol.messages import CutHead, Entry, Message
from protocol.primitives import KEY_SIZE, ed25519_sign
from tests.sim.disk import Reader, copied
from tests.sim.laws import Broken, Side

if TYPE_CHECKING:
    from tests.sim.world import Host, World

DEVICE, COPY, IMAGE, WORDS, LEAKED = range(5)
"""What is stolen: a device, a copy that runs at once, an image that goes on later, an image and the recovery
words, which the person then replaces, or words in force alone, and a contact who colludes has the log."""

MACHINES_MOST: Final = 3
"""Machines of the thief, with those that it adds."""

RECOVERIES_MOST: Final = 3
"""Recoveries that leaked words sign."""

PAUSES: Final = (3.0, 20.0, 45.0, 120.0)
"""Seconds between its acts after the cure."""

UNHEARD: Final = 40.0
"""Seconds for which half of the cures reach nobody, while the thief writes to all."""

LIES_IN_NOTES: Final = 3
"""The last of the ways in which it says that another device wrote something."""


class Thief:
    """What one thief has, and has made. `terminals`: ids of the stolen device and of what it brought in.

    `made`: ids of the operations that the thief signed, `known`: of those that were there before.
    `incarnations`: under which it writes. `before`: the entries that it had written by the time of the cure,
    None until then.
    """

    def __init__(self, world: World, victim: Host, kind: int, colluding: int) -> None:
        self.world, self.owner, self.kind = world, victim.owner, kind
        self.colluding = world.hosts[colluding] if colluding else None
        self.stolen = world.side(victim).terminal if kind != LEAKED else b""
        self.terminals = {self.stolen} - {b""}
        self.made: set[bytes] = set()
        self._log_then = world.laws.operations(world.side(victim))[self.owner]
        self.known = {log.parse_operation(one).id for one in self._log_then}
        self.incarnations: set[bytes] = set()
        self.held: dict[int, set[str]] = {}
        """What each honest terminal held when it learned of the cure."""
        self.before: set[bytes] | None = None
        self.machines: list[Host] = []
        self.mallory: Host | None = None
        self.random = random.Random(f"thief {world.plan.seed}")
        self._number = 0
        self._parsed: dict[bytes, log.LoggedOperation] = {}
        self.victim = victim
        state = world.laws.logs(world.side(victim))[world.laws.persons[self.owner]]
        self.is_junior = next(iter(state.live), b"") != self.stolen and kind != LEAKED
        self.words = [*world.words.get(self.owner, ())]
        self.sleeps = kind in (IMAGE, WORDS)
        if kind == DEVICE:
            self._take(victim)
            self.arm(victim)
        elif kind != LEAKED:
            machine = world.add_host(self.owner)
            self._take(machine)
            side, there = world.side(machine), world.side(victim)
            side.seen, side.ever = there.seen.copy(), set(world.laws.ids(there))
            copied(victim.person.folder, machine.person.folder)
            if kind == COPY:
                self.wake()

    def _take(self, host: Host) -> None:
        side = self.world.side(host)
        side.stolen = side.thief = True
        self.machines.append(host)

    def wake(self) -> None:
        """The image goes on."""
        if not self.machines:
            return
        host, self.sleeps = self.machines[0], False
        if not host.made:
            host.made = True
            self.world.start(host)

    @property
    def person(self) -> bytes:
        return self.world.laws.persons[self.owner]

    # What makes an engine the thief's.

    def arm(self, host: Host) -> None:
        """Its engine notes what it signs, and takes in nothing that would remove it."""
        parts = host.person.engine._use_cases
        own_log, keyring = parts.own_log, parts.keyring
        if host is not self.mallory:
            self.incarnations |= {parts.messages._incarnation, parts.notes._incarnation}
        received, adds, incoming = own_log.received, own_log._add, set[bytes]()

        async def takes(operations: Sequence[bytes]) -> bool:
            held = await parts.store.read(persons.log_of, keyring.own.person)
            try:
                state = extend(held[0], operations, held[1]).state
            except ProtocolError:
                return True
            if keyring.own.terminal in state.gone:
                return True
            incoming.update(log.parse_operation(one).id for one in operations)
            return await received(operations)

        async def notes(operations: Sequence[bytes], *more: Any, **named: Any) -> Any:
            signed = {log.parse_operation(one).id for one in operations} - incoming
            if host is not self.mallory:
                self.made |= signed
            try:
                return await adds(operations, *more, **named)
            finally:
                self._learn(host)

        own_log.received, own_log._add = takes, notes  # type: ignore[method-assign]
        self._learn(host)

    def _learn(self, host: Host) -> None:
        """The terminals that the thief has brought in."""
        if host is self.mallory or not self.world.side(host).runs:
            return
        keyring = host.person.engine._use_cases.keyring
        self.terminals.add(keyring.own.terminal)
        self.terminals |= {one.id for one in keyring.own_log.terminals() if one.operation in self.made}

    # The cure.

    def cures(self, side: Side) -> set[bytes]:
        """What the person signed against the thief, in what a terminal holds: removals and recoveries.

        A recovery removes no device that has removed itself, as a thief may have done with the stolen one.
        """
        if not side.runs:
            return set()
        found = set[bytes]()
        for signed in self.world.laws.operations(side)[self.owner]:
            one = self._parsed.get(signed)
            if one is None:
                one = self._parsed[signed] = log.parse_operation(signed)
            denies = any(removal.terminal == self.stolen for removal in one.removals)
            recovers = isinstance(one.operation, log.Recover) and one.id not in self.known
            if (denies or recovers) and one.id not in self.made:
                found.add(one.id)
        return found

    def cure(self) -> None:
        """The person removes what was stolen: by the most senior device that it has, or by its words."""
        world = self.world
        state = world.laws.truths().get(self.owner)
        own = [side for side in world.laws.of(self.owner) if side.runs and not (side.thief or side.gone)]
        if state is None or not own or any(map(self.cures, own)):
            return
        rank, stolen = {one.id: one.rank for one in state.live.values()}, state.live.get(self.stolen)
        seniors = [side for side in own if side.terminal in rank and side.terminal != self.stolen]
        senior = min(seniors, key=lambda side: rank[side.terminal], default=None)
        able = senior is not None and stolen is not None and rank[senior.terminal] < stolen.rank
        if able and self.kind != WORDS and senior is not None:
            host = world.hosts[senior.number]
            remove = partial(host.person.engine.remove_terminal, self.stolen.hex())
            world.spawn(host, "remove", remove)
            self._write_unheard(host)
            return
        at = senior if senior is not None else own[0]
        if world.recovers.get(self.owner, at.number) != at.number:
            world.recovers[self.owner] = at.number  # the device that used them before is removed
        # Who holds what leaked words signed takes nothing from the devices that these remove.
        world.recover(world.hosts[at.number], world.hosts[at.number] if self.kind == LEAKED else self.victim)
        self._write_unheard(world.hosts[at.number])

    def _write_unheard(self, host: Host) -> None:
        """The terminal that cures reaches nobody for a while, and the thief writes to all others.

        A thief with words would recover first, and who has not heard of the other recovery confirms neither.
        """
        world, network, here = self.world, self.world.network, host.person.host
        if world.plan.apart or world.plan.seed % 2 or self.kind in (WORDS, LEAKED):
            return
        others = [one.person.host for one in world.hosts if one is not host]
        for other in others:
            network.part(here, other)

        async def writes() -> None:
            await asyncio.sleep(UNHEARD / 2)
            for machine in self.machines:
                if machine.up and not self.sleeps:
                    for target in world.hosts[1 : world.plan.persons]:
                        self._write(machine, target)
            await asyncio.sleep(UNHEARD / 2)
            for other in others:
                network.join(here, other)

        world.loop.create_task(writes(), context=Context())

    async def end(self) -> None:
        """Before the cure the thief parts nobody; then comes the cure, after which it goes on.

        Raises Broken.
        """
        self.wake()
        own = [side for side in self.world.laws.of(self.owner) if not side.thief]
        if self.is_junior and not any(map(self.cures, own)):
            await self.together()
        for _ in range(4):
            if any(map(self.cures, own)):
                break
            self.cure()
            await self._pause(30.0)
        else:
            raise Broken("cured", "the person cannot end the theft")
        self.world.loop.create_task(self._go_on(), context=Context())

    async def _pause(self, seconds: float) -> None:
        until = self.world.loop.time() + seconds
        while self.world.loop.time() < until:
            await asyncio.sleep(min(1.0, seconds))
            self.world._check()

    async def _go_on(self) -> None:
        """To the end of the run: first the contact who colludes gets words, and hands them over."""
        if self.colluding is not None and self.machines and self.machines[0].up:
            self._write(self.machines[0], self.colluding)
            await asyncio.sleep(PAUSES[0])
            self._pass_on(self.machines[0], self.colluding)
        while not self.world.over:
            self.act(self.random.randrange(99), self.random.randrange(99), self.random.randrange(99))
            await asyncio.sleep(self.random.choice(PAUSES))

    async def together(self) -> None:
        """What honest terminals write comes to all honest ones of both persons, whatever the thief does.

        Raises Broken.
        """
        world, laws = self.world, self.world.laws
        for self._number in (2, 1, 2):  # it draws for some and for nobody, and signs upon other operations
            if self.machines[0].up:
                self._renew(self.machines[0], self.victim)
                self._backdate(self.machines[0], self.victim)
                await self._pause(5.0)
        texts = []
        for one in range(world.plan.persons):
            for side in laws.live(one) if one != self.owner else laws.live(self.owner):
                for other in range(world.plan.persons):
                    if other != one and self.owner in (one, other) and side.runs:
                        host = world.hosts[side.number]
                        world.spawn(host, "send", world.write(host, world.hosts[other]))
                        texts.append((one, other, f"{side.name} {host.written}"))
        until, number = world.loop.time() + LINK_SECONDS_MAX, 0
        while missing := self._not_come(texts):
            if world.loop.time() > until:
                raise Broken("together", missing)
            number += 1
            if number % 6 == 0:
                self.act(*(self.random.randrange(99) for _ in range(3)))
            await self._pause(5.0)

    def _not_come(self, texts: Iterable[tuple[int, int, str]]) -> str:
        for one, other, text in texts:
            for person in (one, other):
                for side in self.world.laws.live(person):
                    # A thief may edit and delete it, and a timer end it.
                    if side.runs and self.world.laws.sent[text].id not in self.world.laws.ids(side):
                        return f"{text!r} does not come to {side.name}, with a junior thief"
        return ""

    # The laws.

    def check(self) -> None:
        """What holds at any time at all who hold the cure. Raises Broken."""
        there = [side for side in self.world.laws.sides if side.runs and not side.thief]
        cures = set[bytes]().union(*map(self.cures, there))
        if not cures:
            return
        if self.before is None:
            self.before = self._written()
        for side in there:
            state = self.world.laws.logs(side).get(self.person)
            if state is None or not cures & state.counting:
                continue
            self.held.setdefault(side.number, set(side.ever))
            if live := self.terminals & state.live.keys():
                raise Broken("cured", f"{side.name} holds {len(live)} of the thief's devices live")
            grants = {one for one in self.made & state.counting if not self._denies(one)}
            if grants:
                raise Broken("cured", f"{side.name} counts {len(grants)} operations of the thief")
            if any(state.drawn.get(one, 0) > 0 for one in self.made):
                raise Broken("cured", f"{side.name} uses a secret that the thief drew")

    def _denies(self, operation: bytes) -> bool:
        """Whether it only removes: that stands, as who was removed is linked again (SPEC §7.3)."""
        return any(one.id == operation and one.removals for one in self._parsed.values())

    def _written(self) -> set[bytes]:
        """The entries that the thief's machines have written."""
        found = set[bytes]()
        for host in self.machines:
            if (database := self.world.side(host).database()) is not None:
                rows = Reader(database).rows(_INCARNATIONS)
                found |= {entry for incarnation, entry in rows if incarnation in self.incarnations}
        return found

    def ended(self) -> None:
        """What holds when all has converged. Raises Broken."""
        later = self._written() - (self.before or set())
        for side in self.world.laws.sides:
            if not side.runs or side.thief or side.gone:
                continue
            if side.owner == self.owner:
                self._check_mallory(side)
            for entry in {one for (one,) in Reader(side.database()).rows(_COUNTING)} & later:
                before = entry.hex() in self.held.get(side.number, ())
                if not (before and self.world.laws.is_uncut(side, entry)):
                    raise Broken("cured", f"{side.name} counts what the thief wrote after the cure")
            self._check_cuts(side)

    def _check_mallory(self, side: Side) -> None:
        """Whom the thief paired, or compared, has that standing no more."""
        assert side.engine is not None
        if self.mallory is None or side.terminal not in self._live():
            return
        person = self.world.side(self.mallory).person.hex()
        for view in side.engine.engine._use_cases.views.contacts():
            if view.person == person and (view.verified or not view.unvouched):
                raise Broken("cured", f"{side.name} trusts whom the thief paired")

    def _live(self) -> set[bytes]:
        return {side.terminal for side in self.world.laws.live(self.owner)}

    def _check_cuts(self, side: Side) -> None:
        """No cut by the thief leaves out what a device wrote that is live still."""
        quarantined = Reader(side.database()).rows(_LEFT_OUT)
        live = {one.terminal for person in range(len(self.world.laws.persons)) for one in self._of(person)}
        if any(author in live for (author,) in quarantined):
            raise Broken("cured", f"{side.name} leaves out what a live device wrote")

    def _of(self, person: int) -> list[Side]:
        return self.world.laws.live(person)

    # What the thief does.

    def act(self, which: int, who: int, other: int) -> None:
        """One of its acts, at one of its machines, towards another terminal."""
        if self.kind == LEAKED:
            self._use_leaked(removes=bool(which % 2))
        if self.sleeps:
            return
        there = [host for host in self.machines if host.up]
        if not there:
            return
        acts = [*_ACTS, *(_COLLUDING if self.colluding is not None else ())]
        host = there[who % len(there)]
        target = self.world.hosts[other % self.world.plan.terminals]
        self._number = other
        acts[which % len(acts)](self, host, target)

    def _do(self, host: Host, work: Callable[[], Awaitable[object]]) -> None:
        async def tried() -> None:
            with suppress(ParlourError, ProtocolError):
                await work()

        self.world.counts["acts of thieves"] += 1
        self.world.spawn(host, "", tried)

    def _contact(self, host: Host, target: Host) -> Host | None:
        """The target, or another person, if that is a contact."""
        if target.owner == self.owner:
            target = self.world.hosts[1]
        known = host.person.engine._use_cases.book.rows
        return target if self.world.laws.persons[target.owner] in known else None

    def _write(self, host: Host, target: Host) -> None:
        if (to := self._contact(host, target)) is not None:
            self._do(host, self.world.write(host, to))

    def _note(self, host: Host, target: Host) -> None:
        self._do(host, partial(host.person.engine.send, self.person.hex(), f"note {self._number}"))

    def _amend(self, host: Host, target: Host) -> None:
        """Edit or delete for everyone a text of the person."""
        if (to := self._contact(host, target)) is None:
            return
        views = self.world.laws.views(self.world.side(host), to.owner)
        own = [view.id for view in views if view.own and view.kind == "text"]
        if not own:
            return
        entry = own[self._number % len(own)]
        if self._number % 3:
            self._do(host, self.world.write(host, to, edits=entry))
        else:
            gone = partial(host.person.engine.delete, self.world.person(to), entry, DeletionScope.EVERYONE)
            self._do(host, gone)

    def _add(self, host: Host, target: Host) -> None:
        if len(self.machines) < MACHINES_MOST:
            machine = self.world.add_host(self.owner)
            self._take(machine)
            self.world.link(host, machine, named=True)

    def _rename(self, host: Host, target: Host) -> None:
        self._do(host, partial(host.person.engine.rename_self, f"Thief {self._number}"))

    def _remove(self, host: Host, target: Host) -> None:
        """What its engine lets it remove: juniors."""
        known = [*host.person.engine._use_cases.keyring.own_log.live]
        terminal = known[self._number % len(known)] if known else b""
        if terminal not in self.terminals:
            self._do(host, partial(host.person.engine.remove_terminal, terminal.hex()))

    def _pair(self, host: Host, target: Host) -> None:
        """Pair with an accomplice, and then say that both have compared."""
        if self.mallory is None:
            self.world.laws.persons.append(b"")
            self.mallory = self.world.add_host(len(self.world.laws.persons) - 1)
            side = self.world.side(self.mallory)
            side.stolen = side.thief = True
            self.mallory.starting = True
            made = self.world.begin(self.mallory, self.mallory.person.create, "init")
            self.world.loop.create_task(made, context=self.world.born(self.mallory))
            return
        mallory = self.mallory
        known = host.person.engine._use_cases.book.rows
        if not mallory.up:
            return
        if self.world.side(mallory).person in known:
            self._verify(host, mallory)
            return

        async def pairs() -> None:
            text = (await host.person.engine.invite()).text
            joins = partial(mallory.person.engine.join, text)
            self.world.loop.call_soon(self.world.spawn, mallory, "", joins, context=Context())

        self._do(host, pairs)

    def _verify(self, host: Host, target: Host) -> None:
        async def verifies() -> None:
            contact = self.world.person(target)
            number = (await host.person.engine.verification(contact)).numbers[0]
            await host.person.engine.verify(contact, number)

        self._do(host, verifies)

    def _renew(self, host: Host, target: Host) -> None:
        """Draw secrets, and seal them to nobody, to some or to all."""
        parts, how = host.person.engine._use_cases, self._number % 3

        async def draws() -> None:
            held, pins = await parts.store.read(persons.log_of, self.person)
            signed, drawn = renew_upon(held, pins, parts.keyring.own, self.random.randbytes)
            if how:
                made: Any = log.parse_operation(signed).operation
                boxes = [
                    self.random.randbytes(len(box)) if how == 1 or self.random.random() < 0.5 else box
                    for box in made.sealed
                ]
                changed = log.Renew(made.person, made.author, made.parents, made.drawn, made.once, boxes)
                signed = log.sign_operation(changed, parts.keyring.own.signing_seed)
                drawn = type(drawn)(log.parse_operation(signed).id, drawn.secret)
            await parts.own_log._add([signed], drawn=(drawn,))

        self._do(host, draws)

    def _backdate(self, host: Host, target: Host) -> None:
        """Sign a grant or a denial upon any operations of the log, and send it on every link."""
        parts, chosen = host.person.engine._use_cases, self.random
        victim = self.world.side(target).terminal

        async def signs() -> None:
            held, _ = await parts.store.read(persons.log_of, self.person)
            if self.colluding is not None and self.colluding.up:
                theirs = self.colluding.person.engine._use_cases.keyring.held(self.person)
                held = [*{*held, *theirs}]
            graph = log.load(held)
            place = chosen.randrange(len(graph.order))
            own, parents = parts.keyring.own, [graph.order[place].id]
            signed = self._signed(own, parents, chosen.randrange(4), victim, Reduction(graph))
            self.made.add(log.parse_operation(signed).id)
            self._parsed[signed] = log.parse_operation(signed)
            upto = [one.signed for one in graph.order if graph.past[place] >> graph.position[one.id] & 1]
            await self._send(host, in_messages([*upto, graph.order[place].signed, signed]))

        self._do(host, signs)

    def _signed(
        self, own: Any, parents: list[bytes], kind: int, target: bytes, reduction: Reduction
    ) -> bytes:
        person, seed, draw = own.person, own.signing_seed, self.random.randbytes
        match kind:
            case 0:
                new = create_terminal(draw)
                self.terminals.add(new.id)
                add = log.Add(person, own.terminal, parents, new.signing, new.static, "machine")
                return log.sign_operation(add, seed, new.signing_seed)
            case 1:
                remove = log.Remove(person, own.terminal, parents, target or own.terminal, [])
                return log.sign_operation(remove, seed)
            case 2:
                rename = log.Rename(person, own.terminal, parents, f"Thief {self._number}")
                return log.sign_operation(rename, seed)
            case _:
                live = reduction.live_upto(parents)
                boxes = [draw(KEY_SIZE + 16) for _ in live]
                once = create_terminal(draw).static
                return log.sign_operation(
                    log.Renew(person, own.terminal, parents, draw(KEY_SIZE), once, boxes), seed
                )

    def _cut(self, host: Host, target: Host) -> None:
        """Cut a device of the person, which another one may have removed or nobody, at a text of its own."""
        if (to := self._contact(host, target)) is None:
            return
        parts = host.person.engine._use_cases
        person = self.world.laws.persons[to.owner]
        terminal = self.world.side(self.world.hosts[self.owner]).terminal
        conversation = conversation_of_two(self.person, person)

        def commit(database: Any) -> Any:
            rows = database.rows(
                "SELECT e.incarnation, e.sequence, e.id FROM entries AS e JOIN terminals AS t"
                " ON t.number = e.author JOIN conversations AS c ON c.number = e.conversation"
                " WHERE t.terminal = ? AND c.id = ? ORDER BY e.sequence LIMIT 1",
                *(terminal, conversation),
            )
            heads = [CutHead(*row) for row in rows] or [CutHead(bytes(8), 1, self.random.randbytes(32))]
            body = cut_body(terminal, heads)
            return parts.messages._commit(database, person, KIND_CUT, body)

        async def cuts() -> None:
            entry = await parts.store.write_once(_is_held, commit)
            parts.sync.send(person, entry)

        self._do(host, cuts)

    def _recover(self, host: Host, target: Host) -> None:
        """Use the words that the person has replaced."""
        if self.kind != WORDS or host is not self.machines[0] or not self.words:
            return
        engine, words = host.person.engine, self.words[0]
        terminal = self.world.side(self.world.hosts[self.owner]).terminal
        mine = host.person.engine._use_cases.keyring.own.terminal

        async def recovers() -> None:
            view = await engine.begin_recovery()
            typed = tuple(view.words[place] for place in view.asked)
            removed = tuple({terminal.hex(), mine.hex()} - {""})
            await engine.recover(words, removed, typed)
            self.words.clear()
            self._learn(host)

        self._do(host, recovers)

    def _use_leaked(self, *, removes: bool) -> None:
        """Sign a recovery upon the log as the contact has it, which hands it to the person's devices.

        It brings in a machine that only the log names, and removes all devices or none. Words that were
        replaced sign upon the log of before.
        """
        colluding = self.colluding
        if colluding is None or not colluding.up:
            return
        held = colluding.person.engine._use_cases.keyring.held(self.person)
        if self.words and len(self.made) < RECOVERIES_MOST:
            seed, new = read_recovery_words(self.words[0]), create_terminal(self.random.randbytes)
            both = (Reduction(log.load(one)) for one in (held, self._log_then))
            upon = next((one for one in both if one.state().recovery == recovery_key(seed)), None)
            if upon is None:
                return
            removed = dict[bytes, Sequence[bytes]]((one, ()) for one in upon.state().live if removes)
            following = self.random.randbytes(KEY_SIZE)
            brings = log.TerminalKeys(new.signing, new.static)
            made = recover_operation(upon, seed, following, removed, brings)
            signed = sign_recovery(made, seed, new.signing_seed)
            parsed = log.parse_operation(signed)
            self.made.add(parsed.id)
            self._parsed[signed] = parsed
            self.terminals.add(new.id)
            self.world.laws.is_recovered(self.owner)
        graph = log.load([*{*held, *self._parsed}])
        self._do(colluding, partial(self._send, colluding, in_messages([one.signed for one in graph.order])))

    def _lie(self, host: Host, target: Host) -> None:
        """Say on links of own devices that another one wrote what it made up.

        Without a signature, with one of its own in that one's name, or as what it took; or in the notes.
        """
        keyring, how = host.person.engine._use_cases.keyring, self._number % (LIES_IN_NOTES + 1)
        own = keyring.own
        other = self.owner if how == LIES_IN_NOTES else 1

        async def lies() -> None:
            entry = self._made_up(host, host, other, keyring.self_keys[0])
            if entry is None:
                return
            if how == 1:
                made = ed25519_sign(own.signing_seed, SIGN_ENTRY + entry.id)
                entry = replace(entry, signed=Signed(entry.header.author, made))
            elif how > 1:
                entry = replace(entry, signed=take_entry(entry.id, own.terminal, own.signing_seed))
            await self._send(host, [entry.passed()], own=True)

        self._do(host, lies)

    async def _send(self, host: Host, messages: Iterable[Message], *, own: bool = False) -> None:
        """On each link with the person's devices, or with contacts as well."""
        sent = list(messages)
        for link in host.person.engine._use_cases.links.all():
            if link.person == self.person or (not own and host is not self.colluding):
                await self._say(link, sent)

    async def _say(self, link: LiveLink, messages: Sequence[Message]) -> None:
        with suppress(ProtocolError, OSError):
            for message in messages:
                await link.driver.send(message)

    # With a contact that colludes.

    def _hand_over(self, host: Host, target: Host) -> None:
        """The contact gives the person's devices all operations of the thief, on its own links."""
        colluding, parts = self.colluding, host.person.engine._use_cases
        assert colluding is not None

        async def hands() -> None:
            held, _ = await parts.store.read(persons.log_of, self.person)
            signed = [one for one, parsed in self._parsed.items() if parsed.id in self.made]
            graph = log.load([*{*held, *signed}])
            whole = [one.signed for one in graph.order]
            await self._send(colluding, in_messages(whole))

        if colluding.up:
            self._do(colluding, hands)

    def _pass_on(self, host: Host, target: Host) -> None:
        """The contact gives the person's devices what the thief wrote in their conversation."""
        colluding = self.colluding
        assert colluding is not None
        side, theirs = self.world.side(host), self.world.laws.persons[colluding.owner]
        if not colluding.up or (database := side.database()) is None:
            return
        conversation = conversation_of_two(self.person, theirs)
        rows = [
            Entry(header, salt, body)
            for header, salt, body, author in Reader(database).rows(_ENTRIES, conversation)
            if author in self.terminals
        ]
        if rows:
            self._do(colluding, partial(self._send, colluding, rows[-8:]))

    def _forge(self, host: Host, target: Host) -> None:
        """The contact makes up what a device of the person wrote, under a self key that the thief has.

        Before the cure that is the newest one, so it takes one that is none. After it the devices that hold
        the cure get the entry.
        """
        colluding = self.colluding
        assert colluding is not None
        if not colluding.up:
            return
        keys = host.person.engine._use_cases.keyring.self_keys
        old = self._number % 2 == 0 and self.before is not None
        key = keys[self._number // 2 % len(keys)] if old else self.random.randbytes(KEY_SIZE)

        async def forges() -> None:
            entry = self._made_up(colluding, host, colluding.owner, key)
            for link in colluding.person.engine._use_cases.links.of(self.person):
                if entry is not None and (not old or self._is_cured(link)):
                    await self._say(link, [entry.message()])

        self._do(colluding, forges)

    def _is_cured(self, link: LiveLink) -> bool:
        """Whether a device of the person at the other end of a link holds the cure."""
        own = (side for side in self.world.laws.of(self.owner) if side.runs and not side.thief)
        for side in own:
            assert side.engine is not None
            ring = side.engine.engine._use_cases.keyring
            if ring.identity.static.public == link.peer.static:
                return bool(self.cures(side) & ring.own_log.counting)
        return False

    def _made_up(self, sender: Host, host: Host, other: int, key: bytes) -> ParsedEntry | None:
        """A text of an honest device in the conversation with a person or in the notes, tagged with a key."""
        laws, person, draw = self.world.laws, self.person, self.random.randbytes
        honest = [one for one in laws.of(self.owner) if one.terminal not in self.terminals and not one.thief]
        if not honest:
            return None
        heads = [*host.person.engine._use_cases.keyring.own_log.heads]
        conversation = conversation_of(person, laws.persons[other])
        place = EntryPlace(conversation, self.random.choice(honest).terminal, draw(8), None, [], heads)
        body = text_body(f"nobody wrote {self.random.randrange(1 << 30)}")
        entry = write_entry(place, sender.person.clock.wall(), KIND_TEXT, body, key, draw)
        laws.made_up(entry.id, notes=other == self.owner)
        return entry


_INCARNATIONS: Final = "SELECT incarnation, id FROM entries"
_COUNTING: Final = (
    "SELECT id FROM entries WHERE number NOT IN"
    " (SELECT q.entry FROM quarantine AS q JOIN rules AS r ON r.number = q.rule AND r.decides)"
    " AND number NOT IN (SELECT entry FROM claims)"
)
_LEFT_OUT: Final = (
    "SELECT DISTINCT t.terminal FROM quarantine AS q JOIN rules AS r ON r.number = q.rule AND r.decides"
    " JOIN entries AS e ON e.number = q.entry JOIN terminals AS t ON t.number = e.author"
)
_ENTRIES: Final = (
    "SELECT e.header, b.salt, b.body, t.terminal FROM entries AS e JOIN bodies AS b ON b.entry = e.number"
    " JOIN terminals AS t ON t.number = e.author JOIN conversations AS c ON c.number = e.conversation"
    " WHERE c.id = ? ORDER BY e.number"
)

_ACTS: Final = (
    *(Thief._write, Thief._write, Thief._note, Thief._amend, Thief._add, Thief._add, Thief._rename),
    *(Thief._remove, Thief._pair, Thief._pair, Thief._pair, Thief._renew, Thief._renew),
    *(Thief._backdate, Thief._backdate, Thief._cut, Thief._recover, Thief._recover, Thief._lie),
)
_COLLUDING: Final = (Thief._hand_over, Thief._hand_over, Thief._pass_on, Thief._forge)
