"""What a proof found, as text for a terminal and as a row for machines.

Rules: the sentence first, then what it came to, then what was done and measured; reasons stand where the
claim does not hold.
"""

from __future__ import annotations

import textwrap
from typing import Final

from chat.prove.findings import Finding, Outcome
from chat.prove.runner import Proof

WIDTH: Final = 100
_INDENT: Final = "    "


def lines(finding: Finding) -> str:
    """One claim, for people."""
    head = f"{finding.claim.id}  {finding.claim.text}  {finding.outcome.words.upper()}"
    told = [f"{_INDENT}{finding.reason[:1].upper()}{finding.reason[1:]}."] if finding.reason else []
    did = [_wrapped(what) for what in finding.done]
    measured = [f"{_INDENT}- {one.text}" for one in finding.measured if one.label]
    return "\n".join([head, *map(_folded, told), *did, *map(_folded, measured)])


def _wrapped(sentence: str) -> str:
    return textwrap.fill(sentence, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _folded(line: str) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent=_INDENT + "  ", break_long_words=False)


def summary(proof: Proof) -> str:
    """The end, and what is not claimed."""
    counts = ", ".join(f"{outcome.words}: {proof.count(outcome)}" for outcome in Outcome)
    limits = [_folded(f"{_INDENT}- {sentence}") for sentence in proof.limits.not_claimed]
    return "\n".join(["Not claimed:", *limits, f"{counts}; {proof.seconds:.0f} seconds."])


def summary_row(proof: Proof) -> dict[str, object]:
    """The end, for machines."""
    counts = {outcome.value: proof.count(outcome) for outcome in Outcome}
    return {**counts, "seconds": round(proof.seconds, 1), "not_claimed": list(proof.limits.not_claimed)}
