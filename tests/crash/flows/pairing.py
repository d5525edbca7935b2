"""The flow of pairing, with a fault at either side."""

from __future__ import annotations

from typing import Final

from chat.storage import contacts
from tests.crash.flows.scene import Ended, Flow, Scene, ended, outcome
from tests.crash.points import KILLED
from tests.support.e2e.programs import PATIENCE, invited, settle_pairing
from tests.support.lab.programs import Program, Silent

TOLD_WITHIN: Final = 30.0
"""Seconds in which each side of a pairing says how it ended."""


class Pairing(Flow):
    """Both are contacts of each other or can repeat it, and then they talk."""

    needs = "two"
    serves = True

    def play(self, scene: Scene) -> Ended:
        ada, ben, strikes_ada = scene.ada, scene.ben, self.victim == "ada"
        lines = ("invite", "--yes"), ("join",)
        with scene.victim(ada, *lines[0]) if strikes_ada else ada.start(*lines[0]) as inviting:
            said = inviting.first(PATIENCE)
            if said is None:
                return ended(inviting)
            joined = (*lines[1], invited(said))
            with ben.start(*joined) if strikes_ada else scene.victim(ben, *joined) as joining:
                how = self._until_over(scene, inviting, joining)
        return how

    def _until_over(self, scene: Scene, inviting: Program, joining: Program) -> Ended:
        """Each side ends within the time, but for one whose other side was killed."""
        struck, other = (inviting, joining) if self.victim == "ada" else (joining, inviting)
        for program in (joining, inviting):
            if joining.process.poll() == KILLED:
                inviting.process.terminate()  # it would wait for the joiner until the invitation expires
            try:
                program.wait_exit(TOLD_WITHIN)
            except Silent:
                # The inviter cannot know of a joiner that failed before it came.
                met = struck is inviting or "used the invitation" in " ".join(inviting.complained)
                side = "inviter" if program is inviting else "joiner"
                scene.holds(
                    "told",
                    program is inviting and not met,
                    f"the {side} does not hear that the pairing has ended",
                )
                program.process.terminate()
                program.wait_exit(PATIENCE)
        outcome(scene, ended(other))
        return ended(struck)

    def check(self, scene: Scene, how: Ended) -> None:
        paired, stored = {}, {}
        for name, station in (("ada", scene.ada), ("ben", scene.ben)):
            with scene.opened(station.profile) as database:
                paired[name] = bool(contacts.all(database))
                stored[name] = paired[name] or bool(contacts.pending(database))
        scene.holds("kept", paired[self.victim] or not how.last("paired"), "the printed contact is gone")
        scene.holds("kept", stored[self.victim] or not any(paired.values()), "only the other has the contact")
        if not scene.broken:
            settle_pairing(scene.ada, scene.ben)


class Inviting(Pairing):
    name = "pairing, inviter"


class Joining(Pairing):
    name = "pairing, joiner"
    victim = "ben"
