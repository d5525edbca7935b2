"""What both interfaces say about recovery words, and about devices that are to be removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from typing import Final

from chat.interface import AddedView, RemovalView, TerminalState, TerminalView, UsageError
from tui.text.formatting import DEVICE_DIGITS, quoted_device
from tui.text.safe import safe_name
from tui.text.translation import N_, _, _n

_NAMED: Final = 8
"""Contacts that one line names."""

RECOVERY: Final = N_(
    "Write these words on paper, in this order. If a device of yours is stolen, 'parlour recovery use' "
    "removes it with them."
)
RECOVERY_RISK: Final = N_(
    "Anyone with these words can remove your devices and take over your identity. Until they are erased "
    "here, that includes a thief of this profile."
)
RECOVERY_USE: Final = N_(
    "With your recovery words you remove devices of your identity that somebody stole or copied. If this "
    "device was itself removed or copied, it gets new keys."
)
RECOVERY_WARNS: Final = N_(
    "Your contacts are warned, and hold their messages until they have compared words or the safety number "
    "with you."
)
RECOVERY_NEW: Final = N_(
    "New words replace the old ones. Write them on paper, in this order. Nothing is signed before you have "
    "typed some of them back, and the old words open nothing from then on."
)
RECOVERY_NEW_RISK: Final = N_(
    "Anyone with these words can remove your devices and take over your identity. They are not stored here."
)
RECOVERY_REPLACED: Final = N_(
    "These words were replaced by a recovery that you confirmed here: use its words. If that recovery was "
    "not yours, press Enter again."
)
RECOVERY_RIVAL: Final = N_(
    "This contradicts the recovery that you confirmed here: contacts who confirmed that one, too, have to "
    "compare with you again."
)
RECOVERY_STOPPED: Final = N_("Nothing was signed: your old recovery words still hold.")
OLD_WORDS_END: Final = N_("The old words open nothing any more.")
KEEP_WORDS: Final = N_("Keep the recovery words that you typed?")
KEEP_ONLY: Final = N_("Do so only if nobody else has seen them: they open your identity as before.")
RECOVERED: Final = N_("Your recovery words were used. Your contacts are warned.")
NEW_KEYS: Final = N_("This device has new keys: pair again with each contact that stays offline here.")
RECOVERY_ERASED: Final = N_("The recovery words were erased here: only your paper has them.")
RECOVERY_DUE: Final = N_(
    "Write down your recovery words ({key}): with them you can lock out a thief of one of your devices."
)


def how_gone() -> dict[bool, tuple[str, str]]:
    """How a device that is removed is gone, by whether it was stolen: its name, and what it does."""
    return {
        True: (
            _("It was stolen"),
            _(
                "Only messages from it that this device has now count. Others are marked as from a removed "
                "device."
            ),
        ),
        False: (
            _("It was lost, sold or broken"),
            _(
                "When this device next connects to a contact, or to another device of yours, messages from "
                "it that they have count, too."
            ),
        ),
    }


def gone_lines(stolen: bool, otherwise: str) -> list[str]:
    """How a device that is removed counts as gone, and what to type `otherwise`, where it was only lost."""
    return [*how_gone()[stolen], *([otherwise] if stolen else [])]


def numbered_words(words: Sequence[str], columns: int) -> list[str]:
    """Words with their numbers, in rows of so many."""
    width = max(map(len, words))
    numbered = [f"{number:2} {word:{width}}" for number, word in enumerate(words, 1)]
    return ["  ".join(numbered[at : at + columns]).rstrip() for at in range(0, len(numbered), columns)]


def device_line(view: TerminalView) -> str:
    """A device of the own identity."""
    if view.this:
        said = _("{device}…, this device, which gets new keys")
    else:
        copied = view.state is TerminalState.COPIED
        said = _("{device}…, which may have been copied") if copied else _("{device}…")
    device = said.format(device=view.terminal[:DEVICE_DIGITS])
    return _("{name}, {device}").format(name=safe_name(view.name), device=device) if view.name else device


def device_lines(devices: Sequence[TerminalView]) -> list[str]:
    """Devices of the own identity, with the numbers that `picked_devices` takes."""
    numbered = enumerate(map(device_line, devices), 1)
    return [_("{number}. {line}").format(number=number, line=line) for number, line in numbered]


def removable_devices(devices: Iterable[TerminalView]) -> list[TerminalView]:
    """The devices that a recovery can remove, this one last."""
    present = [one for one in devices if one.removable]
    return sorted(present, key=lambda view: view.this)


def picked_devices(typed: str, devices: Sequence[TerminalView]) -> list[TerminalView]:
    """The devices with these numbers, each once. Raises UsageError."""
    picked = dict[str, TerminalView]()
    for one in typed.replace(",", " ").split():
        if not (one.isascii() and one.isdigit() and 1 <= int(one) <= len(devices)):
            raise UsageError(_("These are not numbers of the devices."))
        view = devices[int(one) - 1]
        picked[view.terminal] = view
    return list(picked.values())


def removal_lines(view: TerminalView, devices: Iterable[TerminalView]) -> tuple[str, str]:
    """The question before a device is removed, and what follows for it."""
    called = device_called(view, devices)
    if view.left:
        again = _("Remove this device again, with what it added?")
        return f"{again}\n{called}", _("It was removed already, and devices that it added are in use.")
    question = f"{_('Remove this device? It never comes back.')}\n{called}"
    if view.this:
        return question, _(
            "Your contacts shut out the device that you use now: you cannot write on it any more. Its "
            "messages stay on it. Your other devices renew the keys once they hear of this: open Parlour on "
            "one of them."
        )
    return question, _(
        "Your contacts shut it out, and the keys that it has are renewed. It keeps the messages that it has."
    )


def removed_line(view: TerminalView) -> str:
    """What is said once a device was removed."""
    if view.this:
        return _("This device was removed. Open Parlour on another device of yours, which renews the keys.")
    return _("The device was removed. Your contacts shut it out, and the keys that it knew are renewed.")


def device_called(view: TerminalView, devices: Iterable[TerminalView]) -> str:
    """A device in a few words: its name, and how its id begins."""
    device = _("{device}…").format(device=view.terminal[:DEVICE_DIGITS])
    called = safe_name(view.name)
    if not view.name and sum(not one.name for one in devices) == 1:
        called = _("first device")
    return _("{name}, {device}").format(name=called, device=device) if called else device


def foreseen_lines(
    view: RemovalView,
    devices: Iterable[TerminalView],
    name_of: Callable[[str], str],
    zone: tzinfo | None = None,
) -> list[str]:
    """What a removal or a recovery does to others than what it removes, and to the name.

    `name_of` names a contact (person id) in a safe line.
    """
    lines = _added_lines(view, devices, zone)
    for persons, said in (
        (
            view.held,
            _(
                "Only what you remove has paired with {names}: Parlour sends nothing there until you compare "
                "the safety number."
            ),
        ),
        (
            view.unverified,
            _("Only what you remove has compared with {names}: compare again to have them verified."),
        ),
    ):
        lines += [said.format(names=_some(map(name_of, persons)))] if persons else []
    if view.name:
        lines.append(
            _("Your name stays {name}: this device signs it again.").format(name=safe_name(view.name))
        )
    return lines


def _some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    ordered = sorted(names)
    shown, more = _(", ").join(ordered[:_NAMED]), len(ordered) - _NAMED
    if more <= 0:
        return shown
    return _n("{names} and {number} more", "{names} and {number} more", more).format(
        names=shown, number=f"{more:,}"
    )


def _added_lines(view: RemovalView, devices: Iterable[TerminalView], zone: tzinfo | None) -> list[str]:
    names = {one.terminal: one.name for one in devices}

    def line(one: AddedView) -> str:
        by = quoted_device(one.added_by, names.get(one.added_by, ""))
        said = [_("added by {device}").format(device=by) if one.added_by else _("brought in by a recovery")]
        if one.since is not None:
            said.append(
                _("known here since {time}").format(time=f"{one.since.astimezone(zone):%Y-%m-%d %H:%M}")
            )
        said.append(_("confirmed") if one.confirmed else _("not confirmed"))
        whole = _("{device} stays: {said}.") if one.stays else _("{device} is removed, too: {said}.")
        return whole.format(device=quoted_device(one.terminal, one.name), said=_(", ").join(said))

    lines = [_("Devices that came in through what you remove:")] if view.added else []
    lines += map(line, view.added)
    if not all(one.stays for one in view.added):
        lines.append(_("If one that is removed is yours, link it again as a new device."))
    return lines
