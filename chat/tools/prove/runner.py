"""Runs the experiments one after the other, and collects what each found."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from msgspec import Struct

from chat.interface import ParlourError
from chat.tools.prove import at_rest, exports, relay_holds_nothing, traffic
from chat.tools.prove.findings import CannotShow, Claim, Finding, Outcome, Record, judged, read_claims
from chat.tools.prove.stage import Setting, Stage, staged

Show = Callable[[Stage, Record], Awaitable[None]]

EXPERIMENTS: Final[Mapping[str, Show]] = {
    "C4": traffic.show_unreadable,
    "C2": at_rest.show_only_ciphertext,
    "C7": exports.show,
    "C5": at_rest.show_deleted,
    "C1": relay_holds_nothing.show,
    "C3": traffic.show_nobody_else,  # ends both terminals
    "C6": at_rest.show_delivered,
}
"""In the order in which they run; a claim of seeds/claims.toml that is not here cannot be shown."""


class Proof(Struct, frozen=True):
    """The findings in the order of the claims, and the seconds they took."""

    findings: tuple[Finding, ...]
    not_claimed: tuple[str, ...]
    seconds: float

    @property
    def holds(self) -> bool:
        return all(finding.outcome is Outcome.HOLDS for finding in self.findings)

    def count(self, outcome: Outcome) -> int:
        return sum(finding.outcome is outcome for finding in self.findings)


async def prove(
    say: Callable[[str], None], setting: Setting | None = None, only: Collection[str] = ()
) -> Proof:
    """Test every claim, or `only` some, by id. `say` receives progress texts."""
    claims, not_claimed = read_claims()
    wanted = {claim.id: claim for claim in claims if not only or claim.id in only}
    order = [id for id in EXPERIMENTS if id in wanted]
    began, found, unshown = time.monotonic(), dict[str, Finding](), "nothing here looks at it yet"
    say("Two people with throw-away profiles are set up on this machine.")
    try:
        async with staged(setting or Setting()) as stage:
            for number, id in enumerate(order, 1):
                say(f"{number} of {len(order)}, {id}: {wanted[id].text}")
                found[id] = await look_at(wanted[id], EXPERIMENTS[id], stage)
    except CannotShow as why:
        unshown = str(why)
    except (OSError, ParlourError) as error:
        unshown = f"two devices cannot be set up here ({error})"
    findings = [found.get(id) or judged(claim, Record(), unshown) for id, claim in wanted.items()]
    return Proof(tuple(findings), not_claimed, time.monotonic() - began)


async def look_at(claim: Claim, show: Show, stage: Stage) -> Finding:
    """Run one experiment to its end, or to where it stops."""
    record = Record()
    try:
        await show(stage, record)
    except CannotShow as why:
        return judged(claim, record, str(why))
    except (OSError, ParlourError) as error:
        return judged(claim, record, f"the experiment broke off: {error}")
    return judged(claim, record)
