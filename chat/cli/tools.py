"""The commands about Parlour itself: doctor, vectors, bench, demo, prove. None opens the profile."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn

import click

import chat
from chat.cli.output import FAILED, note, one_line
from chat.cli.session import Call, command, coroutine, messenger
from chat.interface import BadData, CannotCreate, DiagnosisView, Unreachable, UsageError

if TYPE_CHECKING:
    from chat.tools.bench.measure import Figure


PERCENT_A_NOTE: Final = 10


@command("doctor")
@click.option("--deep", is_flag=True, help="Check every page of the profile, and repair it.")
@click.option("--seen", is_flag=True, help="Show no more what happened to the files of the profile.")
@coroutine
async def doctor(call: Call, deep: bool, seen: bool) -> int | None:
    """Find out why two devices do not see each other.

    Checks network, port, firewall, clock and profile, and shows how to fix what is wrong.

    --deep checks the files of the profile instead. What can be read of a damaged one is saved; what is lost
    comes back from contacts. Status 1: something was wrong.
    """
    if deep:
        return await _check_files(call)
    if seen:
        async with messenger(call, offline=True) as opened:
            await opened.dismiss_alerts()
        return None
    door, lines = call.door(), None
    # From the running engine, else from outside: neither needs the passphrase.
    with suppress(Unreachable):  # no engine, or it ended meanwhile
        running = await door.attach()
        try:
            lines = await running.diagnose()
        finally:
            await running.close()
    if lines is None:
        lines = await door.diagnose()
    return _print(call, lines)


async def _check_files(call: Call) -> int | None:
    """Check the database to its end, with progress, and print what was found."""
    async with messenger(call, offline=True) as opened:
        view, shown = await opened.check_files(), 0
        while view.after is not None:
            if view.percent >= shown + PERCENT_A_NOTE:
                shown = view.percent
                note(f"{shown} % checked")
            view = await opened.check_files(view.after)
    return _print(call, view.lines)


def _print(call: Call, lines: Iterable[DiagnosisView]) -> int | None:
    lines = tuple(lines)
    for line in lines:
        fields = {"check": line.check, "good": line.good, "found": line.found, "fix": line.fix}
        text = f"{'good' if line.good else 'BAD '}  {line.check}: {one_line(line.found)}"
        call.result(fields, f"{text}\n      {one_line(line.fix)}" if line.fix else text)
    return None if all(line.good for line in lines) else FAILED


@command("vectors")
@click.option(
    "--public",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="PARLOUR_PUBLIC_VECTORS",
    metavar="DIR",
    help="Also run the published vectors in this folder (default: PARLOUR_PUBLIC_VECTORS).",
)
@click.pass_obj
def vectors(call: Call, public: Path | None) -> int | None:
    """Check this installation against the test vectors."""
    # The protocol's own program; nothing of it is loaded for any other command.
    from protocol.vectors.own import run_own
    from protocol.vectors.public import missing_areas, run_public

    passed = failed = 0
    published = run_public(public) if public is not None else ()
    for report in chain(run_own(), published):
        area = {
            "area": report.area,
            "passed": report.passed,
            "failed": list(report.failed),
            "unknown": list(report.unknown),
        }
        text = f"{report.area}: {report.passed} passed, {len(report.failed)} failed"
        text += "".join(f"\n    not run, not implemented here: {one_line(name)}" for name in report.unknown)
        text += "".join(f"\n    failed: {name}" for name in report.failed)
        call.result(area, text)
        passed, failed = passed + report.passed, failed + len(report.failed)
    fields = {"passed": passed, "failed": failed}
    call.result(fields, f"{passed} passed, {failed} failed")
    if public is not None and (missing := missing_areas(public)):
        raise BadData(
            f"{public} has no vectors for {', '.join(missing)}: give the folder that contains them."
        )
    return FAILED if failed else None


@command("bench")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--peers", is_flag=True, help="Also measure other implementations that are installed.")
@click.option(
    "--flows", is_flag=True, help="Measure waiting times in the program instead, with their bounds."
)
@click.option("--interface", is_flag=True, help="Measure the interface with a million messages instead.")
@click.option("--rest", is_flag=True, help="Measure how often Parlour wakes while nobody writes instead.")
@click.option(
    "--entries",
    type=click.IntRange(1_000, 10_000_000),
    metavar="N",
    help="Messages that the storage rows create first, instead of 1,000,000.",
)
@click.pass_obj
def bench(
    call: Call,
    names: tuple[str, ...],
    peers: bool,
    flows: bool,
    interface: bool,
    rest: bool,
    entries: int | None,
) -> int | None:
    """Measure what a message costs, next to bare libsodium.

    NAME is a row, or the part before its dot: session, noise, link, codec, commit, storage,
    history, file, relay.

    The storage rows first create a history of 1,000,000 messages in the folder for temporary files, which
    takes two minutes and 2 GB.

    --flows measures how long people wait, in the real program with two new profiles on this machine.

    --interface measures start, keys, memory and idle load of the interface with 1,000,000 messages, which it
    first creates in the folder for temporary files.

    --rest measures how often 'parlour listen' wakes the processor in an hour in which nobody writes, its
    links, the bytes that its network card carries, and its memory: with one contact, with one who has two
    devices, with two, with 8 who all know each other, and with 30. It counts for three minutes, and an hour
    is that times 20. It then waits until the 30 links are replaced, 13 minutes after they were opened, and
    counts what that adds. At last it opens the interface with 30 contacts and measures its memory.

    Status 1: a bound is missed.
    """
    chosen = [f"--{one}" for one, is_on in _programs(flows, interface, rest) if is_on]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} are separate measurements: choose one of them.")
    if chosen and (names or peers):
        raise UsageError(f"{chosen[0]} measures all its figures: omit names and --peers.")
    # The programs that it starts use this installation, where it lies in a bundle, too.
    root = str(Path(chat.__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    # Programs of their own, which look at Parlour from outside.
    if interface:
        from chat.tools.bench.interface import measure as measure_interface

        note(
            "Creating a profile with 1,000,000 messages (one minute, 800 MB), then three runs of one"
            " minute each."
        )
        return _figures(call, measure_interface(note), 16)
    if rest:
        from chat.tools.bench.rest import measure as measure_rest

        note("47 new people write nothing, and replace their links once: this takes 18 minutes or more.")
        return _figures(call, measure_rest(), 19)
    if flows:
        from chat.tools.bench.flows import measure as measure_flows

        note("Five rounds with two new people: this takes a minute or two.")
        return _figures(call, measure_flows(), 13)
    from chat.tools.bench import report

    try:
        asked = report.select(names)
    except KeyError as unknown:
        raise UsageError(
            f"There is no measurement {unknown.args[0]}: choose from {', '.join(report.NAMES)}."
        ) from None
    for name in asked:
        for block in report.blocks(report.run(name, peers=peers, entries=entries)):
            for row, text in zip(block, report.lines(block), strict=True):
                call.result(row, text)
    return None


def _programs(flows: bool, interface: bool, rest: bool) -> tuple[tuple[str, bool], ...]:
    return ("flows", flows), ("interface", interface), ("rest", rest)


def _figures(call: Call, figures: Iterable[Figure], width: int) -> int | None:
    """Print each figure with its bound. FAILED: a bound was missed, or a figure not taken."""
    good = True
    for figure in figures:
        good = good and figure.good
        call.result(figure.row(), f"{figure.aim.name:<{width}} {figure.verdict()}")
    return None if good else FAILED


ITS_OWN: Final = "The demo has its own profile, passphrase and network: omit these options."
SIGNALS: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_LOCALE: Final = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


@command("demo")
@click.option("--linear", is_flag=True, help="Use the line-by-line interface for screen readers.")
@click.pass_obj
def demo(call: Call, linear: bool) -> int | None:
    """Try Parlour out: a few people on this machine, with a past.

    They answer your messages. Nothing leaves the program, and everything is deleted when it ends.
    """
    if call.json or call.profile or call.port or call.passphrase_file is not None:
        raise UsageError(ITS_OWN)
    call.linear = call.linear or linear
    # A program of its own, as those that measure are.
    from chat.tools.demo.door import PASSPHRASE, DemoDoor, throw_away

    with ended_in_order(), throw_away(note) as folder:
        try:
            return call.show(call, DemoDoor(folder, language(os.environ)), PASSPHRASE)
        finally:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)  # the folder is removed whole


def language(environment: Mapping[str, str]) -> str:
    """The language of the sample: `zh` where the locale asks for Chinese, else English."""
    wanted = next((environment[name] for name in _LOCALE if environment.get(name)), "")
    return "zh" if wanted.lower().startswith("zh") else "en"


@contextmanager
def ended_in_order() -> Iterator[None]:
    """A signal that would kill the program raises SystemExit with the status that a shell gives it."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


