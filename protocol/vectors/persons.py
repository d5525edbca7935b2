"""Runs the vectors of person logs: single operations, reduction and exchange (SPEC §7.1 to §7.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from protocol.codec import Codec, encode
from protocol.identity.author import read_recovery_words, recovery_key, recovery_words, sign_recovery
from protocol.identity.drawing import open_renew
from protocol.identity.exchange import extend, missing, owner_named
from protocol.identity.log import Operation, Recover, load, parse_operation, sign_operation, terminal_id
from protocol.identity.reduction import Pins, Reduction, Terminal
from protocol.labels import SIGN_OPERATION
from protocol.limits import RECOVER_BYTES_MAX
from protocol.messages import MESSAGE, LogHeads, LogOperations
from protocol.primitives import ed25519_from_seed, mldsa_verify, x25519_public
from protocol.vectors.frame import Action, Json, VectorMismatch, run_steps

AREA: Final = "persons"
_OPERATION: Final[Codec[Operation]] = Codec(Operation, RECOVER_BYTES_MAX)


def _hex(values: Iterable[bytes]) -> list[str]:
    return [value.hex() for value in values]


def _operations(inputs: Json, names: list[str]) -> list[bytes]:
    return [bytes.fromhex(inputs["operations"][name]) for name in names]


# --- One operation ---


def _terminal(_: Json, step: Json) -> Json:
    signing = ed25519_from_seed(bytes.fromhex(step["signing_seed"]))
    static = x25519_public(bytes.fromhex(step["static_secret"]))
    return {"signing": signing.hex(), "static": static.hex(), "terminal": terminal_id(signing, static).hex()}


def _recovery_key(_: Json, step: Json) -> Json:
    key = recovery_key(bytes.fromhex(step["seed"]))
    return {"ed25519": key.ed25519.hex(), "mldsa": key.mldsa.hex()}


def _recovery_words(_: Json, step: Json) -> Json:
    return {"words": list(recovery_words(bytes.fromhex(step["seed"])))}


def _read_recovery_words(_: Json, step: Json) -> Json:
    return {"seed": read_recovery_words(step["text"].split()).hex()}


def _sign(_: Json, step: Json) -> Json:
    operation = _OPERATION.decode(bytes.fromhex(step["operation"]))
    signed = sign_operation(operation, *(bytes.fromhex(seed) for seed in step["signing_seeds"]))
    return {"signed": signed.hex()}


def _sign_recover(_: Json, step: Json) -> Json:
    operation = _OPERATION.decode(bytes.fromhex(step["operation"]))
    if not isinstance(operation, Recover):
        raise VectorMismatch("another operation than a Recover")
    seeds = (bytes.fromhex(seed) for seed in (step["recovery_seed"], *step["terminal_seeds"]))
    logged = parse_operation(sign_recovery(operation, *seeds))
    first, drawn, *others = logged.signatures  # each ML-DSA-65 signature is another one
    mldsa_verify(operation.mldsa, SIGN_OPERATION + logged.id, drawn)
    return {"ed25519_signatures": _hex([first, *others])}


def _parse(_: Json, step: Json) -> Json:
    logged = parse_operation(bytes.fromhex(step["signed"]))
    introduces = logged.introduces
    return {
        "id": logged.id.hex(),
        "person": logged.person.hex(),
        "author": logged.author.hex(),
        "parents": _hex(logged.parents),
        "brings_in": introduces.id.hex() if introduces else "",
        "removes": [
            {"terminal": removal.terminal.hex(), "keep": _hex(removal.keep)} for removal in logged.removals
        ],
    }


# --- A log ---


def _standing(terminal: Terminal) -> Json:
    return {"terminal": terminal.id.hex(), "operation": terminal.operation.hex()}


def _pins(step: Json) -> Pins:
    return Pins(*(frozenset(map(bytes.fromhex, step.get(name, ()))) for name in ("seen", "confirmed")))


def _reduce(inputs: Json, step: Json) -> Json:
    return meaning(Reduction(load(_operations(inputs, step["operations"])), _pins(step)))


def meaning(reduction: Reduction) -> Json:
    """What the vectors say of a reduced log (SPEC §7.3)."""
    state = reduction.state()
    return {
        "person": state.person.hex(),
        "name": state.name,
        "recovery": {"ed25519": state.recovery.ed25519.hex(), "mldsa": state.recovery.mldsa.hex()},
        "path": _hex(state.path),
        "rivals": _hex(sorted(state.rivals)),
        "contested": state.contested,
        "live": [_standing(terminal) for terminal in state.live.values()],
        "gone": [_standing(terminal) for terminal in state.gone.values()],
        "removed": _hex(sorted(state.removed)),
        "copied": [
            {"terminal": terminal.hex(), "operations": _hex(pair)}
            for terminal, pair in sorted(state.copied.items())
        ],
        "drawn": [
            {"operation": operation.hex(), "standing": standing.name.lower()}
            for operation, standing in state.drawn.items()
        ],
        "counting": _hex(sorted(state.counting)),
        "kept": _hex(reduction.graph.ids(reduction.kept)),
        "heads": _hex(state.heads),
        "pending": _hex(sorted(state.pending)),
    }


def _open_renew(inputs: Json, step: Json) -> Json:
    secret = bytes.fromhex(step["static_secret"])
    reduction = Reduction(load(_operations(inputs, step["operations"])))
    named = parse_operation(bytes.fromhex(inputs["operations"][step["renew"]])).id
    static = x25519_public(secret)
    own = next(one for one in reduction.terminals().values() if one.static == static)
    drawn = open_renew(reduction, named, own, bytes.fromhex(step["first_self_key"]), secret)
    return {"drawn": drawn.hex() if drawn is not None else ""}


def _extend(inputs: Json, step: Json) -> Json:
    held, received = (_operations(inputs, step[name]) for name in ("held", "received"))
    extension = extend(held, received, _pins(step))
    names = {signed: name for name, signed in inputs["operations"].items()}
    return {
        "new": [names[signed.hex()] for signed in extension.new],
        "dropped": _hex(extension.dropped),
        "heads": _hex(extension.state.heads),
    }


def _missing(inputs: Json, step: Json) -> Json:
    heads = [bytes.fromhex(head) for head in step["heads"]]
    names = {signed: name for name, signed in inputs["operations"].items()}
    found = missing(_operations(inputs, step["operations"]), heads)
    return {"operations": [names[signed.hex()] for signed in found]}


def _receive_log_heads(inputs: Json, step: Json) -> Json:
    message = MESSAGE.decode(bytes.fromhex(step["message"]))
    if not isinstance(message, LogHeads):
        raise VectorMismatch("another message than LogHeads")
    logs = {}
    for name in ("own", "contact"):
        log = _operations(inputs, step[name])
        logs[load(log).order[0].id] = log
    own, contact = logs
    found = missing(logs[owner_named(message.person, own, contact)], message.heads)
    return {"answers": [encode(LogOperations(list(found))).hex()] if found else []}


ACTIONS: Final[Mapping[str, Action[Json]]] = {
    "terminal": _terminal,
    "recovery_key": _recovery_key,
    "recovery_words": _recovery_words,
    "read_recovery_words": _read_recovery_words,
    "sign": _sign,
    "sign_recover": _sign_recover,
    "parse": _parse,
    "reduce": _reduce,
    "open_renew": _open_renew,
    "extend": _extend,
    "missing": _missing,
    "receive_log_heads": _receive_log_heads,
}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if it does not hold."""
    run_steps(test, ACTIONS, inputs)
