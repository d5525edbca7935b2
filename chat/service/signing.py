"""Signs removals and recoveries upon a log that is held, and says what they would do (SPEC §7.2).

Nothing is stored here: a plan that its person refuses leaves no trace.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from chat.errors import phrase
from chat.interface import NotPermitted, UsageError, WordsReplaced
from chat.service.drawing import renew_upon
from chat.storage.keys import OwnRow
from protocol.identity.author import (
    NewTerminal,
    recover_operation,
    recovery_key,
    remove_operation,
    rename_operation,
    sign_recovery,
)
from protocol.identity.exchange import before_recovery, default_keep, left_behind
from protocol.identity.log import (
    Add,
    Recover,
    Rename,
    TerminalKeys,
    load,
    parse_operation,
    sign_operation,
)
from protocol.identity.reduction import Pins, Reduction, Terminal, reduce
from protocol.identity.safety import open_questions
from protocol.limits import RECOVER_REMOVED_MAX
from protocol.messages import SharedDrawn
from protocol.primitives import Random
from protocol.redacting import Redacted, Redacting

NOT_LIVE = phrase(
    "This device was removed from your identity: it can sign nothing. Use another device of yours. If you"
    " have none, recover with 'parlour recovery use'."
)
OTHER_WORDS = phrase("These are not the recovery words of this identity.")
REPLACED = phrase(
    "These words were replaced by a recovery that you confirmed here: use its words. If that recovery was not"
    " yours, recover with 'parlour recovery use --not-mine'."
)
SENIOR = phrase(
    "This device is newer than the one to remove. Remove it with an older device, or recover with 'parlour "
    "recovery use'."
)
ONLY_DEVICE = phrase(
    "This is your only device: only your recovery words would bring your identity back. Add another one"
    " first."
)
NO_DEVICE = phrase("No such device: 'parlour terminal list' shows them.")
TOO_MANY_DEVICES = phrase("One recovery removes at most 8 devices.")


class Held(Struct, frozen=True):
    """The own log: all its operations, and what is pinned and confirmed of it."""

    operations: Sequence[bytes]
    pins: Pins


class Signed(Redacting, frozen=True):
    """A removal or a recovery, after it the name if it is signed again, and a Renew. Nothing is stored yet.

    `keyed` is this terminal with the keys that a recovery brings, None where it keeps its own. `drawn`: what
    the Renew draws that comes last.
    """

    operations: tuple[bytes, ...]
    keyed: Redacted[OwnRow | None] = None
    drawn: Redacted[tuple[SharedDrawn, ...]] = ()


class Words(Redacting, frozen=True):
    """How a recovery is signed: by the seed of the words, naming the key of the `following` seed (32 bytes).

    `not_mine`: a recovery that replaced the words was confirmed by mistake; this one becomes its rival.
    """

    seed: Redacted[bytes]
    following: Redacted[bytes]
    not_mine: bool = False


def plan_removal(held: Held, own: OwnRow, removed: bytes, random: Random) -> Signed:
    """The removal of a terminal (id) by this one. Raises UsageError, NotPermitted."""
    reduction = Reduction(load(held.operations), held.pins)
    state = reduction.state()
    if own.terminal not in state.live:
        raise NotPermitted(NOT_LIVE)
    target = state.live.get(removed)
    if target is None and removed in left_behind(state, own.terminal, held.pins.confirmed):
        target = state.gone[removed]  # it has removed itself, and kept what it added
    if target is None:
        raise UsageError(NO_DEVICE)
    if target.id != own.terminal and target.rank < state.live[own.terminal].rank:
        raise NotPermitted(SENIOR)
    if target.id == own.terminal and len(state.live) == 1:
        raise NotPermitted(ONLY_DEVICE)
    keep = default_keep(reduction, removed, own.terminal, held.pins.confirmed)
    signed = sign_operation(remove_operation(reduction, own.terminal, removed, keep), own.signing_seed)
    made = (signed, *named_again([*held.operations, signed], held.pins, own, state.name))
    if removed == own.terminal:  # it would know what it draws
        return Signed(made)
    renew, drawn = renew_upon([*held.operations, *made], held.pins, own, random)
    return Signed((*made, renew), drawn=(drawn,))


def plan_recovery(
    held: Held, own: OwnRow, words: Words, removed: Sequence[bytes], new: NewTerminal, random: Random
) -> Signed:
    """The next recovery, which removes terminals (ids). Raises UsageError.

    Where this terminal is not live, is among those removed, or has keys that were copied, the recovery brings
    in the `new` one: what was removed never comes back, and a copied key is somebody else's, too.
    """
    state, pins = reduce(held.operations, held.pins), held.pins
    left = left_behind(state, own.terminal, pins.confirmed)
    if not {own.terminal, *state.live, *left}.issuperset(removed):
        raise UsageError(NO_DEVICE)
    copied = own.terminal in {*state.copied, *removed} or _made_by_a_copy(
        held.operations, open_questions(state, pins.confirmed), own.terminal
    )
    base = before_others(held, words, [*removed, *([own.terminal] if copied else [])])
    before = base.state()
    keyed = None
    gone = {one for one in removed if one in before and one != own.terminal}
    if copied or own.terminal not in before.live:
        keyed = replace(own, terminal=new.id, signing_seed=new.signing_seed, static_secret=new.static_secret)
        if own.terminal not in before.removed and own.terminal in before:
            gone.add(own.terminal)
    if len(gone) > RECOVER_REMOVED_MAX:
        raise UsageError(TOO_MANY_DEVICES)
    # Of what a copy of this terminal's keys added, that stays to which its person said yes here.
    signer = {own.terminal: b""}
    kept = {one: default_keep(base, one, signer.get(one, own.terminal), pins.confirmed) for one in gone}
    signed = signed_recovery(base, words, kept, new if keyed is not None else None)
    made = (signed, *named_again([*held.operations, signed], pins, keyed or own, state.name))
    upon = [*held.operations, *made]
    renew, drawn = renew_upon(
        upon, confirming(upon, pins, [parse_operation(signed).id]), keyed or own, random
    )
    return Signed((*made, renew), keyed, (drawn,))


def signed_recovery(
    base: Reduction, words: Words, removed: dict[bytes, tuple[bytes, ...]], new: NewTerminal | None
) -> bytes:
    """The signed Recover upon a log. `removed` has, by terminal, what is kept of its grants."""
    brings = TerminalKeys(new.signing, new.static) if new is not None else None
    made = recover_operation(base, words.seed, words.following, removed, brings)
    return sign_recovery(made, words.seed, *([new.signing_seed] if new is not None else []))


def before_others(held: Held, words: Words, removed: Iterable[bytes] = ()) -> Reduction:
    """The log that the next recovery by these words, which removes these terminals (ids), names heads of.

    A thief of the seed can name a next recovery key of its own: the owner's recovery then is the rival of the
    thief's. It never is the rival of one that was confirmed, unless that was a mistake (`not_mine`): the
    words that it replaced open nothing.

    Raises WordsReplaced; UsageError for another person's seed.
    """
    key, operations, replaced = recovery_key(words.seed), list(held.operations), False
    while (state := reduce(operations, held.pins)).recovery != key:
        if not state.path:
            raise UsageError(OTHER_WORDS)
        replaced |= state.newest in held.pins.confirmed
        graph = load(operations)
        place = graph.position[state.newest]
        without = enumerate(graph.order)
        operations = [one.signed for at, one in without if at != place and not graph.past[at] >> place & 1]
    if replaced and not words.not_mine:
        raise WordsReplaced(REPLACED)
    return before_recovery(operations, held.pins, removed)


def confirming(operations: Iterable[bytes], pins: Pins, confirmed: Collection[bytes]) -> Pins:
    """The pins once some operations (ids) are confirmed.

    Of the recoveries that follow the same operation as one of them no other one stays so: else an id, which
    can be ground, would decide between two.
    """
    parsed = map(parse_operation, operations if confirmed else ())
    previous = {one.id: one.operation.previous for one in parsed if isinstance(one.operation, Recover)}
    followed = {previous[one] for one in confirmed if one in previous}
    rivals = {one for one in previous if previous[one] in followed}
    return Pins(pins.seen, pins.confirmed - rivals | frozenset(confirmed))


def _made_by_a_copy(operations: Iterable[bytes], asked: Container[bytes], terminal: bytes) -> bool:
    """Whether one of those asked about, which the terminal did not make, shows that others have its keys.

    An Add does that it signed, and a Recover that brings no terminal: only a live one makes that.
    """
    for logged in map(parse_operation, operations):
        if logged.id in asked:
            match logged.operation:
                case Add(author=author) if author == terminal:
                    return True
                case Recover(signing=b""):
                    return True
    return False


def named_again(operations: Sequence[bytes], pins: Pins, own: OwnRow, name: str) -> list[bytes]:
    """The name, signed again by this terminal, if the last of these operations took it away.

    It is a recovery or a removal that this terminal has just made. `name`: the one before; empty where none
    counted, since a thief had removed all who gave one: then the last that the log has.
    """
    graph = load(operations)
    state = Reduction(graph, confirming(operations, pins, [parse_operation(operations[-1]).id])).state()
    renames = (one.operation for one in reversed(graph.order))
    name = name or next((one.name for one in renames if isinstance(one, Rename)), "")
    if name in ("", state.name) or own.terminal not in state.live:
        return []
    return [sign_operation(rename_operation(state, own.terminal, name), own.signing_seed)]


class Foreseen(Struct, frozen=True):
    """What a removal or a recovery would do. `name`: signed again, empty where it stays.

    `live`: the ids of the devices that are in use after it. `renewed`: this one, if it gets new keys.

    `stays` and `falls` are the live devices that those which are removed have added, directly or through
    others, and those that a recovery brought in which does not count any more.
    """

    stays: tuple[Terminal, ...]
    falls: tuple[Terminal, ...]
    name: str
    live: tuple[bytes, ...]
    renewed: bytes


def foresee(held: Held, signed: Signed, removed: Iterable[bytes], own: OwnRow) -> Foreseen:
    """What would be if this were stored. `removed`: whom this person chose."""
    made = [parse_operation(one) for one in signed.operations]
    operations = [*held.operations, *signed.operations]
    before = reduce(held.operations, held.pins)
    after = reduce(operations, confirming(operations, held.pins, [made[0].id]))
    gone = {*removed, *([own.terminal] if signed.keyed is not None else [])}
    known = {one.id: one for one in before.terminals()}
    stays = [one for one in before.live.values() if one.id in after.live and _is_below(one, gone, known)]
    falls = [one for one in before.live.values() if one.id not in {*after.live, *gone}]
    name = next((one.operation.name for one in made if isinstance(one.operation, Rename)), "")
    renewed = own.terminal if signed.keyed is not None else b""
    return Foreseen(tuple(stays), tuple(falls), name, tuple(after.live), renewed)


def _is_below(terminal: Terminal, above: Container[bytes], known: dict[bytes, Terminal]) -> bool:
    """Whether one of these terminals (ids) has added another one, directly or through others."""
    adder = known.get(terminal.adder)
    while adder is not None:
        if adder.id in above:
            return True
        adder = known.get(adder.adder)
    return False
