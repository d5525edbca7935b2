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
from chat.interface import (
    EntryView,
    LinkingChanged,
    LinkingStage,
    LinkingView,
    PairingChanged,
    PairingStage,
    ParlourError,
    QuestionsChanged,
    UsageError,
)
from chat.ports import Ports
from protocol.limits import LINK_SECONDS_MAX
from tests.sim.disk import Disk, copied, replaced
from tests.sim.laws import GRACE, Broken, Laws, Seen, Sent, Side
from tests.sim.loop import LIFE, Life, SimLoop
from tests.sim.network import LyingRelay, SimDiscovery, SimNetwork
from tests.sim.plan import Plan, Step
from tests.sim.seals import SEALS
from tests.sim.thieves import Thief
from tests.support.engines.devices import begin
from tests.support.engines.engines import Person
from tests.support.fakes.network import MemoryTransport

NAMES: Final = ("Ada", "Ben", "Cleo", "Dan", "Eve")
CONVERGES_WITHIN: Final = 400
"""Virtual seconds after which all has arrived, once nothing troubles any more."""

COPY_CONVERGES_WITHIN: Final = 2 * LINK_SECONDS_MAX
"""The same after an old copy was put back: the next link tells the other side, and the one after it us."""

CRASH_WITHIN: Final = 2.0
"""Seconds after which a host dies whose fuse did not burn down."""

AGAIN_AFTER: Final = 1.0
"""Seconds after which a person sends again what could not be sent."""

AFTERWARDS: Final = 0.05
"""Seconds after its call in which an operation counts as going on."""

PORT: Final = 4_747
CONFIG: Final = Config()
LONG: Final = "🙂" * 16_000


