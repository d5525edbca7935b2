"""What a proof found: text for a terminal, a row for machines, and an HTML page."""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from chat.tools.prove.findings import Finding, Outcome
from chat.tools.prove.runner import Proof

WIDTH: Final = 100
_INDENT: Final = "    "


def lines(finding: Finding) -> str:
    head = f"{finding.claim.id}  {finding.claim.text}  {finding.outcome.words.upper()}"
    told = [f"{_INDENT}{finding.reason[:1].upper()}{finding.reason[1:]}."] if finding.reason else []
    did = [
        textwrap.fill(what, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT) for what in finding.done
    ]
    measured = [f"{_INDENT}- {one.text}" for one in finding.measured if one.label]
    return "\n".join([head, *map(_folded, told), *did, *map(_folded, measured)])


def _folded(line: str) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent=_INDENT + "  ", break_long_words=False)


def summary(proof: Proof) -> str:
    counts = ", ".join(f"{outcome.words}: {proof.count(outcome)}" for outcome in Outcome)
    limits = [_folded(f"{_INDENT}- {sentence}") for sentence in proof.not_claimed]
    return "\n".join(["Not claimed:", *limits, f"{counts}; {proof.seconds:.0f} seconds."])


def summary_row(proof: Proof) -> dict[str, object]:
    counts = {outcome.value: proof.count(outcome) for outcome in Outcome}
    return {**counts, "seconds": round(proof.seconds, 1), "not_claimed": list(proof.not_claimed)}


_MARKS: Final = {Outcome.HOLDS: "✓", Outcome.FAILS: "✗", Outcome.UNSHOWN: "?"}

_STYLE: Final = """
:root { color-scheme: light dark; --ground: #fdfdfb; --ink: #1c1c1a; --soft: #5b5b56; --line: #d8d8d0;
  --holds: #1a6b36; --fails: #a31515; --unshown: #7a5900; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #161618; --ink: #ececea; --soft: #a9a9a4; --line: #3a3a3e;
    --holds: #6fd08c; --fails: #ff8a80; --unshown: #e5bf5a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 46rem; padding: 2rem 1.2rem 4rem;
  background: var(--ground); color: var(--ink);
  font: 1.05rem/1.6 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 0; }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; color: var(--soft); }
p { margin: .5rem 0; } .soft { color: var(--soft); }
section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: 1.4rem; }
ul { margin: .3rem 0; padding-left: 1.2rem; } li { margin: .2rem 0; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0;
  border-bottom: 1px solid var(--line); }
td:last-child, th:last-child { padding-right: 0; }
.overview td:last-child { white-space: nowrap; }
.holds { color: var(--holds); } .fails { color: var(--fails); } .unshown { color: var(--unshown); }
.outcome { font-weight: 600; } .reason { border-left: .25rem solid currentColor; padding-left: .8rem; }
.figures { font-variant-numeric: tabular-nums; margin-top: .3rem; }
.figures td { overflow-wrap: anywhere; padding-top: .2rem; padding-bottom: .2rem; }
.figures td:first-child:not([colspan]) { text-align: right; white-space: nowrap; width: 1%; }
h2, h3 { break-after: avoid; } li, tr { break-inside: avoid; }
@media print { body { max-width: none; padding: 0; font-size: 10.5pt; background: #fff; color: #000; }
  }
""".strip()

_INTRODUCTION: Final = """
<p>Parlour is a messenger without a server. Messages are encrypted and stored only on the devices of the
people who write them. You do not have to believe that. Each statement below was tested on one ordinary
machine: two invented people sent each other random words, and Parlour then searched for those words in every
place where they must not be. Each search first had to find words that were planted on purpose.</p>
""".strip()

_AGAIN: Final = """
<p><code>parlour prove</code> repeats all of this on any machine with Parlour, with other words. It needs no
privileges, changes nothing and sends nothing to the network. This page shows the result of one machine at
one time, and anyone who passes it on could have altered it. The command itself is the better proof.</p>
""".strip()


def page(proof: Proof) -> str:
    overview = "\n".join(
        f"<tr><td>{escape(one.claim.id)}</td><td>{escape(one.claim.text)}</td><td>{_outcome(one)}</td></tr>"
        for one in proof.findings
    )
    sections = "\n".join(_section(finding) for finding in proof.findings)
    day = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    try:
        here = f"Parlour {version('parlour')} on {platform.system()}"
    except PackageNotFoundError:
        here = f"Parlour (not installed) on {platform.system()}"
    when = f"{day}, {here}; the experiments took {proof.seconds:.0f} seconds."
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>What Parlour claims, and what this machine showed</title>
<style>
{_STYLE}
</style>
</head>
<body>
<main>
<h1>What Parlour claims, and what this machine showed</h1>
<p class="soft">{escape(when)}</p>
{_INTRODUCTION}
<table class="overview">
<thead><tr><th></th><th>Claim</th><th>Found</th></tr></thead>
<tbody>
{overview}
</tbody>
</table>
{sections}
<section>
<h2>What is not claimed</h2>
{_list(proof.not_claimed)}
</section>
<section>
<h2>Do it yourself</h2>
{_AGAIN}
</section>
</main>
</body>
</html>
"""


def _outcome(finding: Finding) -> str:
    kind = finding.outcome
    return f'<span class="outcome {kind.value}">{_MARKS[kind]} {escape(kind.words)}</span>'


def _section(finding: Finding) -> str:
    reason = ""
    if finding.reason:
        reason = f'<p class="reason {finding.outcome.value}">{escape(finding.reason)}</p>\n'
    figures = "\n".join(
        f"<tr><td>{escape(one.number)}</td><td>{escape(one.label)}</td></tr>"
        if one.number
        else f'<tr><td colspan="2">{escape(one.text)}</td></tr>'
        for one in finding.measured
        if one.label
    )
    table = f'<table class="figures">\n{figures}\n</table>' if figures else "<p>Nothing.</p>"
    return f"""<section>
<h2>{escape(finding.claim.id)} · {escape(finding.claim.text)}</h2>
<p>{_outcome(finding)}</p>
{reason}<h3>What it means</h3>
<p>{escape(finding.claim.means)}</p>
<h3>How it was looked at</h3>
<p>{escape(finding.claim.shown)}</p>
<h3>What was done</h3>
{_list(finding.done)}
<h3>What was measured</h3>
{table}
</section>"""


def _list(texts: Iterable[str]) -> str:
    return "<ul>\n" + "\n".join(f"<li>{escape(text)}</li>" for text in texts) + "\n</ul>"
