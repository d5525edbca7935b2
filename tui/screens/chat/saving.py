"""Saving the files of messages: one, those of a folder that was sent, or those of the selected messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chat.interface import EntryView, FileState, Messenger, size_text
from tui.messages import PreferenceChosen
from tui.preferences import DOWNLOADS, SAVED_IN, Preferences
from tui.saving import make_proposed, of_one_folder, top_folder
from tui.screens.chat.opening import OpeningController
from tui.screens.chat.surface import Surface
from tui.screens.dialog import SaveDialog
from tui.text.safe import safe_line, shorten
from tui.text.translation import _, _n
from tui.widgets.history import History

_NAME_CELLS = 40
_COMING = (FileState.TAKING, FileState.DIRECT)


@dataclass(repr=False)
class SavingController:
    messenger: Messenger
    surface: Surface
    view: History
    preferences: Preferences
    opening: OpeningController

    def save(self) -> None:
        """Take a file that is not here, or save one that is, with all of its folder; or those selected."""
        entry, selected = self.view.chosen, self.view.selected_entries
        if len(selected) > 1:
            self._save_selected([one for one in selected if one.file is not None])
        elif entry is None or entry.file is None:
            self.surface.say(_("This message has no file."))
        elif entry.file.state in _COMING:
            self.surface.call("file", self.messenger.pause_file, entry.contact, entry.id)
        elif entry.file.folder:
            self.surface.run("file", self._save_folder, entry)
        else:
            self._save_alone(entry)

    def let_go(self) -> None:
        """Delete what this device has of a file, or of those that are selected."""
        entry, selected = self.view.chosen, self.view.selected_entries
        if len(selected) < 2:
            selected = (entry,) if entry is not None else ()
        here = [one for one in selected if is_here(one)]
        if not here:
            self.surface.say(_("This message has no file on this device."))
            return
        question = _n(
            "Delete the file of this message from this device?",
            "Delete the files of {number} messages from this device?",
            len(here),
        ).format(number=len(here))
        about = _("The message stays. You can take the file again while somebody has it who is online.")
        self.surface.confirm(f"{question} {_names(here)}", about, partial(self._let_go, here))

    def _let_go(self, entries: Sequence[EntryView]) -> None:
        for one in entries:
            self.surface.call("file", self.messenger.let_go_of_file, one.contact, one.id)

    def _save_alone(self, entry: EntryView) -> None:
        if not _is_whole(entry):
            self.surface.call("file", self.messenger.take_file, entry.contact, entry.id)
        elif entry.file is not None:
            dialog = SaveDialog(_asked([entry], safe_line(entry.file.path)), self._proposed)
            self.surface.choose(dialog, partial(self._save_in, [entry]))

    def _save_selected(self, entries: Sequence[EntryView]) -> None:
        if not entries:
            self.surface.say(_("None of the selected messages has a file."))
        else:
            number = _n("{number} selected file", "{number} selected files", len(entries))
            self._save_together(entries, number.format(number=len(entries)))

    async def _save_folder(self, entry: EntryView) -> None:
        entries = await self.surface.ask(of_one_folder(self.messenger, entry))
        if entries is None:
            return
        if len(entries) < 2:
            self._save_alone(entry)
            return
        number = _n("{number} file of the folder {name}", "{number} files of the folder {name}", len(entries))
        name = shorten(safe_line(top_folder(entry)), _NAME_CELLS)
        self._save_together(entries, number.format(number=len(entries), name=name), entry)

    def _save_together(
        self, entries: Sequence[EntryView], called: str, alone: EntryView | None = None
    ) -> None:
        """Ask, and save what is here of several files; take the rest. `alone`: what may be saved instead."""
        whole = [one for one in entries if _is_whole(one)]
        lacking = [
            one for one in entries if not _is_whole(one) and one.file and one.file.state not in _COMING
        ]
        if whole:
            other = alone if alone is not None and _is_whole(alone) else None
            only = _asked([other], _names([other])) if other is not None else ""
            dialog = SaveDialog(_asked(entries, called), self._proposed, only)

            def save(folder: str) -> None:
                if other is not None and dialog.alone:
                    self._save_in([other], folder)
                else:
                    self._take(lacking)
                    self._save_in(whole, folder)

            self.surface.choose(dialog, save)
        elif lacking:
            size = size_text(sum(one.file.size for one in lacking if one.file is not None))
            question = _("Take {files} ({size})?").format(files=called, size=size)
            about = _("They are fetched from a device that has them. Then you can save them.")
            self.surface.confirm(question, about, partial(self._take, lacking))
        else:
            self.surface.say(_("These files are on their way. Save them when they are here."))

    def _take(self, entries: Sequence[EntryView]) -> None:
        for one in entries:
            self.surface.call("file", self.messenger.take_file, one.contact, one.id)

    @property
    def _proposed(self) -> str:
        return self.preferences.get(SAVED_IN) or DOWNLOADS

    def _save_in(self, entries: Sequence[EntryView], folder: str) -> None:
        proposed = folder == self._proposed
        self.surface.post(PreferenceChosen(SAVED_IN, folder))
        self.surface.run("file", self._save, entries, Path(folder).expanduser(), proposed)

    async def _save(self, entries: Sequence[EntryView], where: Path, proposed: bool) -> None:
        many = len(entries) > 1
        if proposed and not await self.surface.done(make_proposed(where)):
            return
        for number, entry in enumerate(entries, 1):
            if many:
                saving = _("Saving {number} of {all}…").format(number=number, all=len(entries))
                self.surface.say(saving)
            path = await self.surface.ask(self.messenger.save_file(entry.contact, entry.id, str(where)))
            if path is None:
                return  # the refusal is shown
            self.opening.remember(entry, path)
            if not many:
                self.opening.say_saved(path)
        if many:
            said = _("{number} files are saved in {folder}.")
            self.surface.say(said.format(number=len(entries), folder=safe_line(str(where))))


def is_here(entry: EntryView) -> bool:
    """Whether an entry has a file of which this device may hold something."""
    return entry.file is not None and entry.file.state not in (FileState.ASKS, FileState.LET_GO)


def _is_whole(entry: EntryView) -> bool:
    return entry.file is not None and entry.file.state is FileState.WHOLE


def _names(entries: Sequence[EntryView]) -> str:
    """The names of some files."""
    names = [shorten(safe_line(one.file.path), _NAME_CELLS) for one in entries if one.file is not None]
    return ", ".join(names[:3]) + ("…" if len(names) > 3 else "")


def _asked(entries: Sequence[EntryView], called: str) -> str:
    """What is saved of these files, in the dialog that asks where."""
    asked = _("Save {name} in this folder. A file that is there is not overwritten.").format(name=called)
    coming = sum(not _is_whole(one) for one in entries)
    if not coming:
        return asked
    rest = _n(
        "{number} is not here yet: it is taken, to be saved later.",
        "{number} are not here yet: they are taken, to be saved later.",
        coming,
    )
    return f"{asked} {rest.format(number=coming)}"
