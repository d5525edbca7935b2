"""Is a known address still the one of the terminal that is sought?

Rules: said only where the network itself is well; who is there instead is told apart, and nobody is named.
"""

from __future__ import annotations

from collections.abc import Iterator

from chat.doctor.context import Context
from chat.doctor.evidence import Evidence
from chat.doctor.places import listed
from chat.doctor.verdicts import Why, blamed
from chat.interface import DiagnosisView
from chat.phrases import Phrase, phrase

CHECK = phrase("address")
_OPEN = phrase("Ask the other to open Parlour there: parlour, or parlour listen.")
_AGAIN = phrase(
    "Ask the other to open Parlour there again. If it is open, look at the firewall of that machine: "
    "parlour doctor there names a rule that refuses connections."
)
_NEW = phrase("Ask the other for the address that Parlour shows now: parlour pair --address HOST:PORT.")


def lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    """A line for each way in which known addresses fail."""
    return [DiagnosisView(CHECK, False, said, fix) for said, fix in _said(context, evidence)]


def _said(context: Context, evidence: Evidence) -> Iterator[tuple[Phrase, Phrase]]:
    if found := blamed(context, evidence, Why.SOMEBODY_ELSE):
        yield phrase("another terminal answers at {addresses}", addresses=listed(found)), _NEW
    if found := blamed(context, evidence, Why.SOMETHING_ELSE):
        yield phrase("another program answers at {addresses}", addresses=listed(found)), _NEW
    if found := blamed(context, evidence, Why.ENDED):
        said = phrase(
            "Parlour at {addresses} has ended, or its announcement is stale", addresses=listed(found)
        )
        yield said, _AGAIN
    if found := blamed(context, evidence, Why.CLOSED):
        yield phrase("Parlour is not open at {addresses}", addresses=listed(found)), _OPEN
    if found := blamed(context, evidence, Why.GONE):
        yield phrase("nobody answers at {addresses} any more", addresses=listed(found)), _NEW
