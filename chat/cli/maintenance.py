"""Commands that look at the machine and at Parlour itself: doctor, vectors, bench.

Rules: what is not good ends with status 1; nothing is called passed that did not run.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chat.cli.failures import DONE, FAILED
from chat.cli.options import command
from chat.cli.output import note, one_line
from chat.cli.session import Call
from chat.interface import BadData, DiagnosisView, Door, Unreachable, UsageError

if TYPE_CHECKING:
    from chat.bench.report import Figure
    from protocol.vectors.frame import Report


@command("doctor")
@click.pass_obj
def doctor(call: Call) -> int:
    """Find out why two terminals do not see each other.

    Looks at the network, the port, the firewall, the clock and the profile, and says what mends each.
    """
    return call.run_alone(lambda: _doctor(call))


async def _doctor(call: Call) -> int:
    lines = await _diagnosis_of(call.door())
    for line in lines:
        fields = {"check": line.check, "good": line.good, "found": line.found, "fix": line.fix}
        call.result(fields, _diagnosis(line))
    return DONE if all(line.good for line in lines) else FAILED


async def _diagnosis_of(door: Door) -> tuple[DiagnosisView, ...]:
    """From the engine that runs on the profile, else from outside: no passphrase is asked for."""
    with suppress(Unreachable):  # no engine, or it ended meanwhile
        running = await door.attach()
        try:
            return await running.diagnose()
        finally:
            await running.close()
    return await door.diagnose()


def _diagnosis(line: DiagnosisView) -> str:
    text = f"{'good' if line.good else 'BAD '}  {line.check}: {one_line(line.found)}"
    return f"{text}\n      {one_line(line.fix)}" if line.fix else text


@command("vectors")
@click.option(
    "--public",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="PARLOUR_PUBLIC_VECTORS",
    metavar="DIR",
    help="Run the published vectors in this folder too, else in PARLOUR_PUBLIC_VECTORS.",
)
@click.pass_obj
def vectors(call: Call, public: Path | None) -> int:
    """Check this installation against the test vectors."""
    # The protocol's own program; nothing of it is loaded for any other command.
    from protocol.vectors.own import run_own
    from protocol.vectors.public import missing_areas, run_public

    passed = failed = 0
    published = run_public(public) if public is not None else ()
    for report in chain(run_own(), published):
        _print_area(call, report)
        passed, failed = passed + report.passed, failed + len(report.failed)
    fields = {"passed": passed, "failed": failed}
    call.result(fields, f"{passed} passed, {failed} failed")
    if public is not None and (missing := missing_areas(public)):
        raise BadData(f"{public} has no vectors for {', '.join(missing)}: name the folder that has them.")
    return FAILED if failed else DONE


def _print_area(call: Call, report: Report) -> None:
    """One line an area; what this installation does not have is named apart."""
    fields = {
        "area": report.area,
        "passed": report.passed,
        "failed": list(report.failed),
        "unknown": list(report.unknown),
    }
    text = f"{report.area}: {report.passed} passed, {len(report.failed)} failed"
    text += "".join(f"\n    not run, nothing here has it: {one_line(name)}" for name in report.unknown)
    text += "".join(f"\n    failed: {name}" for name in report.failed)
    call.result(fields, text)


@command("bench")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--peers", is_flag=True, help="Measure other implementations too, where they are installed.")
@click.option("--flows", is_flag=True, help="Measure instead what people wait for, each beside its bound.")
@click.option("--interface", is_flag=True, help="Measure instead the interface on a million entries.")
@click.pass_obj
def bench(call: Call, names: tuple[str, ...], peers: bool, flows: bool, interface: bool) -> int:
    """Measure what a message costs, beside bare libsodium.

    NAME is a row, or the part before its point: session, noise, link, codec, commit, relay.

    With --flows: how long people wait, from the real program with two new profiles on this machine.

    With --interface: start, keys, memory and rest of the terminal interface with 1,000,000 entries, which
    are made first, in the folder for temporary files.

    Status 1 where a bound is missed.
    """
    if flows and interface:
        raise UsageError("--flows and --interface are two measurements: name one of them.")
    if (flows or interface) and (names or peers):
        option = "--flows" if flows else "--interface"
        raise UsageError(f"{option} takes all its figures together: leave names and --peers out.")
    if interface:
        return _interface(call)
    return _flows(call) if flows else _rows(call, names, peers)


def _rows(call: Call, names: tuple[str, ...], peers: bool) -> int:
    # A program of its own, as above.
    from chat.bench import rows
    from protocol.bench import table

    try:
        asked = rows.select(names)
    except KeyError as unknown:
        raise UsageError(
            f"Nothing is measured as {unknown.args[0]}: there are {', '.join(rows.NAMES)}."
        ) from None
    for name in asked:
        for block in table.blocks(rows.run(name, peers=peers)):
            for row, text in zip(block, table.lines(block), strict=True):
                call.result(row, text)
    return DONE


def _flows(call: Call) -> int:
    # A program too: it looks at Parlour from outside, in terminals of its own.
    from chat.bench.flows import measure

    note("Five rounds of two new persons: this takes a minute or two.")
    return _figures(call, measure(), 13)


def _interface(call: Call) -> int:
    # The same, and before it a profile is written.
    from chat.bench.interface import measure

    note("First a profile of 1,000,000 entries: a minute or so, 800 MB. Then three runs of a minute each.")
    return _figures(call, measure(note), 16)


def _figures(call: Call, figures: Iterable[Figure], width: int) -> int:
    """Print each beside its bound; FAILED where one is missed or was not taken."""
    good = True
    for figure in figures:
        good = good and figure.good
        call.result(figure.row(), f"{figure.aim.name:<{width}} {figure.verdict()}")
    return DONE if good else FAILED
