"""Checks the vectors of the profile header: wrapping and unwrapping (SPEC §21)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocol.profile_header import Cost, DatabaseKey, parse, unwrap, wrap, wrapping_key
from protocol.vectors.frame import Action, Json, read_bytes, run_steps

AREA: Final = "profile"


def _wrap(_: None, step: Json) -> Json:
    key, salt = DatabaseKey(read_bytes(step["database_key"])), read_bytes(step["salt"])
    cost = Cost(step["operations"], step["memory_bytes"])
    header = wrap(key, step["passphrase"], cost, step["port"], lambda _: salt)
    wrapping = wrapping_key(step["passphrase"], salt, cost).hex()
    return {"header": header.to_bytes().hex(), "wrapping_key": wrapping, "check": header.check.hex()}


def _unwrap(_: None, step: Json) -> Json:
    header = parse(read_bytes(step["header"]))
    key = unwrap(header, step["passphrase"])
    return {"database_key": key.reveal().hex(), "port": header.port}


ACTIONS: Final[Mapping[str, Action[None]]] = {"wrap": _wrap, "unwrap": _unwrap}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if a step gives something else."""
    run_steps(test, ACTIONS, None)
