"""The commands about the recovery words: write them down, and use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from chat.cli.devices import (
    asked_stolen,
    device_of,
    foreseen_fields,
    foreseen_text,
    handed_out,
    how_gone,
    terminal_line,
)
from chat.cli.output import Stopped, clear_screen, note, passing_screen, question
from chat.cli.session import Call, coroutine, group, messenger
from chat.cli.terminal import confirmed, is_interactive
from chat.interface import (
    RECOVERY_WORDS,
    Messenger,
    NotTypedBack,
    RecoveryView,
    TerminalView,
    UsageError,
)

RISK: Final = (
    "Anyone with these words can remove your devices and take over your identity. Until they are erased here,"
    " that includes a thief of this profile. Show them to nobody."
)
NEW_WORDS: Final = (
    "New words replace the old ones, which open nothing from then on. Anyone with the new ones can take over"
    " your identity: show them to nobody. Nothing is signed before you type some of them back."
)
USED: Final = "Your recovery words were used."
OLD_OPEN_NOTHING: Final = "The old words open nothing any more: keep the new ones."
SAME_WORDS: Final = "The words stay the same: anyone else who has them can use them, too."
RIVAL: Final = (
    "This contradicts the recovery that you confirmed here: contacts who confirmed that one, too, have to"
    " compare with you again."
)
NEW_KEYS: Final = "This device has new keys now: pair again with each contact that stays offline here."
NOT_ERASED: Final = "Not all words were typed, so nothing was erased."
NOT_USED: Final = "The recovery words were not used."


@group("recovery")
@coroutine
async def recovery(call: Call) -> None:
    """Show the recovery words once, check that you wrote them down, and erase them here."""
    async with messenger(call) as opened:
        view = await opened.recovery_words()
        note(RISK)
        typed = await typed_back(call, view, NOT_ERASED)
        await opened.confirm_recovery(typed)
        call.result({"erased": True}, "The recovery words were erased here: only your paper has them.")


async def typed_back(call: Call, view: RecoveryView, stopped: str) -> tuple[str, ...]:
    """Show recovery words, and ask for some of them: at a terminal on a screen that passes.

    Raises Stopped, which says `stopped`, where the input ends before all were typed.
    """
    if is_interactive() and not call.json:
        with passing_screen():
            call.result({}, recovery_rows(view.words))
            question("Write them on paper, then press Enter: some of them are asked for.")
            await call.lines.next_line()
            clear_screen()
            return await _asked_words(call, view, stopped)
    numbers = [place + 1 for place in view.asked]
    call.result({"words": list(view.words), "asked": numbers}, " ".join(view.words))
    return await _asked_words(call, view, stopped)


def recovery_rows(words: Sequence[str]) -> str:
    """The words with their numbers, in rows of four."""
    width = max(map(len, words))
    numbered = [f"{number:2} {word:{width}}" for number, word in enumerate(words, 1)]
    return "\n".join("  ".join(numbered[at : at + 4]).rstrip() for at in range(0, len(numbered), 4))


async def _asked_words(call: Call, view: RecoveryView, stopped: str) -> tuple[str, ...]:
    typed = []
    for place in view.asked:
        question(f"Word {place + 1}:")
        line = await call.lines.next_line()
        if line is None:
            raise Stopped(stopped)
        typed.append(line.strip())
    return tuple(typed)


@recovery.command("use")
@click.option(
    "--remove",
    "removed",
    multiple=True,
    metavar="DEVICE",
    help="Remove a device, by its id; this one gets new keys.",
)
@click.option("--same-words", is_flag=True, help="Keep the words: nobody else has seen them.")
@click.option(
    "--not-mine",
    is_flag=True,
    help="A recovery that replaced your words was not yours, though you said so here.",
)
@how_gone
@coroutine
async def use_recovery(
    call: Call, removed: tuple[str, ...], same_words: bool, not_mine: bool, stolen: bool | None
) -> None:
    """Remove devices of your identity with the recovery words, which are read from the input.

    New words take their place: they are shown, and some of them asked for, before anything is signed.

    Your contacts are warned, and hold their messages until they compared words or the safety number with you.
    """
    async with messenger(call) as opened:
        devices = [view for view in await opened.terminals() if view.removable]
        before = (await opened.me()).terminal
        chosen = list(dict.fromkeys(device_of(devices, name) for name in removed))
        with passing_screen():
            typed = await typed_words(call)
        await opened.check_recovery(typed, not_mine)
        asks = is_interactive()
        if asks and not removed:
            chosen = await _chosen(call, sorted(devices, key=lambda view: view.this))
        ids = tuple(view.terminal for view in chosen)
        foreseen = await opened.foresee_recovery(typed, ids, not_mine)
        falls = foreseen_text(foreseen, devices, await opened.contacts())
        for line in (*falls, *([RIVAL] if not_mine else ())):
            note(line)
        if asks and not removed:
            await _confirm(call, len(ids))
            if ids and stolen is None:
                stolen = await asked_stolen(call)
        wishes = not_mine, stolen is not False
        if same_words:
            await opened.recover(typed, ids, (), True, *wishes)
        else:
            await _replace(call, opened, typed, ids, wishes)
        await handed_out(opened)
        new_keys = (await opened.me()).terminal != before
    used = f"Your recovery words were used, and {_counted(len(ids))} removed." if ids else USED
    said = [used, "Your contacts are warned.", SAME_WORDS if same_words else OLD_OPEN_NOTHING]
    said += [NEW_KEYS] if new_keys else []
    fields = {"recovered": True, "removed": list(ids), "new_keys": new_keys, "same_words": same_words}
    call.result({**fields, **foreseen_fields(foreseen)}, " ".join(said))


async def _replace(
    call: Call, opened: Messenger, typed: tuple[str, ...], removed: tuple[str, ...], wishes: tuple[bool, bool]
) -> None:
    """Recover to new words, which are shown again to a person who types one of them wrong.

    `wishes`: `not_mine` and `stolen` of `Messenger.recover`.
    """
    note(NEW_WORDS)
    while True:
        answers = await typed_back(call, await opened.begin_recovery(), NOT_USED)
        try:
            await opened.recover(typed, removed, answers, False, *wishes)
        except NotTypedBack as refused:
            if not is_interactive():
                raise
            note(str(refused))
        else:
            return


async def typed_words(call: Call) -> tuple[str, ...]:
    """The recovery words from the input, in any number of lines."""
    words: list[str] = []
    note(f"Type the {RECOVERY_WORDS} recovery words, in as many lines as you like.")
    while len(words) < RECOVERY_WORDS and (line := await call.lines.next_line()) is not None:
        words += line.split()
    return tuple(words)


async def _chosen(call: Call, devices: Sequence[TerminalView]) -> list[TerminalView]:
    """The devices that the person chooses to remove. Raises UsageError."""
    for number, view in enumerate(devices, 1):
        note(f"  {number}  {terminal_line(view)}")
    chosen = dict[str, TerminalView]()
    if devices:
        call.lines.forget_typed()  # a line behind the words is no answer
        note("If this device may have been copied, name it too: it gets new keys.")
        question("Remove which of these devices? (numbers, or Enter for none)")
        for typed in (await call.lines.next_line() or "").replace(",", " ").split():
            if not (typed.isascii() and typed.isdigit() and 1 <= int(typed) <= len(devices)):
                raise UsageError(f"Type numbers from 1 to {len(devices)}.")
            view = devices[int(typed) - 1]
            chosen[view.terminal] = view
    return list(chosen.values())


async def _confirm(call: Call, removed: int) -> None:
    """Raises Stopped where the person does not want it."""
    also = f" and remove {_counted(removed)}" if removed else ""
    if not await confirmed(call.lines, f"Use the recovery words{also}? Your contacts are warned. [y/n]"):
        raise Stopped(NOT_USED)


def _counted(devices: int) -> str:
    return "1 device" if devices == 1 else f"{devices} devices"
