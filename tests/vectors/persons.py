"""The file of the person logs: what a log comes to, what is refused, what is taken and passed on (SPEC §7.3).

Rules: a group is one history, whose operations its inputs name; each test reads a part of it. What is wrong
in a history is truly signed but where the signature itself is what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocol.limits import LOG_HELD_MAX, LOG_OPERATIONS_MAX, PARENTS_MAX
from protocol.person_author import recover_operation, rename_operation
from protocol.person_log import Rename, parse_operation
from protocol.primitives import ed25519_from_seed
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.persons import ACTIONS, AREA
from tests.vectors.files import Group, Seed, build_file, one_step
from tests.vectors.persons_history import History
from tests.vectors.persons_made import Person, Terminal
from tests.vectors.persons_single import edge_group, single_groups
from tests.vectors.persons_wrong import invalid_group

NOTES: Final = {
    "Operation": ("BASIC", "One operation: its bytes, its id, its signatures."),
    "BadOperation": ("MALFORMED", "An operation that no log may hold, though it is truly signed."),
    "Reduction": ("BASIC", "What a log comes to, in every order of arrival."),
    "Seniority": ("AUTHENTICITY", "Only a senior terminal removes a junior one."),
    "Cut": ("AUTHENTICITY", "What a removed terminal signed after its last operation does not count."),
    "Recovery": ("AUTHENTICITY", "The recovery key stands above all terminals."),
    "Fork": ("AUTHENTICITY", "One key has two users."),
    "BadLog": ("AUTHENTICITY", "An operation that is not valid upon its ancestors."),
    "Exchange": ("BASIC", "What of a log is taken, left out and passed on."),
    "TooMuch": ("LIMIT", "More than a log may hold."),
    "SecondLog": ("AUTHENTICITY", "A key that stands in the log of another person."),
    "Stale": ("CONFIDENTIALITY", "A share that a removed terminal may know."),
}


# --- What a log comes to ---


def _terminals(seed: Seed) -> Group:
    """Adds, renames, and removals by seniors, juniors and oneself."""
    anna = Person(seed, "terminals", "Anna")
    second, third = anna.terminal("second"), anna.terminal("third")
    history, base = History(anna), ["genesis", "rename"]
    anna.add("add second", anna.first, second)
    three = [*base, "add second"]
    anna.add("add third", second, third, three)
    four = [*three, "add third"]
    anna.rename("first renames", anna.first, "Anne", four)
    anna.rename("second renames", second, "Änne", four)
    anna.rename("second renames again", second, "Ann", [*four, "second renames"])
    anna.remove("first removes third", anna.first, third, upon=four)
    anna.remove("third removes second", third, second, upon=four)
    anna.remove("second removes first", second, anna.first, upon=four)
    anna.remove("second removes itself", second, second, upon=four)
    anna.remove("first removes second and all it did", anna.first, second, b"", upon=four)
    history.reads("a new person", "Reduction", base)
    history.reads("two more terminals, the most senior first", "Reduction", four)
    history.reads("the same in another order, some twice", "Reduction", [*four[::-1], *four])
    history.reads("two renames at once", "Reduction", [*four, "first renames", "second renames"])
    renames = ["second renames", "second renames again", "first renames"]
    history.reads("the deeper of two renames", "Reduction", [*four, *renames])
    history.reads("an ancestor is missing", "Reduction", [*base, "add third", "second renames again"])
    history.reads("a senior removes a junior", "Seniority", [*four, "first removes third"])
    history.reads("a junior removes its senior", "Seniority", [*four, "third removes second"])
    both = ["first removes third", "third removes second", "second removes first"]
    history.reads("each removes another", "Seniority", [*four, *both])
    history.reads("a terminal removes itself", "Seniority", [*four, "second removes itself"])
    cut = [*four, "first removes second and all it did"]
    history.reads("a removal that names nothing voids what was added", "Cut", cut)
    history.reads("beside it what was removed wrote", "Cut", [*cut, "second renames", "second removes first"])
    return history.done()


def _cuts(seed: Seed) -> Group:
    """What counts of a removed terminal."""
    anna = Person(seed, "cuts", "Anna")
    second, third = anna.terminal("second"), anna.terminal("third")
    history = History(anna)
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.rename("renames", second, "Anne", base)
    seen = [*base, "renames"]
    anna.remove("remove up to the rename", anna.first, second, anna.id_of("renames"), upon=seen)
    anna.rename("renames later", second, "Änne", seen)
    anna.rename("renames backdated", second, "Anja", base)
    anna.add("adds backdated", second, third, base)
    anna.remove("removes itself", second, second, upon=seen)
    anna.rename("renames after removing itself", second, "Ann", [*seen, "removes itself"])
    removed = [*seen, "remove up to the rename"]
    history.reads("up to its last operation it counts", "Cut", removed)
    history.reads("what comes later is cut", "Cut", [*removed, "renames later"])
    history.reads("what was backdated is cut", "Cut", [*removed, "renames backdated", "adds backdated"])
    itself = [*seen, "removes itself"]
    history.reads("after removing itself nothing counts", "Cut", [*itself, "renames after removing itself"])
    history.reads("a fork beside its own removal stays", "Fork", [*itself, "renames later"])
    return history.done()


def _forks(seed: Seed) -> Group:
    """One author, one sequence, two operations."""
    anna = Person(seed, "forks", "Anna")
    second = anna.terminal("second")
    history = History(anna)
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.rename("one", second, "Anne", base)
    anna.rename("other", second, "Änne", base)
    anna.rename("first's own", anna.first, "Ann", base)
    both = [*base, "one", "other"]
    anna.remove("remove", anna.first, second, anna.id_of("one"), upon=both)
    history.reads("a terminal's fork", "Fork", both)
    history.reads("two terminals at once are no fork", "Fork", [*base, "one", "first's own"])
    history.reads("a senior's removal settles it", "Fork", [*both, "remove"])
    return history.done()


def _recoveries(seed: Seed) -> Group:
    """The recovery key removes, brings in, forks and settles."""
    anna = Person(seed, "recoveries", "Anna")
    second, new = anna.terminal("second"), anna.terminal("new")
    history, genesis_key = History(anna), anna.recovery
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    everybody = [(anna.first, anna.id_of("add second")), (second, b"")]
    one = anna.recover("recover", everybody, new, base)
    anna.rename("first renames", anna.first, "Anne", base)
    anna.rename("new renames", new, "Änne", [*base, "recover"])
    anna.recover("recover again", upon=[*base, "recover"], by=one)
    anna.recover("recover beside", upon=base, by=genesis_key)
    both = [*base, "recover", "recover beside"]
    lower = min(("recover", "recover beside"), key=anna.id_of)
    holding = one if lower == "recover" else seed.bytes("recoveries recover beside recovery")
    anna.recover("recover last", upon=both, by=holding)
    history.reads("a recovery removes all and brings in one", "Recovery", [*base, "recover"])
    cut = [*base, "recover", "first renames"]
    history.reads("what a removed terminal does beside it is cut", "Recovery", cut)
    history.reads("the new terminal goes on", "Recovery", [*base, "recover", "new renames"])
    history.reads("a second recovery by the next key", "Recovery", [*base, "recover", "recover again"])
    history.reads("two recoveries at once: the lower id names the next key", "Fork", both)
    history.reads("a later recovery settles it", "Fork", [*both, "recover last"])
    return history.done()


def _claims(seed: Seed) -> Group:
    """Two adds at once that claim the same."""
    anna = Person(seed, "claims", "Anna")
    second, third = anna.terminal("second"), anna.terminal("third")
    history = History(anna)
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.add("first adds third", anna.first, third, base)
    anna.add("second adds third", second, third, base)
    anna.rename("second renames", second, "Anne", base)
    claimed = Terminal(anna.terminal("fourth").seed, third.secret)
    anna.add("second adds third's key", second, claimed, [*base, "second renames"])
    twice = [*base, "first adds third", "second adds third"]
    history.reads("one terminal added twice at once", "Reduction", twice)
    key = [*base, "first adds third", "second renames", "second adds third's key"]
    history.reads("of two claims to one key the senior's stands", "Seniority", key)
    return history.done()


# --- What is taken and passed on ---


def _exchange(seed: Seed) -> Group:
    anna = Person(seed, "exchange", "Anna")
    history, second = History(anna), anna.terminal("second")
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.rename("renames", second, "Anne", base)
    anna.remove("remove", anna.first, second, b"", upon=base)
    whole, removed = list(anna.log), [*base, "remove"]
    history.takes("a whole log from a stranger", [], base)
    history.takes("in any order", [], base[::-1])
    history.takes("what is held already adds nothing", base, base)
    history.takes("only what is new, in causal order", base[:1], base[1:])
    history.takes("what a removal has cut is left out", removed, ["renames"])
    history.takes("a removal that cuts what is held", [*base, "renames"], ["remove"])
    missing = ("V-LG-09", "malformed")
    history.turns_away(missing, "a parent is missing", "BadLog", ["renames"], held=base[:2])
    history.turns_away(missing, "of two new ones the first is missing", "BadLog", ["remove"], held=base[:2])
    for comment, heads in {
        "all is lacking": [],
        "nothing is lacking": anna.state().heads,
        "what stands after a head": [anna.id_of("rename")],
        "a head that is not known covers nothing": [bytes(32)],
        "a known and an unknown head": sorted([bytes(32), anna.id_of("add second")]),
    }.items():
        history.computes(
            comment, "Exchange", "missing", operations=whole, heads=[each.hex() for each in heads]
        )
    return history.done()


def _foreign(seed: Seed) -> Group:
    """Keys of one person in the log of another."""
    anna, bob = Person(seed, "foreign anna", "Anna"), Person(seed, "foreign bob", "Bob")
    theirs = bob.terminal("second")
    bob.add("add second", bob.first, theirs)
    anna.add("adds Bob's terminal", anna.first, theirs)
    mixed = Terminal(anna.terminal("second").seed, bob.first.secret)
    anna.add("adds Bob's static key", anna.first, mixed, ["genesis", "rename"])
    base = ["genesis", "rename"]
    recover = recover_operation(anna.state(base), ed25519_from_seed(bob.recovery), [])
    anna.write("recovers to Bob's recovery key", recover, anna.recovery)
    anna.log |= {f"Bob's {name}": signed for name, signed in bob.log.items()}
    bobs = [f"Bob's {name}" for name in bob.log]
    history = History(anna)
    history.takes("nothing in common with another log", [], base, others=[bobs])
    second_log = ("V-LG-11", "untrusted")
    for name in ("adds Bob's terminal", "adds Bob's static key", "recovers to Bob's recovery key"):
        history.turns_away(second_log, name, "SecondLog", [name], held=base, others=[bobs])
    return history.done()


def _bounds(seed: Seed) -> Group:
    """One operation more than may be, by a terminal that is not the most senior."""
    anna = Person(seed, "bounds", "Anna")
    second = anna.terminal("second")
    anna.add("add", anna.first, second)
    base, parent = list(anna.log), anna.id_of("add")
    for n in range(LOG_OPERATIONS_MAX + 1):
        operation = Rename(anna.id, second.id, n + 1, [parent], "A")
        parent = parse_operation(anna.write(f"chain {n}", operation, second.seed)).id
    for n in range(PARENTS_MAX + 1):
        operation = Rename(anna.id, second.id, 1, [anna.id_of("add")], f"head {n}")
        anna.write(f"head {n}", operation, second.seed)
    state = anna.state(base)
    anna.write("rename by first", rename_operation(state, anna.first.id, "Anne"), anna.first.seed)
    chain, heads = ([name for name in anna.log if name.startswith(kind)] for kind in ("chain", "head"))
    limit, history = ("V-LG-10", "limit"), History(anna)
    within = one_step(
        ACTIONS,
        {"operations": anna.named()},
        "extend",
        held=[*base, *chain[:-1]],
        received=["rename by first"],
    )
    history.group.add("256 by a junior, and one more by the senior", ["Exchange"], SUCCESS, within)
    history.turns_away(limit, "257 by a junior", "TooMuch", chain[-1:], held=[*base, *chain[:-1]])
    history.takes("16 heads", base, heads[:-1])
    history.turns_away(limit, "17 heads", "TooMuch", heads, held=base)
    for n in range(LOG_HELD_MAX + 1):
        anna.log[f"bytes {n}"] = n.to_bytes(2)
    names = [f"bytes {n}" for n in range(LOG_HELD_MAX + 1)]
    step = {"do": "reduce", "operations": names}
    comment = "513 different ones, before any is decoded"
    history.group.add(comment, ["TooMuch"], "limit", [step], rule="V-LG-01")
    return history.done()


def _not_too_many() -> Group:
    names = [f"bytes {n}" for n in range(LOG_HELD_MAX)]
    group = Group("7.2", {"operations": {name: n.to_bytes(2).hex() for n, name in enumerate(names)}})
    step = {"do": "reduce", "operations": names}
    comment = "512 different ones are not too many, but these are no operations"
    group.add(comment, ["BadOperation"], "malformed", [step], rule="V-OG-02")
    return group


def _stale(seed: Seed) -> Group:
    anna = Person(seed, "stale", "Anna")
    history, second = History(anna), anna.terminal("second")
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.remove("remove", anna.first, second, upon=base)
    anna.remove("a junior's removal", second, anna.first, upon=base)
    removed = [*base, "remove"]
    junior = [*base, "a junior's removal"]
    cases: Mapping[str, tuple[list[str], str]] = {
        "drawn before the removal": (removed, "add second"),
        "drawn after it": (removed, "remove"),
        "no removal": (base, "rename"),
        "a removal that does not count": (junior, "add second"),
    }
    for comment, (names, head) in cases.items():
        history.computes(comment, "Stale", "stale", operations=names, heads=[anna.id_of(head).hex()])
    return history.done()


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    meanings = (_terminals, _cuts, _forks, _recoveries, _claims)
    makers = (*meanings, invalid_group, _exchange, _foreign, _bounds, _stale)
    groups = [*single_groups(seed), *(make(seed) for make in makers)]
    return build_file(seed, NOTES, [*groups, edge_group(seed), _not_too_many()])
