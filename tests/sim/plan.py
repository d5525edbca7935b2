"""Plans: what the persons of a run do and what happens to them, drawn from a seed, printed as Python."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Final

OPERATIONS: Final = (
    *("send", "read", "delete", "delete_for_all", "edit", "timer", "verify", "init", "pair"),
    *("link", "remove", "theft", "recover", "mark", "steal", "act", "wake", "cure"),
)
FAULTS: Final = (
    "slow",
    "cut",
    "part",
    "drop",
    "break",
    "corrupt",
    "repeat",
    "swap",
    "crash",
    "torn",
    "stop",
    "old_copy",
    "full",
    "broken",
    "late",
    "unread",
    "clock",
    "relay_dies",
    "relay_lies",
)
FLOW: Final = (
    *("init", "pairing", "send", "receive", "receipt", "delete", "verify", "restart"),
    *("link", "remove"),
)
LIES: Final = ("drop", "repeat", "swap", "corrupt", "absent")
PAUSES: Final = (0.0, 0.0, 0.0007, 0.003, 0.003, 0.02, 0.02, 0.3, 1.3, 4.5, 11.0, 70.0)
SHORT: Final = (0.0, 0.0, 0.0007, 0.003, 0.02)
DEATHS: Final = ("crash", "torn", "stop", "old_copy")
SECONDS: Final = (0.003, 0.05, 0.4, 2.0, 9.0, 30.0, 120.0)
LATENCIES: Final = (0.0001, 0.001, 0.001, 0.01, 0.05, 0.3)
HOURS_MS: Final = 3_600_000
LINKING: Final = (0.003, 0.02, 0.3, 1.3, 4.5)
MANY_SHARE: Final = 0.3
"""Of the runs in which persons have several terminals."""

MANY: Final = ((0,), (0,), (0,), (1,), (0, 0), (0, 1), (0, 0, 0), (0, 0, 1))
"""Persons of the further terminals, of two or three persons."""


THIEVES_SHARE: Final = 0.12
"""Of the runs in which the first person has a thief, who is an adversary (thieves.py)."""

LEAKED_SHARE: Final = 0.15
"""Of these the runs in which words alone have leaked."""

ROBBED: Final = ((0,), (0,), (0, 0), (0, 0), (0, 1), (0, 0, 1))
"""Persons of the further terminals, all linked, of those runs."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens, and the pause after it.

    `who` and `other` are terminals, `number` and `seconds` what the kind says in steps.py. The first
    terminals of the persons come first, then the further ones, then the stolen copy.
    """

    kind: str
    who: int = 0
    other: int = 0
    number: int = 0
    seconds: float = 0.0
    pause: float = 0.0

    def __repr__(self) -> str:
        parts = [repr(self.kind)]
        values = {name: getattr(self, name) for name in ("who", "other", "number", "seconds", "pause")}
        parts += [f"{name}={value!r}" for name, value in values.items() if value]
        return f"Step({', '.join(parts)})"


_OPTIONS: Final = (
    *("seed", "persons", "devices", "linked", "fresh", "relay", "apart", "gone", "latency", "jitter"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `fresh`: nobody has a profile yet. `relay`: all have named one. `apart`: they reach only that.

    `devices`: the person of each further terminal. The first `linked` of them are linked when the run begins.
    `gone`: when the faults end, the last person stays cut off for good, and the others converge without it.
    `faults` are the kinds that were switched on when it was drawn.
    """

    seed: int
    persons: int = 2
    devices: tuple[int, ...] = ()
    linked: int = 0
    fresh: bool = False
    relay: bool = False
    apart: bool = False
    gone: bool = False
    latency: float = 0.001
    jitter: float = 0.0
    faults: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    def owner(self, number: int) -> int:
        """The person of a terminal."""
        return number if number < self.persons else self.devices[number - self.persons]

    @property
    def terminals(self) -> int:
        """How many there are at most, without a stolen copy, whose number this is."""
        return self.persons + len(self.devices)

    def __str__(self) -> str:
        steps = "".join(f"        {step!r},\n" for step in self.steps)
        options = ", ".join(
            f"{name}={value!r}"
            for name in _OPTIONS
            if (value := getattr(self, name)) != getattr(Plan(0), name) or name == "seed"
        )
        return f"Plan(\n    {options},\n    steps=(\n{steps}    ),\n)"

    def options(self) -> str:
        """What was drawn, in a line."""
        has = [name for name in ("fresh", "relay", "apart", "gone") if getattr(self, name)]
        more = [f"{len(self.devices)} more terminals ({self.linked} linked)"] if self.devices else []
        words = f"{self.persons} persons", *more, *has, f"{self.latency * 1000:g} ms +{self.jitter * 1000:g}"
        return f"{', '.join(words)}; {', '.join(self.faults) or 'no faults'}"