PROFILES_OF_ITS_OWN: Final = "A proof uses its own profiles: omit --profile, --port and --passphrase-file."


@command("prove")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Also write a self-contained HTML report.",
)
@click.option(
    "--relay-pid",
    type=click.IntRange(1),
    metavar="PID",
    help="Examine the relay with this process id; it must be yours and --examinable, or run as root.",
)
@coroutine
async def prove(call: Call, report: Path | None, relay_pid: int | None) -> int | None:
    """Check Parlour's claims on this machine, each by an experiment.

    This takes up to a minute, needs no privileges and stays on this machine. Two people with temporary
    profiles talk, and Parlour searches everything that they leave behind. Status 0: every claim holds.
    """
    if call.profile or call.port or call.passphrase_file is not None:
        raise UsageError(PROFILES_OF_ITS_OWN)
    # A program of its own, as those that measure are.
    from chat.tools.prove import report as texts
    from chat.tools.prove import runner
    from chat.tools.prove.stage import Setting

    proof = await runner.prove(note, Setting(relay_pid=relay_pid))
    for finding in proof.findings:
        call.result(finding.row(), texts.lines(finding))
    call.result(texts.summary_row(proof), texts.summary(proof))
    if report is not None:
        _write(report, texts.page(proof))
    return None if proof.holds else FAILED


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise CannotCreate(f"The report cannot be written ({error.strerror}): choose another file.") from None
    note(f"The report is in {path}.")
