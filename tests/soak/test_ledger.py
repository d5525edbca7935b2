"""The ledger of a soak says which cut or kill made a piece go again."""

from __future__ import annotations

from chat.service.transfers import PENDING_MAX
from tests.soak.ledger import ledger

ONCE = [
    "sent a 0",
    "came a 0",
    "stored a 0",
    "cut",
    "sent a 1",
    "came a 1",
    "kill Ben",
    "sent b 0",
    "came b 0",
]


def test_pieces_that_go_once_cost_nothing() -> None:
    found = ledger(ONCE)
    assert (found.sent, found.came, found.stored) == (3, 3, 0)
    assert [(one.name, one.sent, one.came) for one in found.incidents[1:]] == [
        ("cut", 0, 0),
        ("kill Ben", 0, 0),
    ]
    assert found.problems() == []


def test_a_piece_goes_again_for_the_first_incident_after_it_went() -> None:
    found = ledger([*ONCE, "sent a 1", "came a 1", "stored a 1"])
    assert [(one.sent, one.came) for one in found.incidents[1:]] == [(0, 0), (1, 1)]
    assert found.problems() == []


def test_a_piece_that_was_stored_must_not_come_again() -> None:
    found = ledger([*ONCE, "sent a 0", "came a 0"])
    assert found.problems() == ["1 pieces came again that had been stored"]


def test_a_piece_must_not_come_again_for_no_reason() -> None:
    assert ledger([*ONCE, "came b 0"]).problems() == ["1 pieces came again for no reason"]


def test_more_than_the_memory_of_a_program_must_not_come_again_for_a_kill() -> None:
    pieces = [f"came a {number}" for number in range(PENDING_MAX + 2)]
    assert ledger([*pieces, "kill Ben", *pieces]).problems() == [
        f"{PENDING_MAX + 2} pieces came again for number 1, kill Ben"
    ]


def test_what_came_while_the_disk_was_full_comes_again_for_that() -> None:
    pieces = [f"came a {number}" for number in range(9)]
    found = ledger(["kill Ada", "full", "cut", *pieces, "room", "cut", *pieces, "kill Ben", *pieces])
    assert [one.came for one in found.incidents[1:]] == [0, 9, 0, 0, 9]
    assert found.problems() == []
