"""The hosts of one run: the steps of a plan happen to them, and the laws are asked."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from chat.config import Config
from chat.interface import EntryView, PairingChanged, PairingStage, ParlourError, UsageError
from chat.ports import Ports
from tests.sim.disk import Disk, copied, replaced
from tests.sim.laws import GRACE, Broken, Laws, Seen, Sent
from tests.sim.loop import LIFE, Life, SimLoop
from tests.sim.network import LyingRelay, SimDiscovery, SimNetwork
from tests.sim.plan import Plan, Step
from tests.support.engines.engines import Person
from tests.support.fakes.network import MemoryTransport

NAMES: Final = ("Ada", "Ben", "Cleo", "Dan", "Eve")
CONVERGES_WITHIN: Final = 400
"""Virtual seconds after which all has arrived, once nothing troubles any more."""

COPY_CONVERGES_WITHIN: Final = 7_200
"""The same after an old copy was put back."""

CRASH_WITHIN: Final = 2.0
"""Seconds after which a host dies whose fuse did not burn down."""

AGAIN_AFTER: Final = 1.0
"""Seconds after which a person sends again what could not be sent."""

AFTERWARDS: Final = 0.05
"""Seconds after its call in which an operation counts as going on."""

CONFIG: Final = Config()
LONG: Final = "🙂" * 16_000


@dataclass(frozen=True)
class Copy:
    """An old copy of a profile, with what its terminal had shown by then."""

    files: Path
    seen: Seen


class SimPerson(Person):
    network: SimNetwork

    def ports(self) -> Ports:
        here = self.network, self.host
        return Ports(self.clock, self._random.randbytes, MemoryTransport(*here), SimDiscovery(*here))


@dataclass(eq=False)
class Host:
    """One terminal's machine. `open` counts the operations that go on, `ends` names its next death."""

    number: int
    person: SimPerson
    disk: Disk
    life: Life | None = None
    made: bool = False
    up: bool = False
    starting: bool = False
    ends: str = "crash"
    puts_back: Copy | None = None
    down_for: float = 1.0
    copies: list[Copy] = field(default_factory=list)
    open: Counter[str] = field(default_factory=Counter)
    written: int = 0


Steps = Mapping[str, "Callable[[World, Step], None]"]


