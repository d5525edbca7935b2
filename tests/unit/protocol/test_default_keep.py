"""What a removal keeps by default, against thieves who do what they can before it (SPEC §7.2).

A person has devices, which add others, and of which one is stolen. The person answers *was that you?* on the
devices that are in hand, truly or not at all; the thief answers yes on the stolen one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest

from protocol.identity.exchange import default_keep
from protocol.identity.log import Graph, Remove
from protocol.identity.reduction import PersonState, Reduction
from tests.support.protocol.random_logs import Growing, terminal

RUNS = 400


@dataclass
class Household:
    """The log that everybody holds, whose each terminal is (honest: brought in by the person alone)."""

    random: Random
    log: Growing = field(default_factory=Growing)
    honest: set[bytes] = field(default_factory=set)
    thiefs: set[bytes] = field(default_factory=set)
    answers: dict[bytes, set[bytes]] = field(default_factory=dict)
    """By honest terminal: the Adds that the person confirmed there."""

    def __post_init__(self) -> None:
        self.honest = {terminal(number).id for number in range(3)}
        for one in self.honest:
            self.answers[one] = set()

    @property
    def now(self) -> Reduction:
        return Reduction(Graph(self.log.log))

    def add(self, author: bytes) -> None:
        """One device more. The person confirms its own on some of the devices in hand."""
        operation = self.log.add(author, self.log.tips()[:16])
        brought = self.log.log[operation].introduces
        assert brought is not None
        if author in self.thiefs:
            self.thiefs.add(brought.id)
            return
        self.honest.add(brought.id)
        self.answers[brought.id] = set()
        for one in self.answers:
            if one == author or self.random.random() < 0.6:
                self.answers[one].add(operation)


def grown(random: Random) -> tuple[Household, bytes]:
    """A household after a theft, and the stolen terminal."""
    house = Household(random)
    for operation in list(house.log.log)[1:]:
        for one in house.answers:
            if random.random() < 0.8:
                house.answers[one].add(operation)
    for _ in range(random.randint(0, 3)):
        house.add(random.choice(sorted(house.honest)))
    stolen = random.choice(sorted(house.honest))
    house.honest.discard(stolen)
    house.thiefs.add(stolen)
    for _ in range(random.randint(1, 5)):
        if random.random() < 0.3 and house.honest:
            house.add(random.choice(sorted(house.honest)))
        else:
            house.add(random.choice(sorted(house.thiefs)))
    return house, stolen


def brought_by(state: PersonState, removed: bytes, one: bytes) -> bool:
    """Whether the removed terminal brought another one in, directly or through others."""
    known = {each.id: each for each in state.terminals()}
    while one in known:
        one = known[one].adder
        if one == removed:
            return True
    return False


@pytest.mark.parametrize("seed", range(4))
def test_one_removal_ends_all_that_a_thief_added_and_keeps_the_signer(seed: int) -> None:
    random = Random(f"keep {seed}")
    fell = stayed = 0
    for _ in range(RUNS // 4):
        house, stolen = grown(random)
        state = house.now.state()
        seniors = [
            one
            for one in sorted(house.honest)
            if one in state.live and state.live[one].rank < state.live[stolen].rank
        ]
        if not seniors:
            continue
        signer = random.choice(seniors)
        keep = default_keep(house.now, stolen, signer, house.answers[signer])
        heads = list(house.now.heads(*keep))
        house.log.write(signer, Remove, heads, terminal=stolen, keep=sorted(keep))
        after = house.now.state()
        assert not house.thiefs & after.live.keys(), "what the thief added counts no more"
        assert signer in after.live
        here = house.honest & state.live.keys()
        untouched = {one for one in here if not brought_by(state, stolen, one)}
        assert untouched <= after.live.keys(), "who came in without the stolen device stays"
        fell += len(house.thiefs) - 1
        stayed += len(after.live) - len(untouched)
    assert fell > 50
    assert stayed > 5, "what the person confirmed elsewhere stays"


@pytest.mark.parametrize("seed", range(4))
def test_one_recovery_ends_all_that_a_thief_added_wherever_it_is_signed(seed: int) -> None:
    """The words are typed on a device that the stolen one may have brought in, and that nobody confirmed."""
    random = Random(f"recover {seed}")
    ways = 0
    for _ in range(RUNS // 4):
        house, stolen = grown(random)
        state = house.now.state()
        for signer in sorted(house.honest & state.live.keys()):
            base = house.now
            keep = default_keep(base, stolen, signer, house.answers[signer])
            log = dict(house.log.log)
            house.log.recover(list(base.heads(*keep)), {stolen: keep}, new=False)
            after = house.now.state()
            assert signer in after.live
            mine = brought_by(state, stolen, signer)
            left = house.thiefs & after.live.keys()
            # A thief's machine stays only where keeping the signer's own way in cannot tell it apart.
            assert not left or mine
            ways += mine
            house.log.log = log
    assert ways > 20


def test_what_was_confirmed_where_the_stolen_device_brought_it_in_counts_for_nothing() -> None:
    """The thief answers yes on the machine that it added, to another one that it added."""
    house, stolen = Household(Random(1)), terminal(1).id
    house.thiefs.add(stolen)
    machine = house.log.log[house.log.add(stolen, house.log.tips())].introduces
    assert machine is not None
    other = house.log.add(stolen, house.log.tips())
    keep = default_keep(house.now, stolen, machine.id, {other})
    assert other not in keep
    assert default_keep(house.now, stolen, terminal(0).id, set()) == ()