def label(plan: Plan, number: int) -> str:
    """The name of a terminal: of its person, and which of that one's it is."""
    if number >= plan.terminals:
        return "the copy" if number == plan.terminals else f"machine {number - plan.terminals}"
    owner = plan.owner(number)
    place = sum(plan.owner(one) == owner for one in range(number))
    return NAMES[owner] if place == 0 else f"{NAMES[owner]}-{place + 1}"


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
    """One terminal's machine. `open` counts the operations that go on, `ends` names its next death.

    `owner` is the number of its person. `words` are those that it shows while it is linked.
    """

    number: int
    owner: int
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
    words: tuple[str, ...] = ()

    @property
    def is_first(self) -> bool:
        """Whether it is the terminal that makes its person."""
        return self.number == self.owner


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
        self.laws = Laws(plan.persons)
        SEALS.watch = self.laws.sealed
        self.cells: Counter[tuple[str, str]] = Counter()
        self.active: Counter[tuple[str, int]] = Counter()
        self.counts: Counter[str] = Counter()
        self.hosts: list[Host] = []
        self.disks: list[Disk] = []
        self.words: dict[int, list[tuple[str, ...]]] = {}
        """The recovery words by person, the last ones that it wrote down first."""
        self.recovers: dict[int, int] = {}
        """The terminal of each person that uses them, so that there are no two recoveries at a time."""
        self.stolen_from: Host | None = None
        self.thief: Thief | None = None
        self._changes = any(
            step.kind in ("link", "remove", "theft", "recover", "steal") for step in plan.steps
        )
        for number in range(plan.terminals):
            self.add_host(plan.owner(number))
        self.relay = self._relay() if plan.relay else None
        self.calm_now = self.over = False
        if template is not None:
            for host in self.hosts[: plan.persons + plan.linked]:
                shutil.copytree(template / host.person.folder.name, host.person.folder)
                host.made = True

    def add_host(self, owner: int) -> Host:
        """A machine for another terminal of a person, which has no profile yet."""
        number = len(self.hosts)
        name = label(self.plan, number)
        folder, seed = self.folder / name, self.plan.seed * 1_000 + number
        person = SimPerson(
            NAMES[owner % len(NAMES)], f"10.0.0.{number + 1}", folder, self.network, CONFIG, seed
        )
        side = Side(number, name, owner)
        self.laws.sides.append(side)
        self.laws.watch(person, number)
        host = Host(number, owner, person, Disk(folder))
        host.disk.struck = partial(self.strike, host=host)
        host.disk.tore = partial(self._tore, host)
        side.database, host.disk.closing = host.disk.connection, partial(self.laws.ids, side)
        person.watch(partial(self._answer, host))
        self.hosts.append(host)
        self.disks.append(host.disk)
        return host

    def side(self, host: Host) -> Side:
        return self.laws.sides[host.number]

    def _relay(self) -> LyingRelay:
        relay = LyingRelay(self.network)
        relay.begin(str(self.plan.seed))
        self.network.lives[relay.host] = self.loop.born(relay.host, lambda: None)
        return relay.start()  # type: ignore[return-value]  # itself

    # The run.

    async def run(self) -> None:
        if not self.plan.fresh:
            for host in self.hosts[: self.plan.persons + self.plan.linked]:
                await self._started(host)
        if self.relay is not None and not self.plan.fresh:
            await self._meet_at_the_relay()
        for step in self.plan.steps:
            self._do(step)
            await asyncio.sleep(step.pause)
            self._check()
        await self._settle()

    async def _started(self, host: Host) -> None:
        self.start(host)
        await self._until(lambda: host.up, 60, f"{host.person.name} does not start")

    async def _meet_at_the_relay(self) -> None:
        assert self.relay is not None
        for host in self.hosts:
            if host.up:
                self.spawn(host, "", partial(host.person.engine.add_relay, str(self.relay.address)))
        await asyncio.sleep(2.0)
        if self.plan.apart:
            for host in self.hosts:
                for other in self.hosts[: host.number]:
                    # Who links a device sits before both.
                    if other.owner != host.owner or (host.made and other.made):
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

    def start(self, host: Host) -> None:
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
            own = host.person.engine._use_cases.keyring.own
            side.person, side.terminal = own.person, own.terminal
            self.laws.persons[host.owner] = own.person
            if self.thief is not None and side.thief:
                self.thief.arm(host)
            if self._changes and not side.thief:
                await self._as_its_person(host)
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
        self.loop.call_later(host.down_for, self.start, host, context=Context())

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
        ever = self.laws.sides[host.number].ever
        for sent in self.laws.sent.values():
            author = self.laws.sides[sent.author]
            if not sent.id or host.owner not in (author.owner, sent.to):
                continue
            if sent.id not in ever:
                steps.add("receive")
            held = any(sent.id in side.ever for side in self.laws.of(sent.to))
            if held and sent.id in ever and sent.id not in author.seen.confirmed:
                steps.add("receipt")
        return steps

    # What else persons do by themselves.

    async def _as_its_person(self, host: Host) -> None:
        """Write the recovery words down, and say of what changed in the own log that it was this person."""
        engine = host.person.engine
        if host.is_first and host.owner not in self.words:
            self.words[host.owner] = [(await engine.recovery_words()).words]
        if not self.side(host).stolen:
            await self.confirm_own(host)

    async def confirm_own(self, host: Host) -> None:
        made = self.thief.made if self.thief is not None else ()
        for question in await host.person.engine.questions():
            if bytes.fromhex(question.operation) not in made:
                await host.person.engine.confirm_own(question.operation)

    def _answer(self, host: Host, event: object) -> None:
        """Every pairing is answered with yes."""
        if isinstance(event, PairingChanged):
            stage = event.pairing.stage
            if stage in (PairingStage.WORDS, PairingStage.JOINER):
                answer = partial(host.person.engine.answer_pairing, event.pairing.id, True)
                self.spawn(host, "pairing", answer)
        if isinstance(event, QuestionsChanged) and event.questions and not self.side(host).stolen:
            self.spawn(host, "", partial(self.confirm_own, host))
        if isinstance(event, LinkingChanged) and event.linking.stage is LinkingStage.WORDS:
            self.spawn(host, "link", partial(self._compare, host, event.linking))

    async def _compare(self, host: Host, linking: LinkingView) -> None:
        """The person looks at both screens."""
        until = self.loop.time() + 60.0
        while self.loop.time() < until:
            if any(linking.words == one.words for one in self.hosts if one.owner == host.owner):
                await host.person.engine.answer_linking(linking.id, True)
                return
            await asyncio.sleep(0.05)
        await host.person.engine.answer_linking(linking.id, False)

    def link(self, host: Host, new: Host, *, named: bool) -> None:
        """A terminal adds another one of its person. `named`: that one is given the address."""
        name, place = label(self.plan, new.number), (host.person.host, PORT) if named else None

        async def shown(view: LinkingView) -> bool:
            new.words = view.words
            return True

        def joins() -> None:
            if new.made or new.up or new.starting or self.over:
                return
            new.starting = True
            begins = partial(begin, new.person, shown, name, place)
            self.loop.create_task(self.begin(new, begins, "link"), context=self.born(new))

        async def adds() -> None:
            done = host.person.wait(
                LinkingChanged, lambda event: event.linking.stage in (LinkingStage.DONE, LinkingStage.FAILED)
            )
            await host.person.engine.add_terminal()
            self.loop.call_soon(joins, context=Context())
            await done

        self.spawn(host, "link", adds)

    def recover(self, host: Host, removed: Host) -> None:
        """The recovery words bring keys of its own to a terminal, and remove another one, or what it was."""
        words = self.words.get(host.owner)
        if not host.up or host.owner != removed.owner or words is None or self.side(host).stolen:
            return
        if self.recovers.setdefault(host.owner, host.number) != host.number:
            return
        self.laws.is_recovered(host.owner)

        async def recovers() -> None:
            # Also after a failure the profile may have other keys.
            try:
                terminal, keyring = self.side(removed).terminal, host.person.engine._use_cases.keyring
                named = self.thief is None or terminal in {keyring.own.terminal, *keyring.own_log.live}
                await self._use_words(host, words, (terminal.hex(),) if named else ())  # else it is gone
            finally:
                own = host.person.engine._use_cases.keyring.own
                self.side(host).terminal = own.terminal

        self.spawn(host, "remove", recovers)

    @staticmethod
    async def _use_words(host: Host, words: list[tuple[str, ...]], removed: tuple[str, ...]) -> None:
        """Recover by the words in force, which a crash may have kept from being replaced, and by new ones."""
        engine = host.person.engine
        for used in tuple(words):
            with suppress(UsageError):
                await engine.check_recovery(used)
                view = await engine.begin_recovery()
                words.insert(0, view.words)
                await engine.recover(used, removed, tuple(view.words[place] for place in view.asked))
                return

    def all_paired(self, owner: int) -> bool:
        """Whether a person, who may not have another terminal yet, is a contact of everybody."""
        firsts = self.hosts[: self.plan.persons]
        return all(host.up for host in firsts) and all(
            self._paired(firsts[owner], other) for other in firsts if other.owner != owner
        )

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
            if self.plan.gone and host.owner == self.plan.persons - 1:
                self.laws.sides[host.number].gone = True
                self.network.cut(host.person.host)
                continue
            if host.life is not None:
                host.life.fuse = None
            self.network.heal(host.person.host)
            self.start(host)

    async def _settle(self) -> None:
        self.calm()
        there = [host for host in self.hosts if not self.laws.sides[host.number].gone]
        for host in there:
            if not host.made and host.is_first:
                self._do(Step("init", host.number))
        rests = 600 if self.plan.devices else 200
        await self._until(lambda: all(self._rests(host) for host in there), rests, "a host does not start")
        await self._pair_all()
        for host in there:
            for other in sorted(self.laws.sides[host.number].estranged):
                if not self.laws.sides[other].gone:
                    self._do(Step("pair", host.number, other, 1))
                    await asyncio.sleep(30.0)
        if self.stolen_from is not None:
            await self._end_theft(self.stolen_from)
        if self.thief is not None:
            await self.thief.end()
        if self.recovers or self.thief or self.stolen_from is not None or self.counts["old copies"]:
            await asyncio.sleep(30.0)
            await self._pair_with_the_deaf()
        await asyncio.sleep(1.0)  # what was begun last is in the database
        slow = self.counts["old copies"] or self.thief is not None
        soon = self.loop.time() + CONVERGES_WITHIN
        late = self.loop.time() + COPY_CONVERGES_WITHIN
        while missing := self.laws.missing():
            self._check()
            # What a cut leaves out waits for no comparison: it comes with the next link.
            waits = self.loop.time() <= soon or slow or not self.laws.missing(quarantined=False)
            if not waits or self.loop.time() > late:
                raise Broken("liveness", missing)
            if self.recovers or self.thief is not None:
                await self._compare_numbers()
            await asyncio.sleep(1.0 if self.loop.time() <= soon and not slow else 10.0)
        await asyncio.sleep(10.0)
        self._check()
        if self.laws.ending():  # what ended last may still be there for so long
            await asyncio.sleep(GRACE)
            self._check()
        self.counts["entries written"] += sum(sent.acknowledged for sent in self.laws.sent.values())
        self.counts["entries confirmed"] += sum(len(side.seen.confirmed) for side in self.laws.sides)
        if self.thief is not None:
            self.thief.ended()
        if silent := self.laws.silent():
            raise Broken("announced", silent)

    async def _end_theft(self, victim: Host) -> None:
        """The person finds out, and the most senior other terminal or the recovery words remove the copy."""
        thief = self.hosts[self.plan.terminals]
        terminal, side = self.side(thief).terminal, self.side(victim)
        if side.gone:
            return
        await asyncio.sleep(20.0)
        for _ in range(3):
            log = self.laws.truths()[victim.owner]
            if terminal not in log.live:
                return
            seniors = [one for one in self.laws.live(victim.owner) if one.terminal != terminal]
            senior = min(seniors, key=lambda one: log.live[one.terminal].rank, default=None)
            victims = log.live[terminal]
            if senior is not None and log.live[senior.terminal].rank < victims.rank:
                host = self.hosts[senior.number]
                remove = partial(host.person.engine.remove_terminal, terminal.hex())
                self.spawn(host, "remove", remove)
            else:
                before = self.recovers.get(victim.owner, victim.number)
                if self.side(self.hosts[before]) not in self.laws.live(victim.owner):
                    self.recovers[victim.owner] = victim.number  # nobody hears of one by a removed terminal
                self.recover(self.hosts[self.recovers.get(victim.owner, before)], thief)
            await asyncio.sleep(30.0)
        raise Broken("liveness", f"{side.name} cannot remove its copy")

    async def _pair_with_the_deaf(self) -> None:
        """Contacts whom no link told of a recovery do not know the terminal that it brought (SPEC §7.8).

        Others hold no common secret with a person who went on with a copy.
        """
        found = [
            (person, side, "deaf to a recovery")
            for person in self.recovers
            for side in self.laws.deaf(person)
        ]
        for person in range(self.plan.persons):
            found += [(person, side, "cut off by a copy") for side in self.laws.cut_off(person)]
        for person, side, why in found:
            self.counts[why] += 1
            one = next(iter(self.laws.live(person)), None)
            if one is not None:
                self._do(Step("pair", one.number, side.number, 1))
                await asyncio.sleep(30.0)

    async def _compare_numbers(self) -> None:
        """Persons answer what terminals ask, and compare the number with whom a terminal holds back."""
        everybody = [side for person in range(self.plan.persons) for side in self.laws.live(person)]
        live = [side for side in everybody if side.runs]
        for side in live:
            with suppress(ParlourError):  # an earlier answer may have met a fault
                await self.confirm_own(self.hosts[side.number])
        for person in range(self.plan.persons):
            for side in live:
                if side.owner != person:
                    with suppress(ParlourError):
                        await self._compare_number(side, person)

    async def _compare_number(self, side: Side, person: int) -> None:
        assert side.engine is not None
        wanted = self.laws.persons[person].hex()
        views = [view for view in await side.engine.engine.contacts() if view.person == wanted]
        held = any(view.held or view.unvouched for view in views)
        for one in self.laws.live(person) if held else ():
            if one.engine is None:
                continue
            theirs = await one.engine.engine.verification(side.person.hex())
            for number in (await side.engine.engine.verification(wanted)).numbers:
                if number in theirs.numbers:
                    await side.engine.engine.verify(wanted, number)
                    return

    @staticmethod
    def _rests(host: Host) -> bool:
        """Whether it is up, or no linking has made a profile there."""
        return host.up or not (host.is_first or host.made or host.starting)

    async def _pair_all(self) -> None:
        firsts = self.hosts[: self.plan.persons]
        there = [host for host in firsts if not self.laws.sides[host.number].gone]
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
            self.laws.persons[there.owner] in here.person.engine._use_cases.book.rows
            for here, there in ((one, other), (other, one))
        )

    # For steps.

    def write(
        self, host: Host, other: Host, *, long: bool = False, edits: str = ""
    ) -> Callable[[], Awaitable[None]]:
        """A text that nobody else writes, or that is to take the place of another one."""
        host.written += 1
        text = f"{self.side(host).name} {host.written}" + (LONG if long else "")
        removed = self._known_removed(host)
        self.laws.sent[text] = Sent(host.number, other.owner, text, edits, not_for=removed)
        return partial(self._send, host, self.laws.sent[text])

    async def _send(self, host: Host, sent: Sent) -> None:
        """Send it under an id of its own, and a second time where that failed."""
        contact, send_id = self.laws.persons[sent.to].hex(), sent.text.rstrip("🙂")

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
            view = await given()  # which may have stored it at the first time
        sent.acknowledged, sent.id = True, view.id

    def _known_removed(self, host: Host) -> frozenset[bytes]:
        """The terminals that this one knows to be removed, by the operations that it has stored."""
        if not (self._changes and self.side(host).runs):
            return frozenset()
        held = self.laws.operations(self.side(host))
        logs = [self.laws.reduced(found) for found in held.values() if found]
        return frozenset(terminal for log in logs for terminal in log.removed)

    def _send_again(self, host: Host) -> None:
        """After a start: what no call has acknowledged, for it may not be stored."""
        known = host.person.engine._use_cases.book.rows
        for sent in list(self.laws.sent.values()):
            person = self.laws.persons[sent.to]
            if sent.author == host.number and not sent.acknowledged and person in known:
                self.spawn(host, "send", partial(self._send, host, sent))

    def person(self, host: Host) -> str:
        return self.laws.persons[host.owner].hex()
