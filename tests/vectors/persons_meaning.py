"""Makes the vectors of what a person log comes to: seniority, removals, forks, recoveries (SPEC §7.3).

A group is one history, whose operations its inputs name; each test reads a part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from protocol.identity.author import recover_operation
from protocol.limits import LOG_RIVALS_MAX
from protocol.primitives import ed25519_from_seed
from tests.vectors.files import Group, Seed
from tests.vectors.persons_log import History, Person, Terminal


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
    second, third, fourth = (anna.terminal(label) for label in ("second", "third", "fourth"))
    history = History(anna)
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.rename("one", second, "Anne", base)
    anna.rename("other", second, "Änne", base)
    anna.rename("another", second, "Anja", base)
    anna.rename("first's own", anna.first, "Ann", base)
    anna.add("one adds", second, third, [*base, "one"])
    anna.rename("third renames", third, "Anke", [*base, "one", "one adds"])
    anna.remove("other removes third", second, third, b"", [*base, "one", "one adds"])
    both = [*base, "one", "other"]
    anna.remove("remove", anna.first, second, anna.id_of("one"), upon=both)
    branch = [*both, "one adds"]
    anna.remove("remove after the add", anna.first, second, anna.id_of("one adds"), upon=branch)
    anna.remove("removes itself", second, second, anna.id_of("one"), upon=[*base, "one"])
    anna.add("first adds fourth", anna.first, fourth, both)
    anna.rename("first forks", anna.first, "Anni", base)
    anna.recover("recover", [(second, anna.id_of("one"))], upon=both)
    history.reads("a fork freezes the terminal", "Fork", both)
    history.reads("two terminals at once are no fork", "Fork", [*base, "one", "first's own"])
    history.reads("what a frozen terminal added is not there", "Fork", [*branch, "third renames"])
    history.reads("the others go on", "Fork", [*both, "first adds fourth"])
    history.reads("of three the first two are shown", "Fork", [*both, "another"])
    history.reads("a senior's removal settles it", "Fork", [*both, "remove"])
    after = [*branch, "third renames", "remove after the add"]
    history.reads("its last brings back what follows it", "Fork", after)
    history.reads("a removal by oneself settles nothing", "Fork", [*both, "one adds", "removes itself"])
    stands = [*branch, "other removes third"]
    history.reads("a removal in a fork stands", "Standing", stands)
    history.reads("both terminals are frozen", "Fork", [*both, "first's own", "first forks"])
    history.reads("a recovery settles it", "Fork", [*both, "recover"])
    return history.done()


def _recoveries(seed: Seed) -> Group:
    """The recovery key removes, brings in and settles, and outranks all terminals."""
    anna = Person(seed, "recoveries", "Anna")
    second, third, new = (anna.terminal(label) for label in ("second", "third", "new"))
    history = History(anna)
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.recover("recover", [(anna.first, anna.id_of("add second"))], new, base)
    recovered = [*base, "recover"]
    anna.rename("first renames", anna.first, "Anne", base)
    anna.remove("first removes second", anna.first, second, b"", upon=base)
    anna.rename("new renames", new, "Änne", recovered)
    anna.remove("new removes second", new, second, upon=recovered)
    anna.remove("second removes new", second, new, upon=recovered)
    anna.add("second adds third", second, third, recovered)
    anna.recover("recover again", upon=recovered)
    anna.recover("recover a third time", [(new, b""), (second, b"")], upon=[*recovered, "recover again"])
    history.reads("a recovery removes the first and brings in one", "Recovery", recovered)
    history.reads(
        "what a removed terminal grants beside it is cut", "Recovery", [*recovered, "first renames"]
    )
    removal = [*recovered, "first removes second"]
    history.reads("a removal beside the recovery that cuts its author stands", "Standing", removal)
    history.reads("the new terminal goes on", "Recovery", [*recovered, "new renames"])
    history.reads("a recovered one is senior to older ones", "Seniority", [*recovered, "new removes second"])
    history.reads("an older terminal is junior to it", "Seniority", [*recovered, "second removes new"])
    after = [*recovered, "second removes new", "second adds third"]
    history.reads("what is not valid is left out, and the rest counts", "Seniority", after)
    history.reads("a second recovery by the next key", "Recovery", [*recovered, "recover again"])
    history.reads("a third one", "Recovery", [*recovered, "recover again", "recover a third time"])
    both = [*recovered, "recover again", "new renames"]
    history.reads("a rename beside a recovery that does not remove its author", "Recovery", both)
    return history.done()


def _rivals(seed: Seed) -> Group:
    """Several recoveries follow one."""
    anna = Person(seed, "rivals", "Anna")
    second, new, thief = (anna.terminal(label) for label in ("second", "new", "thief"))
    history = History(anna)
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    last = anna.id_of("add second")
    anna.recover("recover", [(anna.first, last)], new, base)
    anna.recover("rival", [(anna.first, last), (second, b"")], thief, base)
    anna.rename("new renames", new, "Anne", [*base, "recover"])
    anna.rename("thief renames", thief, "Mallory", [*base, "rival"])
    anna.remove("second removes itself", second, second, upon=[*base, "recover"])
    anna.recover("recover again", upon=[*base, "recover", "new renames"])
    operation = recover_operation(anna.state([*base, "recover", "new renames"]), anna.recovery, [])
    operation = replace(operation, recovery=ed25519_from_seed(anna.seed.bytes("rivals other key")))
    other = anna.key(1), anna.seed.bytes("rivals other key")
    anna.write("rival of the second", operation, *other)
    both = [*base, "recover", "rival"]
    history.reads("of two that follow one, none is in force", "Rival", both)
    history.reads("the one seen first is in force", "Rival", both, seen=["recover"])
    history.reads("the other one seen first is in force", "Rival", both, seen=["rival"])
    history.reads("a confirmed one is in force and no longer contested", "Rival", both, confirmed=["recover"])
    pins = {"seen": ["recover"], "confirmed": ["rival"]}
    history.reads("a confirmed one goes before one seen first", "Rival", both, **pins)
    one = [*base, "recover"]
    history.reads("a pin without a rival changes nothing", "Rival", one, seen=["recover"])
    history.reads("a pin of what is not there decides nothing", "Rival", both[:-1], seen=["rival"])
    lines = [*both, "new renames", "thief renames"]
    history.reads("what follows them is out of view while none is in force", "Rival", lines)
    history.reads("what follows the one in force is in view", "Rival", lines, seen=["recover"])
    history.reads("a removal that follows one out of force does not count", "Rival",
                  [*both, "second removes itself"], seen=["rival"])  # fmt: skip
    later = [*one, "new renames", "recover again"]
    history.reads("a next recovery follows the one in force", "Rival", [*later, "rival"], seen=["recover"])
    history.reads("and not the one that is not", "Rival", [*later, "rival"], seen=["rival"])
    second_line = [*later, "rival of the second"]
    history.reads("the second recovery has a rival with another next key", "Rival", second_line)
    history.reads("the second one is confirmed", "Rival", second_line, confirmed=["rival of the second"])
    two = [*second_line, "rival"]
    history.reads("the first confirmed, the second contested", "Rival", two, confirmed=["recover"])
    for n in range(LOG_RIVALS_MAX + 2):
        anna.recover(f"rival {n}", [], anna.terminal(f"rival {n}"), base)
    flood = [*both, *(f"rival {n}" for n in range(LOG_RIVALS_MAX + 2))]
    history.reads("of many rivals the first eight are kept", "Rival", flood, seen=["recover"])
    return history.done()


def _standing(seed: Seed) -> Group:
    """Removals stand whatever becomes of their author."""
    anna = Person(seed, "standing", "Anna")
    second, third, fourth = (anna.terminal(label) for label in ("second", "third", "fourth"))
    history = History(anna)
    anna.add("add second", anna.first, second)
    anna.add("second adds third", second, third)
    base = list(anna.log)
    anna.add("third adds fourth", third, fourth, base)
    anna.remove("second removes third", second, third, upon=base)
    anna.remove("second removes third again", second, third, b"", upon=base)
    anna.remove("first removes second", anna.first, second, anna.id_of("second adds third"), upon=base)
    anna.remove("first removes second whole", anna.first, second, b"", upon=base)
    anna.remove("third removes itself", third, third, b"", upon=base)
    cut = [*base, "first removes second", "second removes third"]
    history.reads("a removal by one that is removed beside it", "Standing", cut)
    whole = [*base, "first removes second whole", "second removes third"]
    history.reads("the same where nothing of its author counts", "Standing", whole)
    history.reads("it says what still counts of the removed", "Standing", [*cut, "third adds fourth"])
    twice = [*base, "second removes third", "second removes third again", "first removes second"]
    history.reads("of several removals each must keep it", "Standing", [*twice, "third adds fourth"])
    settled = [*base, "third removes itself", "third adds fourth"]
    history.reads("a terminal that removes itself and keeps nothing", "Standing", settled)
    anna.rename("third renames", third, "Anne", base)
    anna.remove("third removes itself later", third, third, b"", [*base, "third renames"])
    several = [*settled, "third renames", "third removes itself later"]
    history.reads("of removals that change nothing one is kept", "Standing", several)
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


def _later(seed: Seed) -> Group:
    """Operations of a later version among those that are known."""
    anna = Person(seed, "later", "Anna")
    second, third = anna.terminal("second"), anna.terminal("third")
    history, flag = History(anna), "LaterOperation"
    anna.later("later", anna.first, fields=["more", b"fields"])
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.later("second's", second, base)
    anna.add("second adds third", second, third, [*base, "second's"])
    anna.rename("second renames", second, "Anne", base)
    upon = [*base, "second's"]
    anna.later("second's next", second, upon)
    anna.remove("remove, keeps", anna.first, second, anna.id_of("second's next"), [*upon, "second's next"])
    anna.remove("remove, keeps less", anna.first, second, b"", [*upon, "second's next"])
    anna.later("first's too", anna.first, base)
    anna.recover("recover", [(second, anna.id_of("second's"))], upon=upon)
    history.reads("it changes nothing, and takes a sequence", flag, ["genesis", "rename", "later"])
    history.reads("it is a parent", flag, base)
    history.reads("the last one of a log is its head", flag, upon)
    history.reads("what follows it counts", flag, [*upon, "second adds third"])
    history.reads("one and a known one of a sequence are a fork", flag, [*upon, "second renames"])
    history.reads("a removal can name it", flag, [*upon, "second's next", "remove, keeps"])
    history.reads("a removal can leave it out", flag, [*upon, "second's next", "remove, keeps less"])
    history.reads("of two at once both are heads", flag, [*upon, "first's too"])
    history.reads("a recovery follows it", flag, [*upon, "recover"])
    history.reads("without what it follows it is pending", flag, ["genesis", "rename", "second's"])
    history.takes("operations of a later version are stored", base, ["second's", "second's next"])
    removed = [*upon, "second's next", "remove, keeps less"]
    history.takes("those of a removed terminal are not", removed[:-2], [*removed[-2:]])
    heads = [anna.id_of("add second").hex()]
    history.computes("they are passed on", flag, "missing", operations=upon, heads=heads)
    return history.done()


MEANINGS: Final[tuple[Callable[[Seed], Group], ...]] = (
    _terminals,
    _cuts,
    _standing,
    _forks,
    _recoveries,
    _rivals,
    _claims,
    _later,
)
