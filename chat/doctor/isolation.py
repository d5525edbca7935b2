"""Does the access point keep its devices apart from each other?

Rules: it is suspected where the router answers and nobody else does, and certain where somebody is heard to
whom no packet gets; a terminal alone with its router cannot tell an empty network from such a one.
"""

from __future__ import annotations

from chat.doctor.company import Company, company
from chat.doctor.context import Context
from chat.doctor.evidence import Evidence
from chat.doctor.places import listed
from chat.doctor.verdicts import Why, blamed
from chat.interface import DiagnosisView
from chat.phrases import phrase

CHECK = phrase("isolation")
_FIX = phrase(
    "If others are here, the access point keeps devices apart (guest network, client isolation): "
    "switch that off, or use another network or a cable; or meet at a relay (parlour relays add ADDRESS)."
)


def lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    """One line where it is suspected or certain."""
    if apart := blamed(context, evidence, Why.APART):
        said = phrase("heard from {addresses}, but no packet gets there", addresses=listed(apart))
        return [DiagnosisView(CHECK, False, said, _FIX)]
    if context.heard is None or company(context, evidence) is not Company.ONLY_ROUTER:
        return []
    router = next(router.address for router, answers in evidence.routers.items() if answers)
    said = phrase("the router {address} answers, and nobody else is seen here", address=router)
    return [DiagnosisView(CHECK, False, said, _FIX)]
