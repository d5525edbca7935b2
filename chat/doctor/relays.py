"""Are the relays that this person named there, and are they the ones that were named?

Rules: a relay is shown by its host and port, never by its key; where this machine has no network at all its
relays are not blamed.
"""

from __future__ import annotations

from chat.doctor.calling import Reply
from chat.doctor.context import Context
from chat.doctor.evidence import Evidence
from chat.interface import DiagnosisView
from chat.phrases import Phrase, phrase

CHECK = phrase("relay")
_START = phrase("Start it (parlour relay), or see whether a firewall keeps you from it.")
_NEW = phrase("Ask whoever runs it for its address with the new key, then: parlour relays add ADDRESS.")
_WRONG = phrase("Look at its port, and name it anew: parlour relays add ADDRESS.")
_UPDATE = phrase("Use the same version of Parlour there and here.")
_LATER = phrase("It is busy: it takes you again in a minute or so.")


def lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    """One line a relay."""
    return [_line(name, reply) for name, reply in evidence.relays.items() if evidence.lan or _is_there(reply)]


def _is_there(reply: Reply) -> bool:
    return reply is not Reply.NOBODY


def _line(name: str, reply: Reply) -> DiagnosisView:
    said, fix = _said(name, reply)
    return DiagnosisView(CHECK, reply is Reply.WELCOME, said, fix)


def _said(name: str, reply: Reply) -> tuple[Phrase, Phrase]:
    match reply:
        case Reply.WELCOME:
            return phrase("{relay} answers", relay=name), Phrase()
        case Reply.NOBODY:
            return phrase("{relay} cannot be reached", relay=name), _START
        case Reply.OTHER_KEY:
            return phrase("{relay} has another key than the one that was named", relay=name), _NEW
        case Reply.OTHER_VERSION:
            return phrase("{relay} speaks another version", relay=name), _UPDATE
        case Reply.TURNED_AWAY:
            return phrase("{relay} hangs up at once", relay=name), _LATER
        case Reply.OTHER:
            return phrase("what answers at {relay} is no relay", relay=name), _WRONG
