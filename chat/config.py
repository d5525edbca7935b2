"""Every choice of the engine that is not the protocol's, in one frozen place.

Rules: numbers with their reason; no reading of files or environment here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Config:
    """Timing in seconds and bounds of one engine. Tests hand in others only to reach a state sooner."""

    port: int = 4747
    """First port tried; the next free ones follow."""

    ports_tried: int = 64
    """How many ports are tried before the engine gives up."""

    keep_port: bool = False
    """Whether `port` was named by the person: then no other is tried."""

    dial_timeout: float = 3.0
    """A first connection to an address that may be stale."""

    probe_timeout: float = 0.9
    """A connection while a contact does not answer: the kernel repeats a lost SYN only after a second."""

    probe_every: float = 0.3
    """Between two probes of a contact that was there a moment ago."""

    probe_for: float = 600.0
    """How long a contact that went away is probed at that pace."""

    retry_most: float = 30.0
    """Between two attempts to reach a contact that has been away for long."""

    second_dialler_waits: float = 0.25
    """The side with the higher static key leaves the first move to the other: one link, not two."""

    direct_head_start: float = 0.25
    """Direct addresses of an absent contact are tried for so long before a relay is asked (RFC 8305)."""

    direct_retry_most: float = 300.0
    """Between two attempts at a direct link while a relayed one is open, if nothing else changes."""

    relay_retry_least: float = 1.0
    """After the first failure to reach a relay, or a contact through one; each pause is twice the last."""

    relay_retry_most: float = 30.0
    """Between two attempts to reach a relay that is away."""

    relay_dials_most: float = 120.0
    """Between two dials for an absent contact, which dials itself when it comes to a relay."""

    suspect_after: float = 1.2
    """Unanswered for so long, a link is probed by a second one."""

    absent_after: float = 3.0
    """Unanswered for so long, a contact is shown as absent."""

    visible_for: float = 120.0
    """Visibility to strangers ends by itself."""

    invitation_for: int = 3600
    """Seconds that an invitation stays valid."""

    pairing_for: float = 300.0
    """A pairing that nobody answers ends."""

    handshakes_total: int = 64
    """Connections not yet authenticated, in all."""

    handshakes_address: int = 8
    """Connections not yet authenticated, an address."""

    handshake_rate: float = 40.0
    """New handshakes a second that are computed for addresses of no known contact."""

    clean_after: float = 5.0
    """Since the last deletion: several in a row are cleaned away together, when nobody is waiting."""

    clean_patience: int = 24
    """Times that a cleaning waits for a pause, or gives way, before it is done although others wait."""

    clean_again: float = 60.0
    """Between two attempts to clean, where the disk does not let it."""

    relays_most: int = 8
    """Relays that a person names: two invitations of four. At each this terminal keeps a connection open."""

    typing_lasts: float = 6.0
    """A typing mark that is not renewed goes away."""
