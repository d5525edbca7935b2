"""Sessions in which gaps are allowed: skipped keys, their bounds, and what is refused (SPEC §9.6).

Rules: a link never skips; the core can, for vectors of others and for these. Envelopes that are lost are made
and not written down.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocol.limits import SKIP_PER_CHAIN_MAX, SKIPPED_AGE_MAX, SKIPPED_STORED_MAX
from protocol.vectors.frame import SUCCESS, Json
from tests.vectors.files import Group, Seed
from tests.vectors.sessions_made import HEADER, Refused, Script, flip, session_inputs, with_counters


def skipping_group(seed: Seed, name: str) -> Group:
    """What is skipped, kept and erased."""
    group = Group("9.6", session_inputs(seed, name, allow_skip=True, keys=8))
    group.add("shuffled, in both directions", ["SkippedKeys"], SUCCESS, _shuffled(group.inputs))
    group.add("1,000 skipped at once", ["SkippedKeys"], SUCCESS, _thousand(group.inputs))
    script, _, second = _full(group.inputs)
    script.decrypt("bob", second)
    comment = "2,000 are kept, and one more took the place of the oldest: the second oldest opens"
    group.add(comment, ["SkippedKeys"], SUCCESS, script.steps)
    aged, waiting = _aged(group.inputs, SKIPPED_AGE_MAX - 1)
    aged.decrypt("bob", waiting)
    comment = "a skipped key after 1,999 envelopes that opened"
    group.add(comment, ["SkippedKeys"], SUCCESS, aged.steps)
    for rule, expect, comment, flag, steps in (*_erased(group.inputs), *_skipped_wrongly(group.inputs)):
        group.add(comment, [flag], expect, steps, rule=rule)
    return group


def _shuffled(inputs: Json) -> list[Json]:
    script = Script(inputs)
    one = [script.encrypt("alice", b"alice %d" % n) for n in range(4)]
    script.decrypt("bob", one[2])
    two = [script.encrypt("bob", b"bob %d" % n) for n in range(3)]
    script.decrypt("alice", two[2])
    three = [script.encrypt("alice", b"alice again %d" % n) for n in range(3)]
    for envelope in (three[1], one[3], three[2], one[0], three[0], one[1]):
        script.decrypt("bob", envelope)
    for envelope in (two[0], two[1]):
        script.decrypt("alice", envelope)
    script.says("bob", b"all is there")
    return script.steps


def _thousand(inputs: Json) -> list[Json]:
    script = Script(inputs)
    first = script.encrypt("alice", b"first")
    script.lose("alice", SKIP_PER_CHAIN_MAX - 1)
    script.says("alice", b"last")
    script.decrypt("bob", first)
    return script.steps


def _full(inputs: Json) -> tuple[Script, bytes, bytes]:
    """One skipped key more than may be kept: the script, the oldest skipped envelope, the second oldest."""
    script = Script(inputs)
    oldest, second = script.encrypt("alice", b"oldest"), script.encrypt("alice", b"second oldest")
    script.lose("alice", SKIP_PER_CHAIN_MAX - 2)
    script.says("alice", b"after 1,000")
    script.says("bob", b"answer")
    script.lose("alice", SKIPPED_STORED_MAX - SKIP_PER_CHAIN_MAX)
    script.says("alice", b"after 2,000")
    script.lose("alice", 1)
    script.says("alice", b"after 2,001")
    return script, oldest, second


def _aged(inputs: Json, opened: int) -> tuple[Script, bytes]:
    """A skipped envelope, and how many opened since: the script, the envelope."""
    script = Script(inputs)
    waiting = script.encrypt("alice", b"waiting")
    script.says("alice", b"the one it was skipped for")
    script.pass_on("alice", opened - 1)
    return script, waiting


def _erased(inputs: Json) -> Iterator[Refused]:
    flag = "Erased"
    script = Script(inputs)
    first = script.encrypt("alice", b"0")
    script.says("alice", b"1")
    script.decrypt("bob", first)
    steps = script.refused("bob", first)
    yield "V-EN-05", "unexpected", "a skipped key serves once", flag, steps
    script.says("bob", b"answer")
    script.says("alice", b"2")
    steps = script.refused("bob", first)
    yield (
        "V-EN-10",
        "authentication",
        "a used one of an earlier chain: its ratchet key counts as new",
        flag,
        steps,
    )
    script, oldest, second = _full(inputs)
    steps = script.refused("bob", oldest, second, b"second oldest")
    yield "V-EN-10", "authentication", "the oldest had to make room", flag, steps
    aged, waiting = _aged(inputs, SKIPPED_AGE_MAX)
    yield (
        "V-EN-05",
        "unexpected",
        "a skipped key after 2,000 envelopes that opened",
        flag,
        aged.refused("bob", waiting),
    )


def _skipped_wrongly(inputs: Json) -> Iterator[Refused]:
    script = Script(inputs)
    first = script.encrypt("alice", b"0")
    script.says("alice", b"1")
    steps = script.refused("bob", flip(first, HEADER), first, b"0")
    yield "V-EN-10", "authentication", "one bit of a skipped envelope, whose key stays", "Tampered", steps
    steps = script.refused("bob", with_counters(first, 1, 0), first, b"0")
    yield "V-EN-10", "authentication", "another PN in a skipped envelope", "Tampered", steps
    script.says("bob", b"answer")
    new = script.encrypt("alice", b"new chain")
    missing = SKIP_PER_CHAIN_MAX + 1
    for comment, pn, n in (
        ("1,001 missing at the end of the old chain", 2 + missing, 0),
        ("1,001 missing in a new chain", 2, missing),
    ):
        steps = script.refused("bob", with_counters(new, pn, n), new, b"new chain")
        yield "V-EN-07", "limit", comment, "Gap", steps
    steps = script.refused("bob", with_counters(new, 1, 0), new, b"new chain")
    yield "V-EN-10", "authentication", "fewer envelopes in the old chain than have come", "Tampered", steps
    script.decrypt("bob", new)
    far = script.encrypt("alice", b"far")
    steps = script.refused("bob", with_counters(far, 2, 1 + missing), far, b"far")
    yield "V-EN-07", "limit", "1,001 missing in the present chain", "Gap", steps
    real = Script(inputs)
    real.lose("alice", missing)
    steps = real.refused("bob", real.encrypt("alice", b"truly too far"))
    yield "V-EN-07", "limit", "1,001 truly lost", "Gap", steps
