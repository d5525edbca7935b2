"""Each law finds the bug that is planted against it."""

from __future__ import annotations

import pytest

from tests.sim.run import first_failure, pool

WITHIN = 200
"""Runs, from seed 1 on."""

FOUND_BY = {
    "receipt before commit": {"delivered"},
    "nothing resent": {"liveness"},
    "shown twice": {"once"},
    "order by arrival": {"order"},
    "delivered without receipt": {"delivered"},
    "read without shown": {"read"},
    "deleted comes back": {"deleted"},
    "expired stays": {"expired"},
    "nonce reused": {"nonce"},
    "verified in memory only": {"verified"},
}

AMONG_SEVERAL = {
    "deleted on all here alone": {"liveness"},
    "marked here alone": {"liveness"},
    "removed keeps links": {"sealed"},
    "removal forgotten": {"removed"},
    "removal obeyed late": {"stolen"},
    "addition not followed": {"log"},
    "removal ends all links": {"liveness"},
    "read here alone": {"liveness"},
}
"""Those that only a person with several terminals can meet."""


@pytest.mark.slow
@pytest.mark.parametrize("bug", [*FOUND_BY, *AMONG_SEVERAL])
def test_the_planted_bug_is_found(bug: str) -> None:
    with pool(1) as processes:
        seed, law = processes.submit(first_failure, WITHIN, bug, several=bug in AMONG_SEVERAL).result()
    assert seed, f"not found in {WITHIN} runs"
    assert law in (FOUND_BY | AMONG_SEVERAL)[bug]
