"""Bounds on those who are not authenticated yet."""

from __future__ import annotations

from chat.config import Config
from chat.network.backoff import Backoff
from chat.network.limits import Admission


def test_a_flood_of_strangers_leaves_contacts_their_share() -> None:
    admission = Admission(total=8, per_address=4, rate=10.0)
    entered = [admission.enter(f"10.0.0.{n % 50}", known=False, now=0.0) for n in range(1_000)]
    assert sum(entered) == 6
    assert admission.enter("10.0.1.1", known=True, now=0.0)


def test_one_address_cannot_take_all_places() -> None:
    admission = Admission(total=64, per_address=4, rate=100.0)
    assert sum(admission.enter("10.0.0.1", known=False, now=0.0) for _ in range(20)) == 4
    admission.leave("10.0.0.1")
    assert admission.enter("10.0.0.1", known=False, now=0.0)


def test_work_is_limited_a_second_and_not_by_a_clock_that_jumps_back() -> None:
    admission = Admission(total=10_000, per_address=10_000, rate=10.0)
    assert sum(admission.enter(f"10.0.{n}.1", known=False, now=5.0) for n in range(100)) == 20
    assert not admission.enter("10.1.0.1", known=False, now=1.0)
    assert sum(admission.enter(f"10.2.{n}.1", known=False, now=6.0) for n in range(100)) == 10


def test_a_place_is_given_back_and_nothing_is_kept_of_an_address() -> None:
    admission = Admission(total=4, per_address=4, rate=1e9)
    for n in range(10_000):
        assert admission.enter(f"address {n}", known=False, now=float(n))
        admission.leave(f"address {n}")
    assert not admission._open


def test_a_contact_that_was_there_is_probed_often_and_one_long_gone_rarely() -> None:
    config = Config()
    pace = Backoff(config)
    pace.heard(100.0)
    for _ in range(20):
        pace.failed(refused=False)
    assert pace.delay(110.0) == config.probe_every
    assert pace.delay(100.0 + config.probe_for + 1) == config.retry_most


def test_who_refuses_is_left_alone() -> None:
    pace = Backoff(Config())
    pace.heard(0.0)
    pace.failed(refused=True)
    assert pace.delay(1.0) == Config().retry_most
    pace.encouraged(2.0)
    assert pace.delay(2.0) == Config().probe_every