class World:
    """A run of a plan on the running loop. `cells` counts faults by step of the flow that they struck.

    `steps` has what each kind of step does.
    """

    def __init__(self, plan: Plan, folder: Path, template: Path | None, steps: Steps) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        self.loop, self.plan, self.folder, self._steps = loop, plan, folder, steps
        self.network = SimNetwork(plan.seed, plan.latency, plan.jitter)
        names = NAMES[: plan.persons]
        self.laws = Laws(names)
        self.cells: Counter[tuple[str, str]] = Counter()
        self.active: Counter[tuple[str, int]] = Counter()
        self.counts: Counter[str] = Counter()
        self.hosts = [self._host(number, name) for number, name in enumerate(names)]
        self.disks = [host.disk for host in self.hosts]
        self.relay = self._relay() if plan.relay else None
        self.calm_now = self.over = False
        if template is not None:
            for host in self.hosts:
                shutil.copytree(template / host.person.name, host.person.folder)
                host.made = True

    def _host(self, number: int, name: str) -> Host:
        folder = self.folder / name
        seed = self.plan.seed * 1_000 + number
        person = SimPerson(name, f"10.0.0.{number + 1}", folder, self.network, CONFIG, seed)
        self.laws.watch(person, number)
        host = Host(number, person, Disk(folder))
        host.disk.struck = partial(self.strike, host=host)
        host.disk.tore = partial(self._tore, host)
        side = self.laws.sides[number]
        side.database, host.disk.closing = host.disk.connection, partial(self.laws.ids, side)
        person.watch(partial(self._answer, host))
        return host

    def _relay(self) -> LyingRelay:
        relay = LyingRelay(self.network)
        relay.begin(str(self.plan.seed))
        self.network.lives[relay.host] = self.loop.born(relay.host, lambda: None)
        return relay.start()  # type: ignore[return-value]  # itself

    # The run.

    async def run(self) -> None:
        if not self.plan.fresh:
            for host in self.hosts:
                await self._started(host)
        if self.relay is not None and not self.plan.fresh:
            await self._meet_at_the_relay()
        for step in self.plan.steps:
            self._do(step)
            await asyncio.sleep(step.pause)
            self._check()
        await self._settle()

    async def _started(self, host: Host) -> None:
        self._start(host)
        await self._until(lambda: host.up, 60, f"{host.person.name} does not start")

    async def _meet_at_the_relay(self) -> None:
        assert self.relay is not None
        for host in self.hosts:
            self.spawn(host, "", partial(host.person.engine.add_relay, str(self.relay.address)))
        await asyncio.sleep(2.0)
        if self.plan.apart:
            for host in self.hosts:
                for other in self.hosts[: host.number]:
                    self.network.part(host.person.host, other.person.host)

    def _check(self) -> None:
        for failure in self.loop.failures:
            if not isinstance(failure, ParlourError):
                raise Broken("internal", f"{type(failure).__name__}: {failure}") from failure
        self.loop.failures.clear()
        self.laws.check()

    async def _until(self, holds: Callable[[], bool], within: float, otherwise: str) -> None:
        until = self.loop.time() + within
        while not holds():
            if self.loop.time() > until:
                raise Broken("liveness", otherwise)
            await asyncio.sleep(min(0.5, within / 100))

    # Lives.

    def _start(self, host: Host) -> None:
        if host.up or host.starting or self.over or not host.made:
            return
        host.starting = True
        side = self.laws.sides[host.number]
        side.at_start = set(side.ever)
        side.started = host.person.clock.monotonic()
        context = self.born(host)
        self.loop.create_task(self.begin(host, host.person.start), context=context)

    def born(self, host: Host) -> Context:
        context = self.loop.born(host.person.host, partial(self._down, host))
        host.life = context[LIFE]
        self.network.lives[host.person.host] = context
        return context

    async def begin(self, host: Host, work: Callable[[], Awaitable[None]], step: str = "restart") -> None:
        """In the life of the host."""
        with self._going_on(host, step):
            try:
                await work()
            except ParlourError as failure:
                self.counts[f"{type(failure).__name__} at a start"] += 1
                self.loop.call_later(0, self._fallen, host, context=Context())
                return
            host.up, host.starting, host.made = True, False, True
            side = self.laws.sides[host.number]
            side.engine = host.person
            side.person = host.person.engine._use_cases.keyring.own.person
            if self.relay is not None and step == "init":
                self.spawn(host, step, partial(host.person.engine.add_relay, str(self.relay.address)))
            self._send_again(host)
            await asyncio.sleep(AFTERWARDS)

    def _fallen(self, host: Host) -> None:
        """A start failed: whatever it left open is let go of, and it is tried again."""
        host.down_for, host.ends = 1.0, ""
        if host.life is not None and host.life.alive:
            self.loop.kill(host.life)
            self._down(host)

    def _tore(self, host: Host) -> None:
        if host.life is not None:
            self.laws.sides[host.number].engine = None
            self.loop.blow(host.life)

    def kill(self, host: Host) -> None:
        if host.life is not None and host.life.alive and (host.up or host.starting):
            self.loop.kill(host.life)
            self._down(host)

    def _down(self, host: Host) -> None:
        """The life of a host has ended: the files stay as they lie, or as a torn write left them."""
        assert host.life is not None
        if host.ends:
            self.strike(host.ends, host)
        host.ends = "crash"
        host.open.clear()
        side = self.laws.sides[host.number]
        self.laws.ids(side)
        side.engine = None
        self.network.unplug(host.person.host)
        self.network.lives.pop(host.person.host, None)
        host.made = host.made or (host.person.folder / "header").exists()
        if host.person.folder.exists():
            self._leave_files(host)
        host.up = host.starting = False
        host.disk.tears, put_back = None, host.puts_back
        if put_back is not None:
            replaced(host.person.folder, put_back.files)
            self.laws.copy_is_back(host.number, put_back.seen)
            host.puts_back = None
            self.counts["old copies"] += 1
        self.counts["deaths"] += 1
        self.loop.call_later(host.down_for, self._start, host, context=Context())

    def _leave_files(self, host: Host) -> None:
        left = copied(host.person.folder, host.person.folder.with_suffix(".left"))
        if host.disk.torn is not None:
            (left / host.disk.log.name).write_bytes(host.disk.torn)
            host.disk.torn = None
            self.counts["torn writes"] += 1
        host.disk.drop()
        if hasattr(host.person, "engine"):
            host.person.engine._vault.close()
        replaced(host.person.folder, left)

    async def stop(self, host: Host) -> None:
        """In the life of the host: its engine ends in order."""
        await host.person.stop()
        self.loop.call_soon(self._ended, host, context=Context())

    def _ended(self, host: Host) -> None:
        host.ends = ""
        if host.life is not None and host.life.alive:
            self.loop.kill(host.life)
            self._down(host)

    # Operations of persons.

    def spawn(self, host: Host, step: str, work: Callable[[], Awaitable[object]]) -> None:
        """An operation in the life of a host, as long as that lasts."""
        if not host.up:
            return

        async def operation() -> None:
            with self._going_on(host, step):
                try:
                    await work()
                except ParlourError as failure:
                    self.counts[type(failure).__name__] += 1
                except Exception as failure:  # noqa: BLE001  # no call raises anything else: a law
                    self.loop.failures.append(failure)
                await asyncio.sleep(AFTERWARDS)

        self.loop.create_task(operation(), context=self.network.lives[host.person.host])

    @contextmanager
    def _going_on(self, host: Host, step: str) -> Iterator[None]:
        host.open[step] += 1
        for (fault, number), on in self.active.items():
            if on and step and number in (host.number, -1):
                self.cells[fault, step] += 1
        try:
            yield
        finally:
            host.open[step] -= 1
            if host.open[step] <= 0:
                del host.open[step]

    def strike(self, fault: str, host: Host | None = None) -> None:
        """A fault happens at a host or, without one, to all: what goes on there is struck."""
        self.counts[fault] += 1
        for one in self.hosts if host is None else [host]:
            for step in self._steps_of(one):
                self.cells[fault, step] += 1

    def _steps_of(self, host: Host) -> set[str]:
        steps = {step for step in host.open if step}
        for sent in self.laws.sent.values():
            if sent.id and sent.to == host.number and sent.id not in self.laws.sides[host.number].ever:
                steps.add("receive")
            if sent.id and host.number in (sent.author, sent.to):
                confirmed = sent.id in self.laws.sides[sent.author].seen.confirmed
                if sent.id in self.laws.sides[sent.to].ever and not confirmed:
                    steps.add("receipt")
        return steps

    # What else persons do by themselves.

    def _answer(self, host: Host, event: object) -> None:
        """Every pairing is answered with yes."""
        if isinstance(event, PairingChanged):
            stage = event.pairing.stage
            if stage in (PairingStage.WORDS, PairingStage.JOINER):
                answer = partial(host.person.engine.answer_pairing, event.pairing.id, True)
                self.spawn(host, "pairing", answer)

    # Steps.

    def _do(self, step: Step) -> None:
        self._steps[step.kind](self, step)

    # The end.

    def calm(self) -> None:
        """Nothing troubles any more."""
        self.calm_now = True
        self.active.clear()
        self.network.slow.clear()
        self.network.armed.clear()
        self.network.parted.clear()
        if self.relay is not None:
            self.relay.lie = ""
            self.network.lives.setdefault(self.relay.host, self.loop.born(self.relay.host, lambda: None))
            self.relay.start()
        for pipe in self.network.pipes:
            pipe.left = None
        for host in self.hosts:
            host.disk.mend()
            host.person.clock.offset_ms = 0
            if self.plan.gone and host is self.hosts[-1]:
                self.laws.sides[host.number].gone = True
                self.network.cut(host.person.host)
                continue
            if host.life is not None:
                host.life.fuse = None
            self.network.heal(host.person.host)
            self._start(host)

    async def _settle(self) -> None:
        self.calm()
        there = [host for host in self.hosts if not self.laws.sides[host.number].gone]
        for host in there:
            if not host.made:
                self._do(Step("init", host.number))
        await self._until(lambda: all(host.up for host in there), 200, "a host does not start")
        await self._pair_all()
        for host in there:
            for other in sorted(self.laws.sides[host.number].estranged):
                if not self.laws.sides[other].gone:
                    self._do(Step("pair", host.number, other, 1))
                    await asyncio.sleep(30.0)
        await asyncio.sleep(1.0)  # what was begun last is in the database
        within = COPY_CONVERGES_WITHIN if self.counts["old copies"] else CONVERGES_WITHIN
        until = self.loop.time() + within
        while missing := self.laws.missing():
            self._check()
            if self.loop.time() > until:
                raise Broken("liveness", missing)
            await asyncio.sleep(1.0 if within == CONVERGES_WITHIN else 10.0)
        await asyncio.sleep(10.0)
        self._check()
        if self.laws.ending():  # what ended last may still be there for so long
            await asyncio.sleep(GRACE)
            self._check()
        self.counts["entries written"] += sum(sent.acknowledged for sent in self.laws.sent.values())
        self.counts["entries confirmed"] += sum(len(side.seen.confirmed) for side in self.laws.sides)
        if silent := self.laws.silent():
            raise Broken("announced", silent)

    async def _pair_all(self) -> None:
        there = [host for host in self.hosts if not self.laws.sides[host.number].gone]
        for one in there:
            for other in there[: one.number]:
                for how in (1, 0, 1):
                    if self._paired(one, other):
                        break
                    self._do(Step("pair", one.number, other.number, how))
                    with suppress(Broken):
                        await self._until(partial(self._paired, one, other), 120, "")
                else:
                    if not self._paired(one, other):
                        raise Broken("liveness", f"{one.person.name} and {other.person.name} cannot pair")

    def _paired(self, one: Host, other: Host) -> bool:
        return all(
            self.laws.sides[there.number].person in here.person.engine._use_cases.book.rows
            for here, there in ((one, other), (other, one))
        )

    # For steps.

    def write(
        self, host: Host, other: Host, *, long: bool = False, edits: str = ""
    ) -> Callable[[], Awaitable[None]]:
        """A text that nobody else writes, or that is to take the place of another one."""
        host.written += 1
        text = f"{host.person.name} {host.written}" + (LONG if long else "")
        self.laws.sent[text] = Sent(host.number, other.number, text, edits)
        return partial(self._send, host, self.laws.sent[text])

    async def _send(self, host: Host, sent: Sent) -> None:
        """Send it under an id of its own, and a second time where that failed."""
        contact, send_id = self.person(self.hosts[sent.to]), sent.text.rstrip("🙂")

        async def given() -> EntryView:
            if sent.edits:
                return await host.person.engine.edit(contact, sent.edits, sent.text, send_id)
            return await host.person.engine.send(contact, sent.text, "", send_id)

        try:
            view = await given()
        except ParlourError as failure:
            self.counts[type(failure).__name__] += 1
            if sent.edits and isinstance(failure, UsageError):  # it was deleted meanwhile
                sent.acknowledged = True
                return
            await asyncio.sleep(AGAIN_AFTER)
            view = await given()
        sent.acknowledged, sent.id = True, view.id

    def _send_again(self, host: Host) -> None:
        """After a start: what no call has acknowledged, for it may not be stored."""
        known = host.person.engine._use_cases.book.rows
        for sent in list(self.laws.sent.values()):
            person = self.laws.sides[sent.to].person
            if sent.author == host.number and not sent.acknowledged and person in known:
                self.spawn(host, "send", partial(self._send, host, sent))

    def person(self, host: Host) -> str:
        return self.laws.sides[host.number].person.hex()