def draw(seed: int) -> Plan:
    """The plan of a seed. Which faults there are, and how many, is drawn first."""
    if (thief := random.Random(f"thief {seed}")).random() < THIEVES_SHARE:
        return _robbed(thief, seed)
    chance = random.Random(f"plan {seed}")
    fresh = chance.random() < 0.25
    relay = chance.random() < 0.35
    share = chance.choice((0.15, 0.4, 0.7))
    faults = tuple(
        kind for kind in FAULTS if (relay or not kind.startswith("relay")) and chance.random() < share
    )
    many = random.Random(f"terminals {seed}").random() < MANY_SHARE
    devices = chance.choice(MANY) if many else ()
    plan = Plan(
        seed=seed,
        persons=_persons(chance, fresh=fresh, many=many),
        devices=devices,
        linked=0 if fresh or not many else chance.choice((0, len(devices), len(devices))),
        fresh=fresh,
        relay=relay,
        apart=relay and not fresh and chance.random() < 0.6,
        latency=chance.choice(LATENCIES),
        jitter=chance.choice((0.0, 0.0, 0.001, 0.02, 0.2)),
        faults=faults,
    )
    plan = replace(plan, gone=plan.persons > 2 and chance.random() < 0.3)
    steps: list[Step] = []
    if fresh:
        steps += _begin(chance, plan)
    began = len(steps)
    trouble = chance.choice((0.2, 0.4, 0.6))
    for _ in range(chance.choice((8, 16, 30))):
        if faults and chance.random() < trouble:
            steps += chance.choice((_somewhere, _aimed))(chance, plan)
        else:
            steps.append(_operation(chance, plan))
    if many:
        steps[began:] = _among_terminals(chance, plan, steps[began:])
        steps[began:] = _marked(random.Random(f"pins {seed}"), plan, steps[began:])
    return replace(plan, steps=tuple(steps))


def _persons(chance: random.Random, *, fresh: bool, many: bool) -> int:
    if many:
        return chance.choice((2, 2, 2, 3))
    return chance.choice((2, 2, 2, 2, 3, 3, 4, 5)) if not fresh else chance.choice((2, 2, 3))


def _among_terminals(chance: random.Random, plan: Plan, steps: list[Step]) -> list[Step]:
    """What happens to the terminals of a person, in its order and at any place among other steps."""
    parts = [_linked(chance, plan, number) for number in range(plan.persons + plan.linked, plan.terminals)]
    if chance.random() < 0.75:
        parts.append(_removed(chance, plan))
    if chance.random() < 0.3:
        parts.append(_stolen(chance, plan))
    for part in parts:
        places = sorted(chance.randrange(len(steps) + 1) for _ in part)
        for place, some in reversed([*zip(places, part, strict=True)]):
            steps[place:place] = some
    return steps


def _marked(chance: random.Random, plan: Plan, steps: list[Step]) -> list[Step]:
    """Persons of several terminals pin and mute at any of them between other steps."""
    several = [number for number in range(plan.terminals) if plan.owner(number) in plan.devices]
    for _ in range(chance.randrange(7)):
        who = chance.choice(several)
        other = chance.choice([one for one in range(plan.terminals) if plan.owner(one) != plan.owner(who)])
        number = chance.choice((0, 1, 1, 2, 3, 3, 4, 5, 5))
        step = Step("mark", who, other, number, pause=chance.choice(PAUSES))
        place = chance.randrange(len(steps) + 1)
        steps = [*steps[:place], step, *steps[place:]]
    return steps


def _struck(chance: random.Random, plan: Plan, step: Step) -> list[Step]:
    """A step, and mostly a fault within it at one of its terminals."""
    if not plan.faults or chance.random() < 0.3:
        return [step]
    before = [replace(_fault(chance, plan), pause=0.0)] if chance.random() < 0.3 else []
    return [*before, step, _soon(chance, plan, chance.choice((step.who, step.other)))]


