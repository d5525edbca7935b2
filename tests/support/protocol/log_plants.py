"""Changes of the rules of a person log (SPEC §7.2, §7.3, §7.6) that a vector must catch.

Each has a name, a file, what occurs in it once, and what takes its place.
"""

from __future__ import annotations

from typing import Final

REDUCTION: Final = "identity/reduction.py"
EXCHANGE: Final = "identity/exchange.py"
LOG: Final = "identity/log.py"
DRAWING: Final = "identity/drawing.py"

LOG_PLANTS: Final[tuple[tuple[str, str, str, str], ...]] = (
    # Which operations are valid.
    ("removal by a junior", REDUCTION, "rank is not None and own < rank", "rank is not None"),
    (
        "removal of nobody who counts",
        REDUCTION,
        "rank is not None and own < rank",
        "rank is None or own < rank",
    ),
    ("what follows an invalid one", REDUCTION, "if past & ~self.valid:", "if False:"),
    ("two chains of recoveries in one past", REDUCTION, "if known != self._chains[newest]:", "if False:"),
    (
        "a recovery upon another than the newest",
        REDUCTION,
        "if graph.position[logged.operation.previous] != newest:",
        "if False:",
    ),
    (
        "an author who was removed",
        REDUCTION,
        "own is None or self.is_denied(logged.author, past)",
        "own is None",
    ),
    ("the number of a recovery", REDUCTION, "1 + self._numbers.get(newest, 0)", "1"),
    (
        "a grant that is the only parent",
        REDUCTION,
        "self._counting_before(last) | 1 << last",
        "self._counting_before(last)",
    ),
    (
        "a removal that is the only parent",
        REDUCTION,
        "if len(parents) == 1 and self._grants >> last & 1:",
        "if len(parents) == 1:",
    ),
    # What counts.
    ("a removal fells nothing", REDUCTION, "own &= denial.kept", "own &= -1"),
    ("a removal keeps nothing", REDUCTION, "own &= denial.kept", "own &= 0"),
    (
        "the last of the removals decides",
        REDUCTION,
        "own &= denial.kept",
        "own = graph.by_author[terminal] & self._grants & context & denial.kept",
    ),
    ("removals beyond the context", REDUCTION, "if denying >> denial.index & 1:", "if True:"),
    (
        "grants that do not follow what brings in their author",
        REDUCTION,
        "if graph.introducing[terminal].bit_count() > 1:",
        "if False:",
    ),
    (
        "grants of who is brought in by none that counts",
        REDUCTION,
        "if not counting >> index & 1:",
        "if False:",
    ),
    (
        "an id that is kept without its past",
        REDUCTION,
        "found |= self.graph.upto(one)",
        "found |= 1 << self.graph.position[one]",
    ),
    # Seniority.
    ("rank without recoveries", REDUCTION, "(-self._numbers.get(one, 0), self", "(0, self"),
    (
        "rank by the older recovery",
        REDUCTION,
        "(-self._numbers.get(one, 0), self",
        "(self._numbers.get(one, 0), self",
    ),
    ("rank without depth", REDUCTION, "self.graph.depth[one], terminal), one)", "0, terminal), one)"),
    # Recoveries.
    ("one seen before one confirmed", REDUCTION, "children = confirmed or [one", "children = [one"),
    ("no child is seen", REDUCTION, "if self.graph.order[one].id in pins.seen]", "if False]"),
    (
        "contested in spite of a confirmed one",
        REDUCTION,
        "(() if confirmed else tuple(children))",
        "tuple(children)",
    ),
    ("rivals on the path", REDUCTION, "self.rivals &= ~self.on_path", "pass"),
    ("a view with rivals", REDUCTION, "if not (past | 1 << index) & off)", ")"),
    (
        "a view with what follows rivals",
        REDUCTION,
        "if not (past | 1 << index) & off)",
        "if not 1 << index & off)",
    ),
    ("recoveries out of view", REDUCTION, "off = self.valid & graph.recoveries", "off = graph.recoveries"),
    # What is kept and named.
    ("no rivals are kept", REDUCTION, "if shown[operation.previous] <= limits", "if 0 > limits"),
    ("operations of a live terminal", REDUCTION, "if not self.is_gone(author):", "if False:"),
    ("operations of a terminal that is gone", REDUCTION, "if not self.is_gone(author):", "if True:"),
    ("every removal is kept", REDUCTION, "if narrower != covered:", "if True:"),
    (
        "removals that keep as little",
        REDUCTION,
        "narrower = covered & denial.kept & own",
        "narrower = denial.kept & own",
    ),
    ("what kept ones follow", REDUCTION, "return self.graph.closure(kept)", "return kept"),
    (
        "heads out of view",
        REDUCTION,
        "tips = graph.tips(self.kept & self.view)",
        "tips = graph.tips(self.kept)",
    ),
    ("heads without what is needed", REDUCTION, "-(upto & then).bit_count(), -one", "0, -one"),
    ("heads without the path", REDUCTION, "then = self.on_path", "then = 0"),
    ("the earlier heads", REDUCTION, "-(upto & then).bit_count(), -one", "-(upto & then).bit_count(), one"),
    ("gone for lack of what brings in", REDUCTION, "or not introducing", ""),
    # Results.
    ("the first name", REDUCTION, "for one in reversed(renames)", "for one in renames"),
    (
        "a removal without an author counts",
        REDUCTION,
        "self.counting | self.context & self.kept & ~self._grants",
        "self.counting",
    ),
    ("copies of who is gone", REDUCTION, "() if self.is_gone(terminal) else bits", "bits"),
    (
        "copies that know each other",
        REDUCTION,
        "if apart := earlier & ~graph.past[index]:",
        "if apart := earlier:",
    ),
    (
        "the last copy",
        REDUCTION,
        "first = (apart & -apart).bit_length() - 1",
        "first = apart.bit_length() - 1",
    ),
    # Keys.
    ("fallen keys count", REDUCTION, "return Standing.FALLEN", "return Standing.COUNTS"),
    (
        "keys that a concurrent removal ends",
        REDUCTION,
        "if self._live_in(self.context, upto) != live:",
        "if False:",
    ),
    (
        "any removal ends freshness",
        REDUCTION,
        "self._live_in(self.context, upto) != live",
        "self._live_in(upto) - live",
    ),
    (
        "keys that a concurrent Add lacks",
        REDUCTION,
        "return Standing.FRESH if whole",
        "return Standing.FRESH if True",
    ),
    (
        "keys by depth alone",
        REDUCTION,
        "key=lambda index: (standings[index], index)",
        "key=lambda index: index",
    ),
    (
        "keys by standing alone",
        REDUCTION,
        "key=lambda index: (standings[index], index)",
        "key=lambda index: (standings[index], -index)",
    ),
    (
        "keys that are not kept",
        REDUCTION,
        "for index in bits(self.context & self.kept)\n            if isinstance",
        "for index in bits(self.context)\n            if isinstance",
    ),
    (
        "keys for those removed",
        REDUCTION,
        "return sorted(self._live_in(self._upto_all(operations)))",
        "return sorted(self.graph.introducing)",
    ),
    (
        "keys in the order of seniority",
        REDUCTION,
        "return sorted(self._live_in(self._upto_all(operations)))",
        "return sorted(self._live_in(self._upto_all(operations)), reverse=True)",
    ),
    ("a secret that does not fit", DRAWING, "and equal(commitment(drawn), renew.drawn)", ""),
    (
        "sealed without once",
        DRAWING,
        "x25519(secret, public) + once + static",
        "x25519(secret, public) + static",
    ),
    (
        "sealed without the receiver",
        DRAWING,
        "x25519(secret, public) + once + static",
        "x25519(secret, public) + once",
    ),
    (
        "sealed without the self key",
        DRAWING,
        "personal=labels.SEAL, key=first_self_key",
        "personal=labels.SEAL",
    ),
    # One operation and its ancestors.
    (
        "the sizes of kinds",
        LOG,
        "_SIZES.get(type(operation), limits.OPERATION_BYTES_MAX):\n        raise LimitExceeded",
        "limits.RECOVER_BYTES_MAX:\n        raise LimitExceeded",
    ),
    ("kept ids out of order", LOG, "        check_ascending(removal.keep)", "        pass"),
    # What is exchanged.
    (
        "what is kept beyond the view",
        EXCHANGE,
        "reduction.kept | graph.all & ~reduction.view)",
        "reduction.kept)",
    ),
    ("the senior's class", EXCHANGE, '"senior" if logged.author == senior', '"senior" if False'),
    ("the class of who is gone", EXCHANGE, '"gone" if reduction.is_gone(logged.author)', '"gone" if False'),
    (
        "what the recovery knows is counted",
        EXCHANGE,
        "known = graph.past[reduction.path[-1]] if reduction.path else 0",
        "known = 0",
    ),
    ("classes without a new one", EXCHANGE, "for author in growing)", "for author in counts)"),
    ("removals without their room", EXCHANGE, "if bounded & ~graph.closure(removals):", "if bounded:"),
    ("the room of removals for all", EXCHANGE, "if bounded & ~graph.closure(removals):", "if False:"),
    ("recoveries within the bounds", EXCHANGE, "return bool(bounded) and size", "return size"),
    (
        "removals that came with what is too much",
        EXCHANGE,
        "((Remove, Recover), (Recover,))",
        "((Recover,),)",
    ),
    ("recoveries alone", EXCHANGE, "((Remove, Recover), (Recover,))", "((Remove, Recover),)"),
    ("other signatures of what is held", EXCHANGE, "if log.parse_operation(signed).id not in ids]", "]"),
)
