"""Every screen and dialog looks as it did: pictures of the program on the fake, compared cell by cell.

Rules: `make snapshots` stores what is seen now.
The person who does that looks at what has changed (`git diff`).
What is stored and is no picture any more has to go.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.screens.pictures import difference, dump, names_of
from tests.support.screens.scenes import EVERY, Scene, Seen, View, take, words_of
from tui.preferences import Theme
from tui.text import translation
from tui.themes import COLOURS

FOLDER = Path(__file__).parent / "snapshots"
WRITE = "PARLOUR_WRITE_SNAPSHOTS"

LARGE = (120, 34)
BY_NAME = {scene.name: scene for scene in EVERY}
# In addition to each scene at 80 by 24 in the dark: how some look otherwise.
CHINESE = "zh_CN"
OTHERWISE: dict[View, str] = {
    View(LARGE): "conversation further-up invitation help settings first-run devices",
    View(theme=Theme.LIGHT): "conversation chosen held relays-named devices pinned",
    View(theme=Theme.CONTRAST): "conversation commands words pinned",
    View(density="roomy"): "conversation",
    View((60, 20)): "conversation safety-number",
    View((40, 12)): "first-run short-passphrase conversation held commands words settings safety-number"
    " details relays-named relay-damaged relayed pinned bot use-recovery-devices device-words",
    View(language=CHINESE): "first-run pinned alone conversation away commands search held words help"
    " delete deleting relays-named relayed use-recovery-devices use-recovery-sure"
    " devices device-add link bot device-remove-first devices-without-words unvouched unvouched-compared"
    " claimed claimed-details device-remove-thief device-remove-again devices-left keeper new-recovery-words"
    " alert-two-copies alert-other-twice alert-words",
    View(LARGE, Theme.LIGHT, CHINESE): "bot conversation invitation settings",
}
CASES = [
    *((scene, View()) for scene in EVERY),
    *((BY_NAME[name], view) for view, names in OTHERWISE.items() for name in names.split()),
]


def place(scene: Scene, view: View) -> Path:
    """The file that keeps a picture."""
    return FOLDER / f"{scene.name}.{view}.txt"


def compare(path: Path, lines: list[str]) -> None:
    """Compare with what is stored, or store it. Raises AssertionError with what differs."""
    if os.environ.get(WRITE):
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    if not path.is_file():
        raise AssertionError(f"{path.name} is not stored: make snapshots stores it")
    if changed := difference(path.read_text(encoding="utf-8").splitlines(), lines):
        raise AssertionError(f"{path.name} looks otherwise (make snapshots stores it):\n{changed}")


@pytest.mark.parametrize(("scene", "view"), CASES, ids=lambda one: getattr(one, "name", str(one)))
async def test_it_looks_as_it_did(scene: Scene, view: View) -> None:
    picture = await take(scene, view)
    compare(place(scene, view), dump(picture, names_of(COLOURS[view.theme])))


def test_a_scene_waits_for_what_every_language_shows() -> None:
    """Else nobody can draw the pictures of the README in the other language."""
    translation.use(CHINESE)
    said_by_nobody = {"more than", "Photos/quay.jpg, Photos/2026/tables.jpg"}  # typed, and names of files
    waited = {scene.shows for scene in EVERY}
    waited |= {step.text for scene in EVERY for step in scene.steps if isinstance(step, Seen)}
    english = {text for text in waited if " " in text and text.startswith(words_of(text))}
    assert english == said_by_nobody


def test_nothing_else_is_stored() -> None:
    wanted = {place(scene, view).name for scene, view in CASES}
    assert {path.name for path in FOLDER.iterdir()} == wanted
    assert len(wanted) >= 40