def _linked(chance: random.Random, plan: Plan, number: int) -> list[list[Step]]:
    """A terminal is linked by the first one of its person, and once more if that fails."""
    owner = plan.owner(number)
    tries = [
        Step("link", owner, number, chance.randrange(4), pause=chance.choice(LINKING))
        for _ in range(chance.choice((1, 2)))
    ]
    return [_struck(chance, plan, step) for step in tries]


def _removed(chance: random.Random, plan: Plan) -> list[list[Step]]:
    """A terminal of a person who has several removes another one."""
    owner = chance.choice(plan.devices)
    own = [number for number in range(plan.terminals) if plan.owner(number) == owner]
    who, other = sorted(chance.sample(own, 2))
    if chance.random() < 0.15:
        who, other = other, chance.choice((other, who))
    removed = Step("remove", who, other, chance.randrange(4), pause=chance.choice(SHORT))
    contact = chance.choice([number for number in range(plan.persons) if number != owner])
    sent = [Step("send", who, contact, pause=chance.choice(PAUSES[:9]))] if chance.random() < 0.7 else []
    again = [_soon(chance, plan, who)] if plan.faults and chance.random() < 0.5 else []
    return [_struck(chance, plan, removed), sent, again]


def _stolen(chance: random.Random, plan: Plan) -> list[list[Step]]:
    """A profile is copied, the copy goes on, and a senior terminal or the recovery words remove it."""
    victim, thief = chance.randrange(plan.terminals), plan.terminals
    owner = plan.owner(victim)
    other = chance.choice([number for number in range(plan.persons) if number != owner])
    parts = [[Step("theft", victim, pause=chance.choice(PAUSES))]]
    parts += [[Step("send", thief, other, pause=chance.choice(PAUSES))] for _ in range(chance.randrange(3))]
    if victim != owner and chance.random() < 0.6:
        parts.append(_struck(chance, plan, Step("remove", owner, victim, 1, pause=chance.choice(PAUSES))))
    elif chance.random() < 0.7:
        own = [number for number in range(plan.terminals) if plan.owner(number) == owner]
        step = Step("recover", chance.choice((victim, chance.choice(own))), victim, 1)
        parts.append([replace(step, pause=chance.choice(PAUSES))])
    return parts


def _robbed(chance: random.Random, seed: int) -> Plan:
    """Of the first person a device, an image or words are stolen, and the thief acts between other steps."""
    kind, persons, devices = chance.randrange(4), chance.choice((2, 3, 3)), chance.choice(ROBBED)
    colluding = 2 if persons == 3 and chance.random() < 0.7 else 0
    if random.Random(f"leaked words {seed}").random() < LEAKED_SHARE:
        kind, colluding = 4, persons - 1
    relay = chance.random() < 0.15
    share = chance.choice((0.0, 0.0, 0.2))
    faults = tuple(
        one
        for one in FAULTS
        if one not in ("old_copy", "clock")
        and (relay or not one.startswith("relay"))
        and chance.random() < share
    )
    plan = Plan(
        seed=seed,
        persons=persons,
        devices=tuple(devices),
        linked=len(devices),
        relay=relay,
        latency=chance.choice(LATENCIES[:4]),
        jitter=chance.choice((0.0, 0.001, 0.02)),
        faults=faults,
    )
    own = [one for one in range(plan.terminals) if plan.owner(one) == 0]
    # The newest device, the oldest one, or any.
    victim = chance.choice((own[-1], own[-1], 0, chance.choice(own)))
    honest = [step for _ in range(chance.choice((3, 6))) for step in _honest(chance, plan)]
    acts = [
        Step("act", chance.randrange(99), chance.randrange(99), chance.randrange(99), pause=_while(chance))
        for _ in range(chance.choice((4, 9)))
    ]
    steps = [Step("steal", victim, colluding, kind, pause=_while(chance)), *honest]
    if kind == 3 or chance.random() < 0.3:
        steps.append(Step("cure", pause=_while(chance)))
    elif kind == 2:
        steps.append(Step("wake", pause=_while(chance)))
    mixed = [*acts, *(step for _ in range(chance.choice((2, 4))) for step in _honest(chance, plan))]
    chance.shuffle(mixed)
    first = [step for _ in range(chance.choice((0, 2))) for step in _honest(chance, plan)]
    wakes = [Step("wake", pause=_while(chance))] if kind == 3 else []
    return replace(plan, steps=(*first, *steps, *wakes, *mixed))


