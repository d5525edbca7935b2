"""Has this machine, or the other, moved to another network since they last met?

Rules: an address that is on no network of this machine tells it, so does one that this machine had and has
no more; Parlour follows by itself, so it is a fault only where somebody is not found because of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from chat.doctor.company import Company, company
from chat.doctor.context import Context
from chat.doctor.evidence import Evidence
from chat.doctor.places import listed
from chat.doctor.verdicts import Why, blamed, has_moved, routed
from chat.interface import DiagnosisView
from chat.network.interfaces import own_addresses
from chat.phrases import NOTHING_SAID, phrase

CHECK = phrase("changed network")
_MEET = phrase("Join the same network, or give the other your new address: parlour invite.")
_ANEW = phrase("Make a new invitation: parlour invite.")


def lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    """A line for what was on another network, and one for an invitation that names it."""
    return [*_moved(context, evidence), *_promised(context, evidence)]


def _moved(context: Context, evidence: Evidence) -> Iterator[DiagnosisView]:
    if elsewhere := blamed(context, evidence, Why.ELSEWHERE):
        said = phrase("not on any network of this machine: {addresses}", addresses=listed(elsewhere))
        yield DiagnosisView(CHECK, False, said, _MEET)
    elif has_moved(context.began, evidence):
        before, now = routed(context.began)[0], routed(own_addresses(evidence.interfaces))[0]
        said = phrase("{before} became {now} since Parlour was opened", before=before, now=now)
        alone = company(context, evidence) is Company.MOVED
        yield DiagnosisView(CHECK, not alone, said, _MEET if alone else NOTHING_SAID)


def _promised(context: Context, evidence: Evidence) -> Iterator[DiagnosisView]:
    if has_moved(context.promised, evidence):
        said = phrase(
            "an open invitation names {address}, which this machine no longer has",
            address=routed(context.promised)[0],
        )
        yield DiagnosisView(CHECK, False, said, _ANEW)
