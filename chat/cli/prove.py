"""The command that looks at Parlour's own claims on this machine: prove.

Rules: nobody's profile is opened or asked for; what it is doing goes to standard error, what it found to
standard output; status 0 only where every claim holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from chat.cli.failures import DONE, FAILED
from chat.cli.options import command
from chat.cli.output import note
from chat.cli.session import Call
from chat.interface import CannotCreate, UsageError

if TYPE_CHECKING:
    from chat.prove.runner import Proof

ITS_OWN: Final = "A proof has profiles of its own: leave --profile, --port and --passphrase-file out."


@command("prove")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Write a page too, which needs nothing else and can be handed on.",
)
@click.option(
    "--relay-pid",
    type=click.IntRange(1),
    metavar="PID",
    help="Examine the relay that runs as this process: yours and --examinable, or as root.",
)
@click.pass_obj
def prove(call: Call, report: Path | None, relay_pid: int | None) -> int:
    """Check Parlour's claims on this machine, each by an experiment.

    Takes half a minute, needs no rights and stays on this machine: two people with profiles that are thrown
    away talk while everything that they leave behind is searched. Status 0 only if every claim holds.
    """
    if call.profile or call.port or call.passphrase_file is not None:
        raise UsageError(ITS_OWN)
    return call.run_alone(lambda: _prove(call, report, relay_pid))


async def _prove(call: Call, report: Path | None, relay_pid: int | None) -> int:
    # A program of its own, as those that measure are.
    from chat.prove.report import lines, summary, summary_row
    from chat.prove.runner import prove
    from chat.prove.stage import Setting

    proof = await prove(note, Setting(relay_pid=relay_pid))
    for finding in proof.findings:
        call.result(finding.row(), lines(finding))
    call.result(summary_row(proof), summary(proof))
    if report is not None:
        _write(report, proof)
    return DONE if proof.holds else FAILED


def _write(path: Path, proof: Proof) -> None:
    from chat.prove.page import page

    try:
        path.write_text(page(proof), encoding="utf-8")
    except OSError as error:
        raise CannotCreate(f"The report cannot be written ({error.strerror}): name another file.") from None
    note(f"The report is in {path}.")
