"""Flows of two who talk: send and receive."""

from __future__ import annotations

import json

from tests.crash.flows.scene import LIVES_WITHIN, Ended, Flow, Scene, ended, status_of
from tests.crash.points import KILLED
from tests.support.e2e.programs import PATIENCE, first_to_end, listening, settle
from tests.support.lab.programs import Program


class Send(Flow):
    """What was printed is in the history and comes to the other; the entry stays queued until then."""

    name = "send"
    needs = "paired"

    def __init__(self) -> None:
        self.tried: dict[str, Ended] = {}

    def play(self, scene: Scene) -> Ended:
        with listening(scene.ben):
            self.tried["hello"] = scene.run(scene.ada, "send", "Ben", "hello", "--wait", "20")
        return self.tried["hello"]

    def check(self, scene: Scene, how: Ended) -> None:
        stored = scene.stored(scene.ada)
        texts = [text for _, text in settle(scene.ada, scene.ben)]
        for text, tried in self.tried.items():
            printed = tried.last("id")
            scene.holds("kept", printed is None or printed in stored, f"{printed} was printed and is gone")
            scene.holds("kept", printed is None or text in texts, f"{text} was printed and did not come")
            scene.truthful(text in texts, tried, f"{text} is there")


class SendToEngine(Send):
    """The same of an engine that another command holds, which dies later with what a failure left."""

    name = "send, to an engine"
    serves = True

    def play(self, scene: Scene) -> Ended:
        with listening(scene.ben), scene.victim(scene.ada, "listen") as struck:
            if struck.first(PATIENCE) is None:
                return ended(struck)
            for text in ("hello", "again", "and again"):  # the fault strikes one at most
                with scene.ada.start("send", "Ben", text, "--wait", LIVES_WITHIN) as sending:
                    self.tried[text] = ended(sending)
            status, failed = status_of(struck), [one for one in self.tried.values() if one.status]
            scene.holds("lives", status in (None, KILLED), f"the engine ended: {struck.complained}")
            takes = scene.lasting or status == KILLED or len(failed) < 2
            scene.holds("lives", takes, f"it takes nothing any more: {failed}")
            struck.kill()
            first = self.tried["hello"]
            return Ended(first.status, first.said, first.complained, struck=status == KILLED)


class Receive(Flow):
    """What the sender shows as delivered is there; an engine that lives takes what comes next."""

    name = "receive"
    victim = "ben"
    needs = "paired"
    serves = True

    def __init__(self) -> None:
        self.delivered: list[str] = []

    def play(self, scene: Scene) -> Ended:
        with (
            scene.victim(scene.ben, "listen") as struck,
            scene.ada.start("send", "Ben", "hello", "--wait", LIVES_WITHIN) as sending,
        ):
            if first_to_end(struck, sending) is sending:
                if not scene.lasting:
                    self._goes_on(scene, struck, sending)
                struck.process.terminate()
            sending.process.terminate()
            sending.wait_exit(PATIENCE)
            shown = [json.loads(line) for line in sending.said]
            self.delivered = [one["id"] for one in shown if one["state"] == "delivered"]
            return ended(struck)

    def _goes_on(self, scene: Scene, struck: Program, sending: Program) -> None:
        state = json.loads(sending.said[-1])["state"] if sending.said else "nothing"
        scene.holds("lives", state == "delivered", f"after the failure the entry is {state}")
        with scene.ada.start("send", "Ben", "again", "--wait", LIVES_WITHIN) as again:
            if first_to_end(struck, again) is struck:
                again.process.terminate()
            taken = again.wait_exit(PATIENCE) == 0
        status = status_of(struck)
        how = "the engine takes nothing any more" if status is None else "the engine died"
        scene.holds("lives", taken or status == KILLED, f"{how}: {again.complained}")

    def check(self, scene: Scene, how: Ended) -> None:
        ready = any(line.get("event") == "ready" for line in how.objects)
        scene.holds("lives", not ready or how.status in (0, KILLED), f"the engine ended: {how.complaint}")
        stored = scene.stored(scene.ben)
        scene.holds("kept", stored.issuperset(self.delivered), "an entry was shown as delivered and is gone")
        if not scene.broken:
            settle(scene.ada, scene.ben)