def _honest(chance: random.Random, plan: Plan) -> list[Step]:
    if plan.faults and chance.random() < 0.2:
        return _somewhere(chance, plan)
    return [_operation(chance, plan)]


def _while(chance: random.Random) -> float:
    return chance.choice((0.02, 0.3, 1.3, 4.5, 11.0, 70.0))


def _begin(chance: random.Random, plan: Plan) -> list[Step]:
    """Everybody makes a profile and pairs with everybody, with faults between."""
    steps = []
    for who in range(plan.persons):
        if plan.faults and chance.random() < 0.5:
            steps.append(_fault(chance, plan))
        steps.append(Step("init", who, pause=chance.choice(SHORT)))
        if plan.faults and chance.random() < 0.5:
            steps.append(_soon(chance, plan, who))
    for who in range(plan.persons):
        for other in range(who):
            if plan.faults and chance.random() < 0.5:
                steps.append(_fault(chance, plan))
            steps.append(Step("pair", who, other, chance.randrange(2), pause=chance.choice(PAUSES[:9])))
            if plan.faults and chance.random() < 0.5:
                steps.append(_soon(chance, plan, chance.choice((who, other))))
    return steps


def _pair(chance: random.Random, plan: Plan) -> tuple[int, int]:
    """Terminals of two persons."""
    if not plan.devices:
        one, two = chance.sample(range(plan.persons), 2)
        return one, two
    who = chance.randrange(plan.terminals)
    other = chance.choice([one for one in range(plan.terminals) if plan.owner(one) != plan.owner(who)])
    return who, other


def _operation(chance: random.Random, plan: Plan) -> Step:
    who, other = _pair(chance, plan)
    kind = chance.choice(
        (
            *(*("send",) * 9, *("read",) * 3, *("delete",) * 2, *("delete_for_all", "edit") * 2),
            *("timer", "verify", "pair"),
        )
    )
    number = chance.randrange(12)
    return Step(kind, who, other, number, pause=chance.choice(PAUSES))


def _somewhere(chance: random.Random, plan: Plan) -> list[Step]:
    return [_fault(chance, plan)]


def _aimed(chance: random.Random, plan: Plan) -> list[Step]:
    """Something is sent, a step of the flow begins, and within it a fault strikes the same person."""
    who, other = _pair(chance, plan)
    begun = chance.choice(("delete", "delete_for_all", "edit", "verify", "read", "restart", "pair"))
    pauses = [chance.choice(SHORT) for _ in range(3)]
    step = Step(begun, who, other, chance.randrange(3), pause=pauses[1])
    if begun == "restart":
        step = Step("crash", who, number=1, pause=pauses[1])
    return [Step("send", who, other, pause=pauses[0]), step, _soon(chance, plan, who)]


def _soon(chance: random.Random, plan: Plan, who: int) -> Step:
    """A fault at a person's host that strikes at once."""
    deaths = tuple(kind for kind in plan.faults if kind in DEATHS)
    kind = chance.choice(deaths) if deaths and chance.random() < 0.5 else ""
    fault = _fault(chance, plan, kind)
    if fault.kind in ("crash", "old_copy"):
        fault = replace(fault, number=int(2 ** chance.uniform(0, 5)))
    return replace(fault, who=who, other=(who + 1) % plan.terminals, pause=chance.choice(SHORT))


def _fault(chance: random.Random, plan: Plan, kind: str = "") -> Step:
    kind, (who, other) = kind or chance.choice(plan.faults), _pair(chance, plan)
    number, pause = chance.randrange(12), chance.choice(PAUSES[:9])
    seconds = chance.choice(SECONDS)
    if kind == "part" and plan.devices:
        other = chance.choice([one for one in range(plan.terminals) if one != who])
    if kind in DEATHS:
        number = int(2 ** chance.uniform(0, 10))
    if kind in ("full", "broken", "late", "unread"):
        number, seconds = chance.choice((1, 1, 2, 5, 50)), float(chance.choice((0, 0, 1, 2, 5, 9)))
    if kind == "clock":
        number = chance.choice((-11, -3, -1, 1, 3, 11)) * HOURS_MS
    return Step(kind, who, other, number, seconds, pause)
