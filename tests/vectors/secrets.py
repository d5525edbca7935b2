"""Makes the vectors of the contact secret: its shares, both roles, and which psk a link takes.

Two tests hold the two ends of a value, each computed from its own end; the file shows that they agree.
Nothing here can be refused: message 1 gives names of shares, a record checks shares.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from protocol.identity.drawing import share_name
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.secrets import ACTIONS, AREA
from tests.vectors.files import Group, Seed, build_file, one_step

NOTES: Final = {
    "Order": ("BASIC", "The shares stand in the order of the persons' ids, whoever computes."),
    "Direction": ("CONFIDENTIALITY", "A key of one direction is not that of the other."),
    "Share": ("BASIC", "A share comes of a drawn secret and a pairing, its name also of the operation."),
    "Best": ("EDGE_CASE", "Several shares are held: the best that both hold is taken."),
    "First": ("EDGE_CASE", "The first share of the pairing is named, wherever it stands."),
    "Found": ("CONFIDENTIALITY", "The secrets under which a person is found, and looks for the other."),
    "Stranger": ("EDGE_CASE", "No share in common: the responder answers as it answers a stranger."),
}


def _persons(seed: Seed) -> tuple[str, str]:
    """The lower and the higher person id."""
    low, high = sorted(seed.bytes(f"person {name}").hex() for name in "ab")
    return low, high


def _share(seed: Seed, owner: str, number: int) -> Json:
    """The share of a person that its operation with this number draws."""
    label = f"{owner} {number}"
    return {"operation": seed.bytes(f"operation {label}").hex(), "share": seed.bytes(label).hex()}


def _names(seed: Seed, owner: str, numbers: Iterable[int]) -> list[str]:
    shares = (_share(seed, owner, number) for number in numbers)
    return [share_name(*(bytes.fromhex(one[of]) for of in ("share", "operation"))).hex() for one in shares]


@dataclass(frozen=True)
class Side:
    """The shares of one person, by the numbers of their operations, the best first."""

    owner: str
    numbers: tuple[int, ...]
    first: int = 1

    def called(self, owner: str) -> Self:
        """The same of another person."""
        return type(self)(owner, self.numbers, self.first)


def _pairing(
    seed: Seed, own: Side, theirs: Side, root: str = "root", *, fresh: int = 0, retired: bool = False
) -> Json:
    return {
        "pairing_root": seed.bytes(root).hex(),
        "own_shares": [_share(seed, own.owner, number) for number in own.numbers],
        "their_shares": [_share(seed, theirs.owner, number) for number in theirs.numbers],
        "first_own": _share(seed, own.owner, own.first)["operation"],
        "first_theirs": _share(seed, theirs.owner, theirs.first)["operation"],
        "fresh": fresh,
        "retired": retired,
    }


def _values(seed: Seed) -> Group:
    """One secret from both ends, and its four keys."""
    low, high = _persons(seed)
    root, of_low, of_high = (seed.bytes(name).hex() for name in ("root", "share of low", "share of high"))
    group = Group("7.6", {})
    for name, own, own_share, their, their_share in (
        ("lower", low, of_low, high, of_high),
        ("higher", high, of_high, low, of_low),
    ):
        given = {"own_person": own, "own_share": own_share, "their_person": their, "their_share": their_share}
        steps = one_step(ACTIONS, group.inputs, "contact_secret", pairing_root=root, **given)
        group.add(f"the person with the {name} id computes", ["Order"], SUCCESS, steps)
    secret = group.tests[0]["steps"][0]["gives"]["contact_secret"]
    given = {"own_person": low, "own_share": of_high, "their_person": high, "their_share": of_low}
    steps = one_step(ACTIONS, group.inputs, "contact_secret", pairing_root=root, **given)
    group.add("the same shares, each owned by the other", ["Order"], SUCCESS, steps)
    for do, label, first, second in (
        ("link_psk", "a link that the lower begins", ("initiator", low), ("responder", high)),
        ("link_psk", "a link that the higher begins", ("initiator", high), ("responder", low)),
        ("discovery_key", "the lower announces", ("announcer", low), ("viewer", high)),
        ("discovery_key", "the higher announces", ("announcer", high), ("viewer", low)),
    ):
        steps = one_step(ACTIONS, group.inputs, do, contact_secret=secret, **dict((first, second)))
        group.add(label, ["Direction"], SUCCESS, steps)
    return group


def _derived(seed: Seed) -> Group:
    """Shares from drawn secrets, and what names them."""
    group = Group("7.6", {})
    names = ("root", "operation", "secret")
    root, operation, secret = (seed.bytes(name).hex() for name in names)
    given = {"pairing_root": root, "operation": operation, "secret": secret}
    for comment, changed in (
        ("a share", {}),
        ("of another pairing", {"pairing_root": seed.bytes("other root").hex()}),
        ("of another secret", {"secret": seed.bytes("other secret").hex()}),
        ("the same secret of another operation", {"operation": seed.bytes("other operation").hex()}),
    ):
        steps = one_step(ACTIONS, group.inputs, "share", **given | changed)
        group.add(comment, ["Share"], SUCCESS, steps)
    return group


def _initiator(seed: Seed) -> Group:
    low, high = _persons(seed)
    group, one = Group("7.6", {}), Side("", (1,))
    for comment, flag, own, theirs in (
        ("one share of each", "Best", one, one),
        ("another share of each: four candidates", "Best", Side("", (2, 1)), Side("", (9, 7), 7)),
        ("sixteen candidates, by both places, then the own one", "Best",
         Side("", (4, 3, 2, 1)), Side("", (14, 13, 12, 11), 11)),
        ("the first is the best", "First", Side("", (1, 5, 4, 3, 2)), one),
        ("of five own shares the first is the fourth", "First", Side("", (5, 4, 3, 1, 2)), one),
        ("of five own shares the first is the worst", "First", Side("", (5, 4, 3, 2, 1)), one),
        ("of six foreign shares the first is the fifth", "First", one, Side("", (6, 5, 4, 3, 1, 2))),
        ("nine shares of each", "First",
         Side("", (9, 8, 7, 6, 5, 4, 3, 2, 1)), Side("", (1, 9, 8, 7, 6, 5, 4, 3, 2), 5)),
        ("of five own shares the first is not held", "First", Side("", (6, 5, 4, 3, 2)), one),
    ):  # fmt: skip
        for end, persons, names in (("lower", (low, high), "ab"), ("higher", (high, low), "ba")):
            given = {"own_person": persons[0], "their_person": persons[1]}
            pairing = _pairing(seed, own.called(names[0]), theirs.called(names[1]))
            steps = one_step(ACTIONS, group.inputs, "candidates", pairing=pairing, **given)
            group.add(f"{comment}; the {end} begins", [flag], SUCCESS, steps)
    return group


def _found(seed: Seed) -> Group:
    """Slots and tokens come of these."""
    low, high = _persons(seed)
    group, given = Group("7.6", {}), {"own_person": low, "their_person": high}
    one, four = Side("a", (1,)), Side("a", (4, 3, 2, 1))
    theirs = Side("b", (1,))
    rows: tuple[tuple[str, Side, Side, Json], ...] = (
        ("one share of each, the own one fresh", one, theirs, {"fresh": 1}),
        ("one share of each, none fresh", one, theirs, {}),
        ("the first foreign share is the worst", one, Side("b", (3, 2, 1)), {"fresh": 1}),
        ("the first foreign share is retired", one, Side("b", (3, 2, 1)), {"fresh": 1, "retired": True}),
        ("it is the best, and retired", one, Side("b", (1, 3, 2)), {"fresh": 1, "retired": True}),
        ("it is the only one, and retired", one, theirs, {"fresh": 1, "retired": True}),
        ("two own shares are fresh", four, theirs, {"fresh": 2}),
        ("all own shares are fresh", four, theirs, {"fresh": 4}),
        ("no own share is fresh", four, theirs, {}),
        ("five own shares, of which the first is the worst", Side("a", (5, 4, 3, 2, 1)), theirs,
         {"fresh": 1}),
        ("five own shares, all fresh", Side("a", (5, 4, 3, 2, 1)), theirs, {"fresh": 5}),
        ("nine foreign shares, the first retired", four, Side("b", (9, 8, 7, 6, 5, 4, 3, 2, 1)),
         {"fresh": 1, "retired": True}),
        ("nine foreign shares", four, Side("b", (9, 8, 7, 6, 5, 4, 3, 2, 1)), {"fresh": 1}),
    )  # fmt: skip
    for comment, own, other, more in rows:
        pairing = _pairing(seed, own, other, **more)
        steps = one_step(ACTIONS, group.inputs, "found", pairing=pairing, **given)
        group.add(comment, ["Found"], SUCCESS, steps)
    return group


def _responder(seed: Seed) -> Group:
    low, high = _persons(seed)
    group, persons = Group("7.6", {}), {"own_person": high, "their_person": low}
    one = [_pairing(seed, Side("b", (2, 1)), Side("a", (3, 2, 1)))]
    turned = [_pairing(seed, Side("b", (1, 2)), Side("a", (1, 2, 3)))]
    renewed = Side("b", (20,), 20), Side("a", (21,), 21)
    two = [_pairing(seed, *renewed, "newer root"), *one]
    low_after = [*one, _pairing(seed, *renewed, "older root")]
    retired = [_pairing(seed, Side("b", (2, 1)), Side("a", (3, 2, 1)), retired=True)]
    for comment, flag, pairings, own, theirs in (
        ("all in common", "Best", one, [3, 2, 1], [2, 1]),
        ("in another order", "Best", one, [1, 3, 2], [1, 2]),
        ("one name twice", "Best", one, [3, 3, 2], [2, 2]),
        ("the initiator lacks the responder's best", "Best", one, [3], [1]),
        ("the best ones were drawn first", "Best", turned, [3, 2, 1], [2, 1]),
        ("the responder lacks the initiator's best", "Best", one, [9, 8, 2], [2]),
        ("the first foreign share is retired, and answered all the same", "First", retired, [1], [1]),
        ("no share of the responder in common", "Stranger", one, [3], [5, 4]),
        ("no share of the initiator in common", "Stranger", one, [4], [2]),
        ("two pairings, the newer fits", "Best", two, [21, 3], [20, 2]),
        ("two pairings, the other one is the newer", "Best", low_after, [21, 3, 2], [20, 2]),
        ("two pairings, only the older fits", "Best", two, [3], [2]),
        ("a share of each, but of different pairings", "Stranger", two, [21], [2]),
    ):
        names = {"own": _names(seed, "a", own), "theirs": _names(seed, "b", theirs)}
        steps = one_step(ACTIONS, group.inputs, "answer", **persons, pairings=pairings, names=names)
        group.add(comment, [flag], SUCCESS, steps)
    rival = [_pairing(seed, Side("b", (2, 1)), Side("a", (3, 2, 1)))]
    rival[0]["their_shares"][0]["share"] = seed.bytes("false share").hex()
    names = {"own": _names(seed, "a", [3]), "theirs": _names(seed, "b", [2])}
    steps = one_step(ACTIONS, group.inputs, "answer", **persons, pairings=rival, names=names)
    group.add("another share of the same operation", ["Stranger"], SUCCESS, steps)
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    makers = (_values, _derived, _initiator, _found, _responder)
    return build_file(seed, NOTES, [make(seed) for make in makers])
