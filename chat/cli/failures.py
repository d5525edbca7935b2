"""How a run ends: every exception becomes one exit status and at most one line.

Rules: the text of an unexpected exception is never shown, it may hold a peer's words or a key; a
traceback is shown on demand only, and then as places in the code without values.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Final

import click

from chat.cli.output import OutputClosed, OutputFailed, note
from chat.interface import ParlourError, UsageError

DONE: Final = 0
FAILED: Final = 1
KEPT: Final = 75
"""`send`: the entry waits for an absent contact (EX_TEMPFAIL of sysexits.h)."""

STOPPED: Final = "Stopped before it was done: run the command again."


class Stopped(ParlourError):
    """The person stopped it, or decided against it."""


def exit_status(error: BaseException, *, verbose: bool) -> int:
    """The status of a failure, said in one line on standard error."""
    status, line = _verdict(error)
    try:
        if line:
            note(line)
        if verbose and not isinstance(error, ParlourError | click.ClickException):
            for place in _places(error):
                note(place)
    except (OutputClosed, OutputFailed):
        return status  # nowhere is left to say it
    return status


def _verdict(error: BaseException) -> tuple[int, str]:
    match error:
        case ParlourError():
            return error.exit_status, str(error)
        case click.ClickException():
            return UsageError.exit_status, _usage(error)
        case click.Abort():  # Ctrl-C, as click has it
            return FAILED, STOPPED
        case OutputClosed():
            return DONE, ""
        case OutputFailed():
            return FAILED, f"The output cannot be written ({error.reason}): make room or name another place."
        case OSError() if error.strerror:
            return FAILED, f"The system refused ({error.strerror}): mend that and run the command again."
    kind = type(error).__name__
    return FAILED, f"Parlour failed unexpectedly ({kind}): --verbose shows where, please report it."


def _usage(error: click.ClickException) -> str:
    line = " ".join(error.format_message().split())
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{line} '{context.command_path} --help' shows how." if context is not None else line


def _places(error: BaseException) -> Iterator[str]:
    """Where it happened, the innermost last; and what caused it before."""
    if error.__cause__ is not None:
        yield from _places(error.__cause__)
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
    yield f"  {type(error).__name__}"


class Places(logging.Formatter):
    """Log lines whose exceptions are places in the code, without their text."""

    def formatException(self, ei: Any) -> str:
        return "\n".join(_places(ei[1]))


def quieten(verbose: Callable[[], bool]) -> None:
    """Nothing but the program itself writes to standard error, whatever a library or a thread does."""
    logging.getLogger().handlers = [logging.NullHandler()]
    threading.excepthook = lambda failed: _background(failed.exc_value, verbose())
    sys.unraisablehook = lambda failed: _background(failed.exc_value, verbose())


def log_to_stderr() -> None:
    """Show the engine's log; other libraries' logs may hold a peer's text."""
    handler = logging.StreamHandler()
    handler.setFormatter(Places("%(asctime)s %(name)s %(message)s"))
    engine = logging.getLogger("chat")
    engine.handlers, engine.propagate = [handler], False
    engine.setLevel(logging.DEBUG)


def loop_handler(*, verbose: bool) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """asyncio's handler of failures that nobody waits for."""

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        _background(context.get("exception"), verbose)

    return handle


def _background(error: BaseException | None, verbose: bool) -> None:
    """The command goes on, so this is a line beside it, not its end."""
    kind = type(error).__name__ if error is not None else "no exception"
    note(f"Something failed in the background ({kind}): run it again with --verbose to see where.")
    if verbose and error is not None:
        for place in _places(error):
            note(place)
