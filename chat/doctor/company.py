"""Is anybody else on this network, and if nobody shows, which one cause is there for it?

Rules: one answer, so that the causes which tell of it exclude each other; what this machine does to itself
(its firewall, its routes) comes first, for behind it nothing can be seen.
"""

from __future__ import annotations

from enum import StrEnum

from chat.doctor import firewall, routes
from chat.doctor.context import Context
from chat.doctor.evidence import Evidence
from chat.doctor.verdicts import has_moved, is_alone
from chat.network import probe


class Company(StrEnum):
    """Who else shows on the network."""

    HEARD = "heard"  # others, by multicast
    UNHEARD = "unheard"  # Parlour answers on this network, and yet nobody is heard
    SEEN = "seen"  # another machine answers, and may have nothing to say by multicast
    MOVED = "moved"  # nobody shows on the network that this machine has come to
    ONLY_ROUTER = "only router"
    NO_ROUTER = "no router"  # there should be one, and it does not answer either
    NOBODY = "nobody"
    UNKNOWN = "unknown"  # this machine's own doing hides it


def company(context: Context, evidence: Evidence) -> Company:
    """Who shows, as far as this machine lets it be seen."""
    if not evidence.lan or firewall.stops(context, evidence) or routes.leads_astray(context, evidence):
        return Company.UNKNOWN
    if context.heard or evidence.heard:
        return Company.HEARD
    if not is_alone(context, evidence):
        near = (finding for finding in evidence.findings if any(visit.on for visit in finding.visits))
        return Company.UNHEARD if any(finding.greeted for finding in near) else Company.SEEN
    if evidence.routers and not any(evidence.routers.values()):
        return Company.NO_ROUTER
    if has_moved(context.began, evidence):
        return Company.MOVED
    if not echoed(evidence):
        return Company.UNKNOWN
    return Company.ONLY_ROUTER if evidence.routers else Company.NOBODY


def echoed(evidence: Evidence) -> bool:
    """Whether anything of what was sent by multicast came back on a network."""
    of_lan = {interface.index for interface in evidence.lan}
    return any(
        isinstance(echo, probe.Heard) and echo.itself
        for (index, _), echo in evidence.echoes.items()
        if index in of_lan
    )
