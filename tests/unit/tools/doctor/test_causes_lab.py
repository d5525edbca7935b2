"""Each cause made for real on hosts of the lab: the doctor tells exactly this one, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.doctor.causes import CAUSES, Cause, examine
from tests.support.lab.hosts import Lab
from tests.support.machine import needs_nft, needs_root_network

pytestmark = pytest.mark.network

AT_ONCE = 6
"""Doctors who listen at the same time: most of what they do is waiting."""

Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def told() -> Iterator[dict[str, Lines]]:
    needs_root_network()
    needs_nft()

    def ask(cause: Cause) -> Lines:
        with Lab(3) as lab:
            made = cause.make(lab) or {}
            return examine(lab.hosts[0], **cause.knows, **made)

    with ThreadPoolExecutor(AT_ONCE) as doctors:
        yield dict(zip(CAUSES, doctors.map(ask, CAUSES.values()), strict=True))


@pytest.mark.parametrize("name", CAUSES)
def test_exactly_the_cause_that_was_made_is_told(told: dict[str, Lines], name: str) -> None:
    cause = CAUSES[name]
    bad = [line for line in told[name] if not line["good"]]
    assert [line["check"] for line in bad] == [cause.told] * bool(cause.told)
    assert all(cause.words in line["found"] and line["fix"] for line in bad)
