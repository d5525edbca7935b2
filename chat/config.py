"""Every time and bound of the engine that the protocol does not set."""

from __future__ import annotations

from msgspec import Struct


class Config(Struct, frozen=True):
    """Times in seconds, and bounds. Tests use others to reach a state sooner."""

    port: int = 4747  # first port tried; the next free ones follow
    ports_tried: int = 64  # ports tried before the engine gives up
    keep_port: bool = False  # whether the user chose `port`: then no other is tried
    dial_timeout: float = 3.0  # for a first connection to an address that may be stale
    probe_timeout: float = 0.9
    """For a connection while a contact does not answer: the kernel repeats a lost SYN after a second."""
    probe_every: float = 0.3  # between two probes of a contact that was there a moment ago
    probe_for: float = 600.0  # duration of probing at that rate
    retry_most: float = 30.0  # longest pause between attempts to reach a contact that has been away for long
    second_dial_delay: float = 0.25
    """The side with the higher static key dials later, so that the two make one link."""
    direct_head_start: float = 0.25
    """Direct addresses of an absent contact are tried for this long before a relay (RFC 8305)."""
    direct_retry_most: float = 300.0
    """Longest pause between direct attempts while a link through a relay works."""
    relay_retry_least: float = 1.0
    """First pause after a failure to reach a relay, or a contact through one; each is twice the last."""
    relay_retry_most: float = 30.0  # longest pause between attempts to reach a relay
    relay_dials_most: float = 120.0
    """Longest pause between dials of an absent contact: when it comes back, it dials itself."""
    suspect_after: float = 1.2  # a link unanswered for this long is probed by a second one
    absent_after: float = 3.0  # a contact that does not answer for this long is shown as absent
    visible_for: float = 120.0  # duration of visibility to strangers
    pairing_for: float = 300.0  # a pairing without an answer ends
    handshakes_total: int = 64
    """Connections that are not authenticated. Any machines on the network can fill them."""
    handshakes_address: int = 8  # the same per address
    handshake_rate: float = 40.0  # new handshakes per second for addresses of no known contact
    clean_after: float = 5.0
    """Pause after the last deletion, so that several are cleaned together when the database is idle."""
    clean_patience: int = 24
    """Times that a cleaning waits for a pause before it runs although others use the database."""
    mark_every: float = 10.0
    """Pause between two marks outside of the profile, each of which costs a commit and a file."""
    check_after: float = 600.0  # after the start, the database is checked if that is due
    clean_again: float = 60.0  # pause after a failed cleaning
    clean_told: float = 1.0  # pause between two reports of how far a cleaning is
    clock_saved_every: float = 3600.0
    """Longest time between two moments of the profile's clock that are stored while an entry is to end."""
    ranks_every: float = (
        0.02  # pause between two pieces of ranks that are due, which share the database's time
    )
    relays_most: int = 8
    """Named relays: two invitations of four. This terminal keeps a connection to each."""
    features: tuple[int, ...] = ()
    """Features that this terminal names on its links (SPEC §5.3). This version has none."""
    keep_round_after: float = 3.0
    """Pause before a round that lets go of old bodies: who looks through the choices has not chosen yet. So
    long own terminals may answer, too, before what none of them keeps is wanted of everybody."""
    sync_within: float = 10.0  # a removal waits for what links still bring of the removed terminal
    typing_lasts: float = 6.0  # duration of a typing mark that is not renewed
