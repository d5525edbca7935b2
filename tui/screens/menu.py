"""A menu of actions of one group, made from the registry: a letter or Enter chooses."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.actions import Action
from tui.screens.dialog import CSSPath, Dialog
from tui.texts import N_


class MenuDialog(Dialog[str]):
    """The id of the chosen action."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "menu.tcss"]
    AUTO_FOCUS = "OptionList"
    hints = (("enter", N_("Choose")), ("escape", N_("Close")))

    def __init__(self, title: str, actions: tuple[Action, ...]) -> None:
        super().__init__()
        self._title = title
        self._actions = actions

    def on_mount(self) -> None:
        self.query_one("#box").border_title = self._title

    def body(self) -> list[Widget]:
        return [OptionList(*(_option(one) for one in self._actions), markup=False, compact=True)]

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.end(event.option_id)


def _option(one: Action) -> Option:
    return Option(Content.assemble((f"{one.key:<8}", "bold $primary"), one.title), id=one.id)
