"""The file of pairing: values, whole courses nearby and by invitation, invitations (SPEC §7.4, §7.5).

Rules: a whole course holds the steps of both ends, in one possible order; what is refused stands in
pairing_wrong.py and pairing_invitation.py.
"""

from __future__ import annotations

from typing import Final

from protocol.codec import encode
from protocol.invitation import invitation_check
from protocol.messages import Close
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.pairing import ACTIONS, AREA, World
from tests.vectors.files import Group, Seed, build_file, one_step
from tests.vectors.pairing_invitation import invitation_groups
from tests.vectors.pairing_made import Course, end, facts, record
from tests.vectors.pairing_wrong import refused_groups
from tests.vectors.persons_made import Person

NOTES: Final = {
    "Values": ("BASIC", "What both ends compute of the link, the nonces and the records."),
    "Course": ("BASIC", "A whole pairing, in one of the orders that are possible."),
    "Again": ("EDGE_CASE", "A person who is known already."),
    "Ended": ("EDGE_CASE", "One side refuses or gives up."),
    "BadName": ("MALFORMED", "A name that steers a screen or is none."),
    "NotNow": ("ORDER", "A message that does not come next."),
    "WordsForged": ("AUTHENTICITY", "The nonce is not the one that was committed to."),
    "BadRecord": ("AUTHENTICITY", "A record that is not that of the other end on this link."),
    "BadShare": ("MALFORMED", "A share without a number, or under heads that are not of its owner's log."),
    "BadTag": ("AUTHENTICITY", "A tag over other records, or of the other end."),
    "Invitation": ("BASIC", "The text that one person hands another."),
    "BadInvitation": ("MALFORMED", "A text that is no invitation."),
    "Burned": ("AUTHENTICITY", "An invitation serves one joiner."),
}


def _values(seed: Seed) -> Group:
    anna, bob = Person(seed, "anna", "Anna"), Person(seed, "bob", "Bob")
    inputs = {"facts": facts(seed, "values")}
    group, world = Group("7.4", inputs), World(inputs)
    steps = one_step(ACTIONS, world, "transcript")
    group.add("t and the pairing root", ["Values"], SUCCESS, steps)
    transcript = steps[0]["gives"]
    nonces = {f"nonce_{end}": seed.bytes(f"nonce {end}").hex() for end in "IR"}
    steps = one_step(ACTIONS, world, "words", t=transcript["t"], **nonces)
    group.add("commitment and words", ["Values"], SUCCESS, steps)
    ends = inputs | {"initiator": end(anna, "nearby"), "responder": end(bob, "nearby")}
    records = {actor: encode(record(ends, actor)).hex() for actor in ("initiator", "responder")}
    for role, (own, other) in enumerate((("initiator", "responder"), ("responder", "initiator"))):
        given = transcript | {"role": role, "own_record": records[own], "other_record": records[other]}
        steps = one_step(ACTIONS, world, "accept_tag", **given)
        group.add(f"the {own}'s Accept", ["Values"], SUCCESS, steps)
    return group


def _nearby(seed: Seed) -> Group:
    anna, bob = Person(seed, "anna", "Anna"), Person(seed, "bob", "小雨")
    inputs = {
        "facts": facts(seed, "nearby"),
        "initiator": end(anna, "nearby"),
        "responder": end(bob, "nearby"),
    }
    group, both = Group("7.4", inputs), ("initiator", "responder")
    course = Course(inputs).words_shown().confirms(*both).arrives("initiator").arrives("responder")
    course.stores(*both).arrives("initiator").arrives("responder")
    group.add("both confirm at once", ["Course"], SUCCESS, course.steps)
    course = Course(inputs).words_shown().confirms("initiator").arrives("responder").confirms("responder")
    course.stores("responder").arrives("initiator", 2).stores("initiator").arrives("responder")
    group.add("the initiator first, and last to store", ["Course"], SUCCESS, course.steps)
    course = Course(inputs).words_shown().confirms("responder").arrives("initiator").confirms("initiator")
    course.stores("initiator").arrives("responder", 2).stores("responder").arrives("initiator")
    group.add("the responder first, and last to store", ["Course"], SUCCESS, course.steps)
    course = Course(inputs).words_shown()
    course.does("responder", "refuse")
    course.arrives("initiator")
    group.add("the words differ: the responder refuses", ["Ended"], SUCCESS, course.steps)
    course = Course(inputs).words_shown().confirms(*both).arrives("initiator").stores("initiator")
    course.does("initiator", "receive", message=encode(Close(3)).hex())
    group.add("refused after a contact is pending", ["Ended"], SUCCESS, course.steps)
    return group


def _again(seed: Seed) -> Group:
    """Bob has added a terminal since Anna paired with him."""
    anna, bob = Person(seed, "anna", "Anna"), Person(seed, "bob", "Bob")
    held = [signed.hex() for signed in bob.log.values()]
    bob.add("add second", bob.first, bob.terminal("second"))
    inputs = {
        "facts": facts(seed, "again"),
        "initiator": end(anna, "nearby", held=held),
        "responder": end(bob, "nearby"),
    }
    group = Group("7.4", inputs)
    course = Course(inputs).words_shown().confirms("initiator", "responder").arrives("initiator")
    group.add("only what is new of a known log is stored", ["Again"], SUCCESS, course.steps)
    return group


def _invited(seed: Seed) -> Group:
    joiner, inviter = Person(seed, "joiner", "Anna"), Person(seed, "inviter", "Bob")
    check = invitation_check(inviter.id, inviter.first.static).hex()
    inputs = {
        "facts": facts(seed, "invited"),
        "initiator": end(joiner, "joiner", check=check),
        "responder": end(inviter, "inviter"),
    }
    group = Group("7.5", inputs)
    course = Course(inputs).starts().arrives("responder").confirms("responder").arrives("initiator")
    course.stores("initiator", "responder").arrives("responder").arrives("initiator")
    group.add("a whole pairing by invitation", ["Course"], SUCCESS, course.steps)
    course = Course(inputs).starts().arrives("responder").confirms("responder").stores("responder")
    course.arrives("initiator", 2).stores("initiator").arrives("responder")
    group.add("the joiner stores last", ["Course"], SUCCESS, course.steps)
    course = Course(inputs).starts().arrives("responder")
    course.does("responder", "refuse")
    course.arrives("initiator")
    group.add("the inviter does not know who joins", ["Ended"], SUCCESS, course.steps)
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    courses = [make(seed) for make in (_values, _nearby, _again, _invited)]
    return build_file(seed, NOTES, [*courses, *refused_groups(seed), *invitation_groups(seed)])
