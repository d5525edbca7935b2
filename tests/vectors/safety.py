"""Makes the vectors of the safety number: of two logs as they stand, of branches, and where none is shown.

A group has two persons, Anna and Ben, whose operations its inputs name. Nothing here is refused, since
nothing is received.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Final

from protocol.identity.author import create_person
from protocol.identity.reduction import reduce
from protocol.identity.safety import safety_number
from protocol.vectors.frame import SUCCESS, Json, expect_equal
from protocol.vectors.safety import ACTIONS, AREA
from tests.vectors.files import Group, Script, Seed, build_file
from tests.vectors.persons_log import Person, Terminal

NOTES: Final = {
    "BothSides": ("BASIC", "The same number whoever computes it."),
    "LeadingZeros": ("EDGE_CASE", "A group below 10,000 keeps its zeros."),
    "Terminals": ("BASIC", "The live terminals of both, in the order of their keys and not of seniority."),
    "Recovery": ("BASIC", "The newest recovery, and none where only renames came."),
    "Branches": ("EDGE_CASE", "A number for each branch of a contested log."),
    "OwnChange": ("AUTHENTICITY", "No number for a log that somebody else has changed."),
    "NoNumber": ("AUTHENTICITY", "No number on a terminal that is not live in its own log."),
}


class Pair:
    """Anna and Ben, and the tests that compare them. Operations are named by person."""

    def __init__(self, seed: Seed, label: str) -> None:
        self.anna, self.ben = Person(seed, f"{label} anna", "Anna"), Person(seed, f"{label} ben", "Ben")
        self.group = Group("7.7", {})
        self.confirmed: list[bytes] = []

    def named(self) -> Json:
        both = {"anna": self.anna, "ben": self.ben}
        return {f"{who} {name}": signed for who, one in both.items() for name, signed in one.named().items()}

    def own(self, person: Person, names: Sequence[str]) -> None:
        """The person says of these operations: that was me."""
        self.confirmed += [person.id_of(name) for name in names]

    def compares(
        self, comment: str, flag: str, anna: Sequence[str] = (), ben: Sequence[str] = (), **given: Any
    ) -> list[Json]:
        """Both sides show one number, or each its own list of them; those of Anna's side are returned."""
        mine, theirs = self._names("anna", anna), self._names("ben", ben)
        script = Script(ACTIONS, {"operations": self.named()})
        own = [one.hex() for one in self.confirmed]
        there, back = given.get("terminal", self.anna.first), self.ben.first
        pins = {name: [one.hex() for one in ids] for name, ids in given.items() if name != "terminal"}
        forth = {"own": mine, "theirs": theirs, "terminal": there.id.hex(), "own_confirmed": own}
        first = script.take("safety_number", **forth, **pins)
        if not pins and flag not in ("OwnChange", "NoNumber", "Branches"):
            turned = {"own": theirs, "theirs": mine, "terminal": back.id.hex(), "own_confirmed": own}
            second = script.take("safety_number", **turned)
            numbers = [[one["number"] for one in side["numbers"]] for side in (first, second)]
            expect_equal("the number of the other side", *numbers)
        self.group.add(comment, [flag], SUCCESS, script.steps)
        return list(first["numbers"])

    def _names(self, who: str, names: Sequence[str]) -> list[str]:
        return [f"{who} {name}" for name in ("genesis", "rename", *names)]

    def done(self) -> Group:
        self.group.inputs = {"operations": self.named()}
        return self.group


def _second_recovery(person: Person, name: str, by: bytes, new: Terminal) -> None:
    """A Recover after the genesis by the holder of the seed, who names another next key."""
    person.recover(name, {person.first: []}, new, ["genesis", "rename"], by)


def _simple(seed: Seed) -> Group:
    pair = Pair(seed, "simple")
    pair.anna.rename("again", pair.anna.first, "Anne")
    pair.compares("one terminal each", "BothSides")
    pair.compares("a rename changes nothing", "Recovery", anna=["again"])
    return pair.done()


def _zeros(seed: Seed) -> Group:
    for label in _labels("zeros"):
        made = (create_person("Z", seed.random(f"{label} {who}")) for who in ("anna", "ben"))
        states = [reduce(one.operations) for one in made]
        if safety_number(*states).startswith("000"):
            break
    pair = Pair(seed, label)
    pair.compares("a number that begins with zeros", "LeadingZeros")
    return pair.done()


def _labels(name: str) -> Iterator[str]:
    return (f"{name} {number}" for number in count())


def _terminals(seed: Seed) -> Group:
    """Several terminals on either side; one is removed, one added and copied."""
    pair = Pair(seed, "terminals")
    anna, ben = pair.anna, pair.ben
    second, third = anna.terminal("second"), anna.terminal("third")
    other = ben.terminal("other")
    anna.add("adds second", anna.first, second)
    anna.add("second adds third", second, third)
    anna.remove("removes second", anna.first, second)
    ben.add("adds other", ben.first, other)
    ben.rename("fork one", other, "Benn", ["genesis", "rename", "adds other"])
    ben.rename("fork two", other, "Bert", ["genesis", "rename", "adds other"])
    pair.own(anna, ["adds second", "second adds third"])
    pair.own(ben, ["adds other"])
    three = ["adds second", "second adds third"]
    pair.compares("two terminals on one side", "Terminals", anna=["adds second"])
    pair.compares("three on one side, two on the other", "Terminals", anna=three, ben=["adds other"])
    pair.compares("the same operations in another order", "Terminals", anna=three[::-1], ben=["adds other"])
    pair.compares("a removed terminal is not covered", "Terminals", anna=[*three, "removes second"])
    pair.compares("a frozen terminal is not covered", "Terminals", ben=["adds other", "fork one", "fork two"])
    pair.compares("from the side of the third terminal", "Terminals", anna=three, terminal=third)
    gone = [*three, "removes second"]
    pair.compares("a terminal that was removed shows none", "NoNumber", anna=gone, terminal=second)
    pair.compares(
        "a terminal whose Add has not come shows none", "NoNumber", anna=["adds second"], terminal=third
    )
    return pair.done()


