"""Flows by which content goes."""

from __future__ import annotations

from typing import Final

from tests.crash.flows.scene import Ended, Flow, Scene

NEEDLE: Final = "quagga zephyrneedlexylophonists"
TAIL: Final = b"lexylophonists"
"""The end of a word, which the index of the search does not compress."""


class Delete(Flow):
    """Deleted is deleted: neither shown again nor in any page."""

    name = "delete"
    needs = "paired"

    def play(self, scene: Scene) -> Ended:
        return scene.run(scene.ada, "delete", "Ben", self._entry(scene), "--yes")

    def _entry(self, scene: Scene) -> str:
        return (scene.folder / "needle").read_text()

    def check(self, scene: Scene, how: Ended) -> None:
        id = self._entry(scene)
        if how.last("deleted") is not None:
            left = scene.left(scene.ada.profile, [TAIL])
            scene.holds("erased", not left, f"the text is in {left}")
        entries = {one["id"]: one for one in scene.ada.run("history", "Ben").objects}
        kinds = [one["kind"] for one in entries.values()]
        scene.holds("kept", len(kinds) == 3 and kinds.count("text") >= 2, f"the other entries: {kinds}")
        gone = entries.get(id, {}).get("kind") == "deleted"
        scene.holds("kept", gone or how.last("deleted") is None, "what was deleted is shown again")
        scene.truthful(gone, how, "the entry is deleted")
        again = scene.ada.run("delete", "Ben", id, "--yes")
        scene.holds("repeats", again.status == 0, f"it cannot be repeated: {again.err}")
        left = scene.left(scene.ada.profile, [TAIL])
        scene.holds("erased", not left, f"after a repetition the text is in {left}")
        scene.sound(scene.ada)
