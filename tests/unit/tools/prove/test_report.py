"""What a proof says: rows for machines, lines for a terminal, and a page that needs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from chat.tools.prove.findings import Claim, Finding, Measure, Outcome, Record, judged, read_claims
from chat.tools.prove.report import lines, page, summary, summary_row
from chat.tools.prove.runner import Proof

HOSTILE = "<script>alert('x')</script> & \"more\""
EMPTY = {"br", "meta", "link", "img"}


def finding(outcome: Outcome, text: str = "It is so.", reason: str = "") -> Finding:
    measured = (Measure("pages", 12_345, "pages read"), Measure("places", ["a", "b"], "places"))
    return Finding(Claim("C9", text, f"{text} means", f"{text} shown"), outcome, reason, (text,), measured)


def proof(*findings: Finding) -> Proof:
    return Proof(findings, ("Nothing more.",), 12.34)


class Reader(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_one_violation_is_enough_and_an_unfinished_experiment_proves_nothing() -> None:
    claim = Claim("C9", "a", "b", "c")
    assert judged(claim, Record()).outcome is Outcome.HOLDS
    assert judged(claim, Record(), "no way").outcome is Outcome.UNSHOWN
    broken = Record(violations=["there it is"])
    for unshown in ("", "no way"):
        assert judged(claim, broken, unshown).outcome is Outcome.FAILS
        assert judged(claim, broken, unshown).reason == "there it is"
    many = judged(claim, Record(violations=[str(number) for number in range(20)]))
    assert many.reason.endswith("; and 12 more")
    assert proof(finding(Outcome.HOLDS)).holds
    for other in (Outcome.FAILS, Outcome.UNSHOWN):
        assert not proof(finding(Outcome.HOLDS), finding(other)).holds


def test_for_machines() -> None:
    row = finding(Outcome.FAILS, reason="there").row()
    assert list(row) == ["claim", "sentence", "outcome", "reason", "done", "measured"]
    assert (row["outcome"], row["measured"]) == ("fails", {"pages": 12_345, "places": ["a", "b"]})
    expected = {"holds": 1, "fails": 0, "unshown": 0, "seconds": 12.3, "not_claimed": ["Nothing more."]}
    assert summary_row(proof(finding(Outcome.HOLDS))) == expected


def test_for_people() -> None:
    text = lines(finding(Outcome.UNSHOWN, reason="no way here"))
    assert text.splitlines() == [
        "C9  It is so.  CANNOT BE SHOWN HERE",
        "    No way here.",
        "    It is so.",
        "    - 12,345 pages read",
        "    - places: a, b",
    ]
    end = summary(proof(finding(Outcome.HOLDS), finding(Outcome.FAILS)))
    assert end.splitlines()[-1] == "holds: 1, does not hold: 1, cannot be shown here: 0; 12 seconds."
    assert "Nothing more." in end


@pytest.mark.parametrize("outcome", Outcome)
def test_the_page_has_everything_and_asks_for_nothing(outcome: Outcome) -> None:
    source = page(proof(finding(outcome, HOSTILE, HOSTILE)))
    reader = Reader(source)
    assert reader.open == []
    assert not reader.tags & {"script", "link", "img", "iframe", "object", "form", "base", "a"}
    assert not reader.attributes & {"src", "href", "style", "onload", "onclick", "srcset", "action"}
    assert not re.search(r"url\(|@import|https?:|//", source)
    text = "".join(reader.text)
    assert text.count(HOSTILE) >= 5, "every text, as it is"
    for wanted in (outcome.words, "12,345", "pages read", "places: a, b", "Nothing more.", "parlour prove"):
        assert wanted in text
    for style in ("prefers-color-scheme: dark", "@media print"):
        assert style in source


def test_every_claim_has_what_is_said_of_it() -> None:
    claims, not_claimed = read_claims()
    assert [claim.id for claim in claims] == ["C1", "C2", "C3", "C4", "C5", "C6", "C7"]
    assert all(claim.text and claim.means and claim.shown for claim in claims)
    assert not_claimed
