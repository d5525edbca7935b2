"""What the flags of the link vectors mean: kind of bug and text (SPEC §20)."""

from __future__ import annotations

from typing import Final

NOTES: Final = {
    "Whole": ("BASIC", "A whole life of a link, both ends, with steps of the DH ratchet."),
    "Portions": ("EDGE_CASE", "The stream comes in other portions than frames."),
    "Choice": ("BASIC", "What the initiator takes of a greeting."),
    "ShareNumbers": ("EDGE_CASE", "Several shares: numbers are named, and psks tried in their order."),
    "Replacement": ("BASIC", "Confirm names the session that the link replaces."),
    "Stranger": ("CONFIDENTIALITY", "Whoever is not known is answered in the same form and size."),
    "Pieces": ("BASIC", "A message that travels in several envelopes."),
    "Keepalive": ("BASIC", "Pings and Pongs, and when a Ping is due."),
    "Time": ("EDGE_CASE", "Time ends a link: not open, not answered, too old."),
    "Close": ("BASIC", "An end that is said, and one that is not."),
    "Held": ("EDGE_CASE", "A link that waits for its invitation to be burned."),
    "Greeting": ("MALFORMED", "What answers is not Parlour, or not of this version."),
    "Version": ("DOWNGRADE", "No common version: both sides are told."),
    "Refused": ("EDGE_CASE", "Every choice that is not accepted has one and the same answer."),
    "Frame": ("RESOURCES", "A length that is refused before the body is awaited."),
    "Key": ("CONFIDENTIALITY", "A key of small order, not canonical, or that fails its check."),
    "Truncated": ("MALFORMED", "A handshake message that ends before its last key or tag."),
    "Tampered": ("AUTHENTICITY", "What came was altered on its way, or made under another key."),
    "Reflected": ("AUTHENTICITY", "What is one's own comes back."),
    "Payload": ("MALFORMED", "A handshake payload that is not what its message carries."),
    "Confirm": ("AUTHENTICITY", "The first envelope is not the Confirm of this link."),
    "Message": ("MALFORMED", "A message that has no place here."),
    "Replayed": ("REPLAY", "What was sent before is sent again."),
    "Limit": ("RESOURCES", "More than the link may carry."),
}
