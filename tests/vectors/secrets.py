"""Makes the vectors of the contact secret: order of persons, both roles, and which psk a link takes.

Two tests hold the two ends of a value, each computed from its own end; the file shows that they agree.
Nothing here can be refused: message 1 checks share numbers, a record checks shares.
"""

from __future__ import annotations

from typing import Final

from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.secrets import ACTIONS, AREA
from tests.vectors.files import Group, Seed, build_file, one_step

NOTES: Final = {
    "Order": ("BASIC", "The shares stand in the order of the persons' ids, whoever computes."),
    "Direction": ("CONFIDENTIALITY", "A key of one direction is not that of the other."),
    "Newest": ("EDGE_CASE", "Several shares are held: the newest that both hold is taken."),
    "Stranger": ("EDGE_CASE", "No share in common: the responder answers as it answers a stranger."),
}


def _persons(seed: Seed) -> tuple[str, str]:
    """The lower and the higher person id."""
    low, high = sorted(seed.bytes(f"person {name}").hex() for name in "ab")
    return low, high


def _shares(seed: Seed, owner: str, numbers: tuple[int, ...]) -> list[Json]:
    return [{"number": number, "share": seed.bytes(f"{owner} {number}").hex()} for number in numbers]


def _pairing(
    seed: Seed, own: tuple[str, tuple[int, ...]], theirs: tuple[str, tuple[int, ...]], root: str = "root"
) -> Json:
    return {
        "pairing_root": seed.bytes(root).hex(),
        "own_shares": _shares(seed, *own),
        "their_shares": _shares(seed, *theirs),
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


def _initiator(seed: Seed) -> Group:
    low, high = _persons(seed)
    group = Group("7.6", {})
    for comment, own, theirs in (
        ("one share of each", (1,), (1,)),
        ("a renewed share of each: four candidates", (2, 1), (9, 7)),
        ("of five own shares the four newest", (5, 4, 3, 2, 1), (6,)),
        ("the newest has the lowest number", (1, 2), (7, 9)),
        ("sixteen candidates, by both places, then the own one", (4, 3, 2, 1), (14, 13, 12, 11)),
    ):
        for end, persons, names in (("lower", (low, high), "ab"), ("higher", (high, low), "ba")):
            given = {"own_person": persons[0], "their_person": persons[1]}
            pairing = _pairing(seed, (names[0], own), (names[1], theirs))
            steps = one_step(ACTIONS, group.inputs, "candidates", pairing=pairing, **given)
            group.add(f"{comment}; the {end} begins", ["Newest"], SUCCESS, steps)
    return group


def _responder(seed: Seed) -> Group:
    low, high = _persons(seed)
    group, persons = Group("7.6", {}), {"own_person": high, "their_person": low}
    one = [_pairing(seed, ("b", (2, 1)), ("a", (3, 2, 1)))]
    turned = [_pairing(seed, ("b", (1, 2)), ("a", (1, 2, 3)))]
    two = [_pairing(seed, ("b", (20,)), ("a", (21,)), "newer root"), *one]
    low_after = [*one, _pairing(seed, ("b", (20,)), ("a", (21,)), "older root")]
    for comment, flag, pairings, own, theirs in (
        ("all in common", "Newest", one, [3, 2, 1], [2, 1]),
        ("the initiator lacks the responder's newest", "Newest", one, [3], [1]),
        ("the newest has the lower number", "Newest", turned, [3, 2, 1], [2, 1]),
        ("the responder lacks the initiator's newest", "Newest", one, [9, 8, 2], [2]),
        ("no share of the responder in common", "Stranger", one, [3], [5, 4]),
        ("no share of the initiator in common", "Stranger", one, [4], [2]),
        ("two pairings, the newer fits", "Newest", two, [21, 3], [20, 2]),
        ("two pairings, the newer has the lower numbers", "Newest", low_after, [21, 3, 2], [20, 2]),
        ("two pairings, only the older fits", "Newest", two, [3], [2]),
        ("a share of each, but of different pairings", "Stranger", two, [21], [2]),
    ):
        given = {"pairings": pairings, "numbers": {"own": own, "theirs": theirs}}
        steps = one_step(ACTIONS, group.inputs, "answer", **persons, **given)
        group.add(comment, [flag], SUCCESS, steps)
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    return build_file(seed, NOTES, [_values(seed), _initiator(seed), _responder(seed)])