def _frozen(seed: Seed) -> Group:
    pair = Pair(seed, "frozen")
    anna = pair.anna
    second = anna.terminal("second")
    anna.add("adds second", anna.first, second)
    for name in ("one", "other"):
        anna.rename(name, anna.first, f"Anna {name}", ["genesis", "rename", "adds second"])
    pair.own(anna, ["adds second"])
    forked = ["adds second", "one", "other"]
    pair.compares("a terminal with a fork shows none", "NoNumber", anna=forked)
    pair.compares("another one of its person does", "NoNumber", anna=forked, terminal=second)
    return pair.done()


def _recoveries(seed: Seed) -> Group:
    """A recovery with and without a terminal, and a second one."""
    pair = Pair(seed, "recoveries")
    anna = pair.anna
    new = anna.terminal("new")
    anna.recover("recovers", {anna.first: []}, new)
    anna.recover("recovers again")
    pair.own(anna, ["recovers", "recovers again"])
    pair.compares("a recovery that brings in a terminal", "Recovery", anna=["recovers"], terminal=new)
    both = ["recovers", "recovers again"]
    pair.compares("a second recovery, which changes no terminal", "Recovery", anna=both, terminal=new)
    pair.compares("the terminal that it removed shows none", "NoNumber", anna=["recovers"])
    return pair.done()


def _branches(seed: Seed) -> Group:
    """Ben's seed is known to a thief: two recoveries follow his genesis."""
    pair = Pair(seed, "branches")
    ben = pair.ben
    new, foreign = ben.terminal("new"), ben.terminal("foreign")
    ben.recover("recovers", {ben.first: []}, new)
    _second_recovery(ben, "the thief recovers", seed.bytes("thief"), foreign)
    first, second = ben.id_of("recovers"), ben.id_of("the thief recovers")
    both = ["recovers", "the thief recovers"]
    unseen = pair.compares("none of two was seen first", "Branches", ben=both)
    seen = pair.compares("the thief's was seen first", "Branches", ben=both, seen=[second])
    own = pair.compares("the owner's was seen first", "Branches", ben=both, seen=[first])
    one = pair.compares("the owner's is confirmed", "Branches", ben=both, seen=[second], confirmed=[first])
    expect_equal("the same numbers", {n["number"] for n in seen}, {n["number"] for n in unseen})
    expect_equal("in force first", [seen[0]["newest"], own[0]["newest"]], [second.hex(), first.hex()])
    expect_equal("the confirmed one alone", one, [n for n in seen if n["newest"] == first.hex()])
    return pair.done()


def _own_changes(seed: Seed) -> Group:
    """A thief has Anna's terminal and her seed."""
    pair = Pair(seed, "own changes")
    anna = pair.anna
    foreign, new, third = anna.terminal("foreign"), anna.terminal("new"), anna.terminal("third")
    founding = ["genesis", "rename"]
    anna.add("an Add", anna.first, foreign)
    anna.remove("removes it", anna.first, foreign)
    anna.recover("recovers", {anna.first: []}, new, founding)
    _second_recovery(anna, "the thief recovers", seed.bytes("thief"), third)
    add, recovery, rival = (anna.id_of(name) for name in ("an Add", "recovers", "the thief recovers"))
    pair.compares("an Add that its person does not know", "OwnChange", anna=["an Add"])
    pair.compares("the same once its terminal is removed", "OwnChange", anna=["an Add", "removes it"])
    pair.compares("a Recover that its person does not know", "OwnChange", anna=["recovers"], terminal=new)
    both = ["recovers", "the thief recovers"]
    pair.compares("a contest with none confirmed", "OwnChange", anna=both, terminal=new)
    pair.confirmed = [recovery]
    pair.compares("its own recovery is confirmed", "OwnChange", anna=both, terminal=new)
    pair.confirmed = [rival]
    pair.compares(
        "the other one is confirmed, and the terminal not live", "OwnChange", anna=both, terminal=new
    )
    pair.confirmed = [add]
    pair.compares("that was me", "OwnChange", anna=["an Add"])
    return pair.done()


def _two_contests(seed: Seed) -> Group:
    """Two recoveries follow Anna's genesis, and two the one of these that was seen first."""
    pair = Pair(seed, "two contests")
    anna = pair.anna
    one, other, third, fourth = (anna.terminal(name) for name in ("one", "other", "third", "fourth"))
    founding = ["genesis", "rename"]
    anna.recover("recovers", {}, one, founding)
    _second_recovery(anna, "the thief recovers", seed.bytes("thief"), other)
    upon = [*founding, "recovers"]
    anna.recover("recovers again", {}, third, upon)
    anna.recover("and again", {}, fourth, upon)
    both = ["recovers", "the thief recovers", "recovers again", "and again"]
    seen = [anna.id_of(name) for name in ("recovers", "and again")]
    pair.compares("of two contests the first asks", "OwnChange", anna=both, own_seen=seen)
    pair.own(anna, ["recovers"])
    pair.compares("once that is confirmed the second one asks", "OwnChange", anna=both, own_seen=seen)
    return pair.done()


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    groups = (_simple, _zeros, _terminals, _frozen, _recoveries, _branches, _own_changes, _two_contests)
    return build_file(seed, NOTES, [make(seed) for make in groups])
