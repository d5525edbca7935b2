"""Makes the vectors of what a person log comes to: seniority, removals, copies, recoveries, keys (SPEC §7.3).

A group is one history, whose operations its inputs name; each test reads a part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from protocol import labels
from protocol.identity.author import recover_operation, sign_recovery
from protocol.identity.drawing import self_key
from protocol.identity.log import Rename, Renew, parse_operation
from protocol.limits import LOG_RIVALS_MAX
from protocol.primitives import b2b, mldsa_from_seed
from tests.vectors.files import Group, Seed
from tests.vectors.mldsa import recorded
from tests.vectors.persons_log import History, Person, Terminal


def _beside(anna: Person, name: str, by: Terminal, upon: list[str]) -> None:
    """A rename upon these operations, whether they are in view or not."""
    parents = sorted(anna.id_of(one) for one in upon)
    anna.write(name, Rename(anna.id, by.id, parents, "Ann"), by.seed)


def _recover_beside(anna: Person, name: str, previous: bytes, upon: list[str]) -> None:
    """A recovery that follows another one than the last of its past, or two at once."""
    present, parents = anna.recoveries[previous], sorted(anna.id_of(one) for one in upon)
    right = recover_operation(anna.reduction(["genesis", "rename"]), anna.recoveries[anna.id], present, {})
    mldsa = mldsa_from_seed(b2b(b"", personal=labels.RECOVERY_MLDSA, key=present))
    operation = replace(right, previous=previous, mldsa=mldsa, parents=parents)
    anna.log[name] = recorded(sign_recovery(operation, present))


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
    anna.remove("second removes itself", second, second, ["add third"], four)
    anna.remove("first removes second and all it did", anna.first, second, upon=four)
    whole = [*four, "first removes second and all it did"]
    _beside(anna, "first renames upon what is not valid", anna.first, ["third removes second"])
    anna.rename("third renames", third, "Anka", four)
    anna.remove("first removes third, which is gone", anna.first, third, upon=whole)
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
    upon = [*four, "third removes second", "first renames upon what is not valid"]
    history.reads("nothing valid follows what is not valid", "Seniority", upon)
    history.reads("a removal that keeps nothing voids what was added", "Keep", whole)
    history.reads("and what that one signed", "Keep", [*whole, "third renames"])
    gone = [*whole, "first removes third, which is gone"]
    history.reads("the removal of one that is gone already is not valid", "Seniority", gone)
    history.reads(
        "beside it the removed one writes", "Keep", [*whole, "second renames", "second removes first"]
    )
    return history.done()


def _keep(seed: Seed) -> Group:
    """What counts of a removed terminal: what is in upto of an id of `keep`."""
    anna = Person(seed, "keep", "Anna")
    second, third, fourth = (anna.terminal(label) for label in ("second", "third", "fourth"))
    history = History(anna)
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.add("adds third", second, third, base)
    anna.rename("renames", second, "Anne", base)
    both = [*base, "adds third", "renames"]
    anna.add("adds fourth", second, fourth, both)
    anna.rename("renames later", second, "Änne", both)
    anna.renew("renews later", second, both)
    later = [*both, "adds fourth", "renames later", "renews later"]
    anna.rename("backdates", second, "Anja", base)
    anna.remove("keep nothing", anna.first, second, upon=later)
    anna.remove("keep the first add", anna.first, second, ["adds third"], later)
    anna.remove("keep two branches", anna.first, second, ["adds third", "renames"], later)
    anna.remove("keep the last add", anna.first, second, ["adds fourth"], later)
    again = [*later, "keep nothing"]
    anna.remove("keep the last add after all", anna.first, second, ["adds fourth"], again)
    # Three by itself, none of which knows another; ever deeper, so that their order is sure.
    upon, thrice = both, [*both]
    for n, kept in enumerate(("adds third", "renames", "adds third")):
        anna.remove(f"removes itself, {n}", second, second, [kept], upon)
        anna.rename(f"first renames {n}", anna.first, f"Anna {n}", upon)
        thrice += [f"removes itself, {n}", f"first renames {n}"]
        upon = [*upon, f"first renames {n}"]
    anna.remove("fourth is removed by its adder", second, fourth, upon=later)
    anna.remove("removes itself", second, second, ["adds third", "renames"], both)
    anna.rename("writes after removing itself", second, "Ann", [*both, "removes itself"])
    removing = [*both, "removes itself"]
    anna.remove("removes third after removing itself", second, third, upon=removing)
    history.reads("nothing is kept", "Keep", [*later, "keep nothing"])
    history.reads("an Add is kept, what is beside and after it falls", "Keep", [*later, "keep the first add"])
    history.reads("two branches are kept", "Keep", [*later, "keep two branches"])
    history.reads("the past of what is kept is kept", "Keep", [*later, "keep the last add"])
    history.reads("what was backdated falls", "Keep", [*later, "backdates", "keep the last add"])
    two = [*later, "keep the last add", "keep the first add"]
    history.reads("of several removals each must keep it", "Keep", two)
    after_all = [*again, "keep the last add after all"]
    history.reads("a later removal that keeps more brings nothing back", "Keep", after_all)
    history.reads("a removal that keeps no less than all before together is not kept", "Keep", thrice)
    stands = [*later, "fourth is removed by its adder", "keep the last add"]
    history.reads("a removal by whom the target's adder is removed stands", "Standing", stands)
    itself = [*both, "removes itself"]
    history.reads("one that removes itself keeps", "Keep", itself)
    history.reads("nothing valid follows it", "Keep", [*itself, "writes after removing itself"])
    late = [*itself, "removes third after removing itself"]
    history.reads("no removal by it does either", "Keep", late)
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
    anna.remove("third removes fourth", third, fourth, upon=[*base, "third adds fourth"])
    anna.remove("first removes second", anna.first, second, ["second adds third"], base)
    anna.remove("first removes second whole", anna.first, second, upon=base)
    cut = [*base, "first removes second", "second removes third"]
    history.reads("a removal by one that is removed beside it", "Standing", cut)
    whole = [*base, "first removes second whole", "second removes third"]
    history.reads("the same where nothing of its author counts", "Standing", whole)
    history.reads("what the removed one adds falls", "Standing", [*cut, "third adds fourth"])
    chain = [*base, "third adds fourth", "third removes fourth", "first removes second whole"]
    history.reads("a removal by whom the target added", "Standing", chain)
    for n in range(3):
        anna.remove(f"removes itself {n}", third, third, upon=[*base, *(f"more {m}" for m in range(n))])
        anna.rename(f"more {n}", third, "Anne", [*base, *(f"more {m}" for m in range(n))])
    several = [*base, *(f"more {n}" for n in range(2)), *(f"removes itself {n}" for n in range(3))]
    history.reads("of removals that keep no less one is kept", "Standing", several)
    return history.done()


def _copies(seed: Seed) -> Group:
    """Two operations of one author of which neither knows the other change nothing."""
    anna = Person(seed, "copies", "Anna")
    second, third = anna.terminal("second"), anna.terminal("third")
    history = History(anna)
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.rename("one", second, "Anne", base)
    anna.add("other", second, third, base)
    anna.rename("another", second, "Anja", base)
    anna.rename("first's own", anna.first, "Ann", base)
    both = [*base, "one", "other"]
    anna.rename("after both", second, "Anke", both)
    anna.remove("remove", anna.first, second, upon=both)
    anna.rename("one's next", second, "Annelie", [*base, "one"])
    firsts = [*base, "first's own"]
    anna.rename("first's next", anna.first, "Annika", firsts)
    anna.rename("late", second, "Annina", [*firsts, "first's next"])
    history.reads("two of one author are evidence, and both count", "Copy", both)
    history.reads("two terminals at once are none", "Copy", [*base, "one", "first's own"])
    history.reads("of three the first two are shown", "Copy", [*both, "another"])
    beside = [*firsts, "first's next", "one", "one's next", "late"]
    history.reads("of several that one does not know the first is shown", "Copy", beside)
    history.reads("the terminal goes on", "Copy", [*both, "after both"])
    history.reads("a removal ends the evidence", "Copy", [*both, "remove"])
    return history.done()


def _recoveries(seed: Seed) -> Group:
    """The recovery key removes, brings in, and outranks all terminals."""
    anna = Person(seed, "recoveries", "Anna")
    second, third, new = (anna.terminal(label) for label in ("second", "third", "new"))
    history = History(anna)
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.recover("recover", {anna.first: ["add second"]}, new, base)
    recovered = [*base, "recover"]
    anna.rename("first renames", anna.first, "Anne", base)
    anna.remove("first removes second", anna.first, second, upon=base)
    anna.rename("new renames", new, "Änne", recovered)
    anna.remove("new removes second", new, second, upon=recovered)
    anna.remove("second removes new", second, new, upon=recovered)
    anna.add("second adds third", second, third, recovered)
    same = anna.recoveries[anna.id_of("recover")]
    anna.recover("the same key again", upon=recovered, following=same)
    again = [*recovered, "the same key again"]
    anna.recover("recover a third time", {new: [], second: []}, upon=again)
    _recover_beside(anna, "the old words upon it", anna.id, ["recover"])
    history.reads("a recovery removes the first and brings in one", "Recovery", recovered)
    history.reads("what a removed one grants beside it falls", "Recovery", [*recovered, "first renames"])
    removal = [*recovered, "first removes second"]
    history.reads("a removal beside the recovery that removes its author stands", "Standing", removal)
    history.reads("the new terminal goes on", "Recovery", [*recovered, "new renames"])
    history.reads("a recovered one is senior to older ones", "Seniority", [*recovered, "new removes second"])
    history.reads("an older terminal is junior to it", "Seniority", [*recovered, "second removes new"])
    after = [*recovered, "second removes new", "second adds third"]
    history.reads("what is not valid is left out, and the rest counts", "Seniority", after)
    old = [*recovered, "the old words upon it"]
    history.reads("the words that a recovery replaced sign nothing valid upon it", "Recovery", old)
    held = [*old, "new renames"]
    history.takes("what they signed goes", held[:-1], held[-1:])
    history.reads("a second recovery names the same key again", "Recovery", again)
    history.reads("a third one is signed by that key", "Recovery", [*again, "recover a third time"])
    return history.done()


def _rivals(seed: Seed) -> Group:
    """Several recoveries follow one."""
    anna = Person(seed, "rivals", "Anna")
    second, third, new, thief = (anna.terminal(one) for one in ("second", "third", "new", "thief"))
    history = History(anna)
    anna.add("add third", anna.first, third)
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.recover("recover", {anna.first: ["add second"]}, new, base)
    anna.recover("rival", {anna.first: ["add second"], second: []}, thief, base)
    one, both = [*base, "recover"], [*base, "recover", "rival"]
    anna.rename("new renames", new, "Anne", one)
    anna.rename("thief renames", thief, "Mallory", [*base, "rival"])
    anna.remove("second removes itself", second, second, upon=one)
    anna.recover("recover again", upon=[*one, "new renames"])
    _beside(anna, "upon both", second, ["recover", "rival"])
    _beside(anna, "upon chains of different length", second, ["recover again", "rival"])
    anna.rename("third renames upon the rival", third, "Anke", [*base, "rival"])
    _recover_beside(anna, "recover upon both", anna.id_of("recover"), ["recover", "rival"])
    longest = anna.id_of("recover again")
    _recover_beside(anna, "recover upon chains of different length", longest, ["recover again", "rival"])
    anna.rename("third renames", third, "Anni", base)
    _beside(anna, "thief renames upon it", thief, ["rival", "third renames"])
    anna.remove("new removes third", new, third, upon=[*one])
    history.reads("of two that follow one, none is in force", "Rival", both)
    history.reads("the one seen first is in force", "Rival", both, seen=["recover"])
    history.reads("the other one seen first is in force", "Rival", both, seen=["rival"])
    history.reads("a confirmed one is in force and no longer contested", "Rival", both, confirmed=["recover"])
    pins = {"seen": ["recover"], "confirmed": ["rival"]}
    history.reads("a confirmed one goes before one seen first", "Rival", both, **pins)
    history.reads("a pin without a rival changes nothing", "Rival", one, seen=["recover"])
    lines = [*both, "new renames", "thief renames"]
    history.reads("what follows them is out of view while none is in force", "Rival", lines)
    history.reads("what follows the one in force is in view", "Rival", lines, seen=["recover"])
    removal = [*both, "second removes itself"]
    history.reads("a removal upon one out of force does not count", "Rival", removal, seen=["rival"])
    longer = [*one, "new renames", "recover again", "rival"]
    history.reads("a longer chain is no better", "Rival", longer)
    history.reads("a next recovery follows the one in force", "Rival", longer, seen=["recover"])
    history.reads("and not the one that is not", "Rival", longer, seen=["rival"])
    merged = [*both, "upon both"]
    history.reads("nothing valid follows two that follow one", "Rival", merged, seen=["recover"])
    chains = [*longer, "upon chains of different length"]
    history.reads("nor two chains of different length", "Rival", chains, seen=["recover"])
    for name, before in {
        "recover upon both": both,
        "recover upon chains of different length": longer,
    }.items():
        history.reads(f"no path goes on by what does: {name}", "Rival", [*before, name], seen=["recover"])
    aside = [*both, "third renames upon the rival"]
    history.reads("what another terminal signs upon a rival is out of view", "Rival", aside, seen=["recover"])
    history.reads("and in view where that one is in force", "Rival", aside, seen=["rival"])
    stays = [*both, "third renames", "thief renames upon it"]
    pinned = {"seen": [anna.id_of("recover").hex()]}
    history.takes("what is out of view keeps its past", stays, ["new removes third"], **pinned)
    without = [one for one in stays if one != "thief renames upon it"]
    history.takes("without it that goes", without, ["new removes third"], **pinned)
    for n in range(LOG_RIVALS_MAX + 2):
        anna.recover(f"rival {n}", {}, anna.terminal(f"rival {n}"), base)
    flood = [*both, *(f"rival {n}" for n in range(LOG_RIVALS_MAX + 2))]
    history.reads("of many rivals the first eight are kept", "Rival", flood, seen=["recover"])
    for n in range(LOG_RIVALS_MAX + 2):
        anna.recover(f"later rival {n}", {}, anna.terminal(f"later rival {n}"), one)
    later = [*flood, *(f"later rival {n}" for n in range(LOG_RIVALS_MAX + 2))]
    history.reads("and of those that follow a later one as many", "Rival", later, seen=["recover"])
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
    twice = [*base, "first adds third", "second adds third"]
    anna.rename("third renames", third, "Anne", [*base, "second adds third"])
    anna.remove("remove second", anna.first, second, upon=twice)
    claimed = Terminal(anna.terminal("fourth").seed, third.secret)
    anna.add("second adds third's key", second, claimed, base)
    history.reads("one terminal added twice at once", "Reduction", twice)
    gone = [*twice, "third renames", "remove second"]
    history.reads("one of the adds falls, and what is upon it alone", "Reduction", gone)
    key = [*base, "first adds third", "second adds third's key"]
    history.reads("two claims to one key stand beside each other", "Seniority", key)
    return history.done()


def _drawn(seed: Seed) -> Group:
    """How good the keys of the drawing operations are."""
    anna = Person(seed, "drawn", "Anna")
    second, third = anna.terminal("second"), anna.terminal("third")
    history = History(anna)
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.renew("renew", anna.first, base)
    renewed = [*base, "renew"]
    anna.renew("second renews", second, base)
    anna.add("add beside", anna.first, third, base)
    anna.add("add upon", anna.first, third, renewed)
    anna.remove("remove", anna.first, second, upon=renewed)
    anna.remove("remove beside", anna.first, second, upon=base)
    anna.remove("remove the drawer", anna.first, second, upon=[*base, "second renews"])
    removed = [*renewed, "remove"]
    anna.renew("renew upon the removal", anna.first, removed)
    anna.remove("second removes itself", second, second, upon=renewed)
    history.reads("a Renew goes before the genesis", "Drawn", renewed)
    history.reads("of two the deeper, then the greater id", "Drawn", [*renewed, "second renews"])
    history.reads("a terminal added beside it cannot open it", "Drawn", [*renewed, "add beside"])
    history.reads("a terminal added upon it has it", "Drawn", [*renewed, "add upon"])
    history.reads("a removal that the drawer did not know", "Drawn", [*renewed, "remove beside"])
    history.reads("a removal after it", "Drawn", removed)
    history.reads("a Renew upon the removal", "Drawn", [*removed, "renew upon the removal"])
    fallen = [*base, "second renews", "remove the drawer"]
    history.reads("those of a removed drawer come last", "Drawn", fallen)
    beside = [*base, "second renews", "remove beside"]
    history.reads("those that are not kept are not used", "Drawn", beside)
    history.reads(
        "one that removes itself knows the older ones", "Drawn", [*renewed, "second removes itself"]
    )
    return history.done()


def _sealed(seed: Seed) -> Group:
    """To whom a Renew hands its secret."""
    anna = Person(seed, "sealed", "Anna")
    second, third = anna.terminal("second"), anna.terminal("third")
    history = History(anna)
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.renew("renew", anna.first, base)
    anna.add("add third", anna.first, third, [*base, "renew"])
    right = parse_operation(anna.log["renew"]).operation
    assert isinstance(right, Renew)
    wrong: dict[str, dict[str, Any]] = {
        "drawn is of another secret": {"drawn": bytes(32)},
        "one sealed is left out": {"sealed": right.sealed[:1]},
        "one sealed too many": {"sealed": [*right.sealed, right.sealed[0]]},
        "in the other order": {"sealed": right.sealed[::-1]},
        "once is of small order": {"once": bytes(32)},
        "nothing is sealed": {"sealed": []},
    }
    for name, changes in wrong.items():
        anna.write(name, replace(right, **changes), anna.first.seed)
    key = self_key(anna.drawn["genesis"]).hex()

    def opens(comment: str, terminal: Terminal, renew: str = "renew", first: str = key) -> None:
        given = {"renew": renew, "static_secret": terminal.secret.hex(), "first_self_key": first}
        names = [*base, renew, *(["add third"] if renew == "renew" else [])]
        history.computes(comment, "Drawn", "open_renew", operations=names, **given)

    for label, terminal in {"the drawer": anna.first, "another live terminal": second}.items():
        opens(f"{label} opens it", terminal)
        for name in list(anna.log)[len(base) + 2 :]:
            opens(f"{label}, where {name}", terminal, name)
    opens("a terminal added upon it has none", third)
    opens("another self key of the genesis", second, first=bytes(32).hex())
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
    upon = [*base, "second's"]
    anna.add("second adds third", second, third, upon)
    anna.rename("second renames", second, "Anne", base)
    anna.later("second's next", second, upon)
    anna.remove("remove, keeps", anna.first, second, ["second's next"], [*upon, "second's next"])
    anna.remove("remove, keeps nothing", anna.first, second, upon=[*upon, "second's next"])
    anna.later("first's too", anna.first, base)
    anna.recover("recover", {second: ["second's"]}, upon=upon)
    history.reads("it changes nothing", flag, ["genesis", "rename", "later"])
    history.reads("it is a parent", flag, base)
    history.reads("the last one of a log is its head", flag, upon)
    history.reads("what follows it counts", flag, [*upon, "second adds third"])
    history.reads("one and a known one are evidence of a copy", flag, [*upon, "second renames"])
    history.reads("a removal can keep it", flag, [*upon, "second's next", "remove, keeps"])
    history.reads("a removal can leave it out", flag, [*upon, "second's next", "remove, keeps nothing"])
    history.reads("of two at once both are heads", flag, [*upon, "first's too"])
    history.reads("a recovery follows it", flag, [*upon, "recover"])
    history.reads("without what it follows it is pending", flag, ["genesis", "rename", "second's"])
    history.takes("operations of a later version are stored", base, ["second's", "second's next"])
    heads = [anna.id_of("add second").hex()]
    history.computes("they are passed on", flag, "missing", operations=upon, heads=heads)
    return history.done()


MEANINGS: Final[tuple[Callable[[Seed], Group], ...]] = (
    _terminals,
    _keep,
    _standing,
    _copies,
    _recoveries,
    _rivals,
    _claims,
    _drawn,
    _sealed,
    _later,
)
