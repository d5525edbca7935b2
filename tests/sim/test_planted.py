"""Each law finds the bug that is planted against it."""

from __future__ import annotations

import pytest

from tests.sim.run import first_failure, pool

WITHIN = 200
"""Seeds, from 1 on, that are tried where the one that is known to find the bug does so no more."""

FOUND_BY = {
    "receipt before commit": ("delivered", 34),
    "nothing resent": ("liveness", 2),
    "shown twice": ("once", 2),
    "order by arrival": ("order", 2),
    "delivered without receipt": ("delivered", 2),
    "read without shown": ("read", 2),
    "deleted comes back": ("deleted", 139),
    "expired stays": ("expired", 24),
    "nonce reused": ("nonce", 2),
    "verified in memory only": ("verified", 12),
    "spare links kept": ("twice", 6),
}
"""The law that finds each bug, and a seed whose run is short."""

AMONG_SEVERAL = {
    "deleted on all here alone": ("liveness", 128),
    "marked here alone": ("liveness", 26),
    "removed keeps links": ("sealed", 20),
    "removal forgotten": ("removed", 32),
    "removal obeyed late": ("stolen", 32),
    "addition not followed": ("log", 26),
    "removal ends all links": ("liveness", 32),
    "read here alone": ("liveness", 45),
}
"""Those that only a person with several terminals can meet."""

WITH_A_THIEF = {
    "thief keeps what it added": ("cured", 41),
    "fallen secrets used": ("cured", 41),
    "late words count": ("cured", 54),
    "accomplice trusted": ("cured", 1),
    "cut by anybody": ("cured", 202),
    "copy shut out": ("together", 58),
    "unsealed ends links": ("together", 41),
    "leaked words stay": ("cured", 263),
    "any self tag": ("own", 58),
    "unsigned is own": ("own", 58),
    "signed by anybody": ("own", 185),
    "taken of the live": ("own", 58),
    "unsigned notes": ("own", 512),
    "replaced keys count": ("own", 184),
    "stale key counts": ("own", 962),
}
"""Those that only a person of whom something was stolen can meet."""

THIEVES_WITHIN = 1_000
"""Seeds that are tried for these: one of eight has a thief."""


@pytest.mark.slow
@pytest.mark.parametrize("bug", [*FOUND_BY, *AMONG_SEVERAL, *WITH_A_THIEF])
def test_the_planted_bug_is_found(bug: str) -> None:
    law, known = (FOUND_BY | AMONG_SEVERAL | WITH_A_THIEF)[bug]
    within = THIEVES_WITHIN if bug in WITH_A_THIEF else WITHIN
    seeds, kinds = [known, *range(1, within + 1)], (bug in AMONG_SEVERAL, bug in WITH_A_THIEF)
    with pool(1) as processes:
        work = processes.submit(first_failure, seeds, bug, several=kinds[0], thieves=kinds[1])
        found = work.result()
    assert found[0], f"not found in {within} seeds"
    assert found[1] == law
