"""Every number of the protocol with its section of SPEC.md (SPEC §16)."""

from __future__ import annotations

from typing import Final

# --- Specification constants: a change affects the wire or what a peer accepts, and needs a new version ---

NOISE_MESSAGE_MAX: Final = 65_535
"""Bytes of one Noise message, tag included (Noise §3)."""
NOISE_NONCE_MAX: Final = 2**64 - 1
"""Reserved nonce that no message may use (Noise §5.1)."""
PADDED_MIN: Final = 256
"""Smallest padded payload of an envelope, bytes (SPEC §9.5)."""
PADDED_MAX: Final = 61_440
"""Largest padded payload of an envelope, bytes; larger content travels in pieces (SPEC §9.5)."""
CONTENT_MAX: Final = PADDED_MAX - 2
"""Largest content of one envelope, bytes: the padded payload less its length field (SPEC §9.5)."""
COUNTER_MAX: Final = 2**32 - 1
"""Reserved value of the header counters N and PN: refused on both sides (SPEC §9.6)."""
OPERATION_BYTES_MAX: Final = 1_024
"""One signed operation of a person log that is no Renew and no Recover, bytes (SPEC §7.2)."""
RENEW_BYTES_MAX: Final = 4_096
"""A signed Renew, bytes: room for the secrets of SEALED_MAX terminals (SPEC §7.2)."""
RECOVER_BYTES_MAX: Final = 8_192
"""A signed Recover, bytes: a signature of ML-DSA-65 and its key are 5,261 of these (SPEC §7.2)."""
SEALED_MAX: Final = 64
"""Terminals to which one operation hands the secret that it draws (SPEC §7.2)."""
KEEP_MAX: Final = 4
"""Operations up to which a removal keeps the grants of a terminal (SPEC §7.2)."""
LOG_OPERATIONS_MAX: Final = 256
"""Operations in one message, and of one log those of a class of authors (SPEC §7.3)."""
LOG_MESSAGE_BYTES: Final = 262_144
"""Operations in one message, bytes together: those beyond go in the next one (SPEC §5.13)."""
PARENTS_MAX: Final = 16
"""Parents or heads that one operation or entry names (SPEC §7.2, §11.1)."""
HEADER_BYTES_MAX: Final = 2_048
"""One entry header, bytes (SPEC §11.1)."""
BODY_BYTES_MAX: Final = 131_072
"""One entry body, bytes (SPEC §11.1)."""
TEXT_CHARACTERS_MAX: Final = 16_384
"""Characters of a text entry (SPEC §11.1)."""
SEQUENCE_FOLLOWED_MAX: Final = 2**52
"""Own entries of this sequence or a higher one are not followed by another (SPEC §11.1)."""
SALT_BYTES: Final = 16
"""Salt of an entry's body (SPEC §11.1)."""
HEADS_MAX: Final = 256
"""Heads in one message (SPEC §11.4)."""
HEADS_PER_AUTHOR_MAX: Final = 4
"""Heads named of one author (SPEC §11.4)."""
CUT_HEADS_MAX: Final = 16
"""Heads that one cut names (SPEC §11.1)."""
CUTS_MAX: Final = 16
"""Cuts of one terminal that are in force in a conversation (SPEC §11.2)."""
TIMER_SECONDS_MAX: Final = 31_536_000
"""Longest time from the first reading of an entry to its end, seconds (SPEC §11.9)."""
UNREAD_SECONDS_MAX: Final = 2_419_200
"""How much later than read at once an entry with a timer ends at the latest, seconds (SPEC §11.9)."""
BOT_COMMANDS_MAX: Final = 32
"""Commands that a person offers as a bot (SPEC §11.11)."""
BOT_COMMAND_CHARACTERS_MAX: Final = 32
"""Name of such a command, characters (SPEC §11.11)."""
BOT_DESCRIPTION_CHARACTERS_MAX: Final = 100
"""Description of such a command, characters (SPEC §11.11)."""
DELETED_IDS_MAX: Final = 64
"""Entries that one delete names (SPEC §11.1)."""
RECEIPT_IDS_MAX: Final = 1_024
"""Entries that one receipt names (SPEC §11.5)."""
DIGESTS_MAX: Final = 256
"""Conversations in one message of digests among own terminals (SPEC §5.14.1)."""
EARLY_MARKS_MAX: Final = 4_096
"""Marks per link of entries that are not held (SPEC §7.8.3). The own terminal at its other end fills it."""
MARKED_MAX: Final = 256
"""Newest entries of a conversation whose marks own terminals compare (SPEC §7.8.3)."""
MESSAGE_BYTES_MAX: Final = 300_000
"""One message of a session, put together from its pieces, bytes (SPEC §5.2)."""
NUMBER_MAX: Final = 65_535
"""Highest number of a message, an operation or a feature (SPEC §5.2)."""
FEATURES_MAX: Final = 32
"""Features that one end of a link names (SPEC §5.3)."""
NAME_CHARACTERS_MAX: Final = 64
"""A name that a person chooses, characters (SPEC §7.2)."""
TERMINAL_NAME_CHARACTERS_MAX: Final = 32
"""A name that tells a person's terminals apart, characters (SPEC §7.2)."""
LOG_HELD_MAX: Final = 2_048
"""Operations of one person that are decoded, held and received ones together (SPEC §7.3)."""
LOG_KEPT_MAX: Final = 1_536
"""Operations kept of one person when one comes that is no removal and no recovery (SPEC §7.3)."""
LOG_REMOVALS_ROOM: Final = 256
"""Operations that may be kept in addition when a removal comes (SPEC §7.3)."""
LOG_GONE_MAX: Final = 512
"""Operations kept of terminals of one person that are gone (SPEC §7.3)."""
LOG_RECOVERIES_MAX: Final = 64
"""Recoveries in force of one person (SPEC §7.3)."""
LOG_RIVALS_MAX: Final = 8
"""Recoveries kept that follow one recovery and are not in force (SPEC §7.3)."""
SAFETY_REDUCTIONS_MAX: Final = 64
"""Reductions of one log that are computed for the safety numbers of its branches (SPEC §7.7)."""
RECOVER_REMOVED_MAX: Final = 8
"""Terminals that one recovery removes (SPEC §7.2)."""
SHARES_NAMED_MAX: Final = 4
"""Contact-secret shares of one person that message 1 of a link names (SPEC §7.6)."""
SHARES_HELD_MAX: Final = 9
"""Shares of a contact that are held in one pairing: the first one and the best others (SPEC §7.6)."""
INVITATION_SECONDS: Final = 3_600
"""How long an invitation is good, seconds (SPEC §7.5)."""
INVITATION_TEXT_MAX: Final = 4_096
"""Characters of an invitation, spaces and line breaks included (SPEC §7.5)."""
INVITATION_ADDRESSES_MAX: Final = 8
"""Addresses in one invitation (SPEC §7.5)."""
INVITATION_RELAYS_MAX: Final = 4
"""Relays in one invitation (SPEC §7.5)."""
PENDING_SECONDS: Final = 86_400
"""How long a contact stays pending, seconds (SPEC §7.4)."""
SLOT_BYTES: Final = 8
"""One slot of an announcement (SPEC §13)."""
SLOT_DAYS: Final = 1
"""Days by which the clocks of two contacts may differ for a slot to be recognised (SPEC §13)."""
HANDSHAKE_FRAME_MAX: Final = 4_096
"""A frame before the link is confirmed, bytes: no handshake message or Confirm needs more (SPEC §5.1)."""
HANDSHAKE_PAYLOAD_MAX: Final = 2_048
"""A struct inside a handshake message, before padding, bytes (SPEC §6.3)."""
PSK_CANDIDATES_MAX: Final = 16
"""Psks that an initiator tries on one answer: own times their shares (SPEC §6.3)."""
INVITATIONS_TRIED_MAX: Final = 4
"""Invitation psks that a responder tries on one first message (SPEC §6.2)."""
HANDSHAKE_SECONDS: Final = 5.0
"""From the beginning of a link to its Confirm, seconds (SPEC §6.4)."""
PING_AFTER_SECONDS: Final = 6.0
"""Silence after which the initiator of a link pings, seconds (SPEC §6.6)."""
RESPONDER_PING_AFTER_SECONDS: Final = 6.5
"""Silence after which the responder of a link pings, seconds (SPEC §6.6)."""
DEAD_AFTER_SECONDS: Final = 10.0
"""A Ping or Entry without any answer for so long ends the link, seconds (SPEC §6.6)."""
LINK_SECONDS_MAX: Final = 900.0
"""Longest life of an open link, seconds (SPEC §6.5)."""
LINK_ENVELOPES_MAX: Final = 2**20
"""Most envelopes per direction of a link (SPEC §6.5)."""
RELAY_ADDRESS_MAX: Final = 255
"""Characters of a relay's address (SPEC §11.7.1)."""
RELAY_TOKEN_BYTES: Final = 16
"""One token (SPEC §11.7.5)."""
RELAY_TOKENS_MAX: Final = 128
"""Tokens that one connection waits on (SPEC §11.7.3)."""
RELAY_MESSAGE_BYTES: Final = 64
"""A padded rendezvous message but Wait, bytes (SPEC §11.7.3)."""
RELAY_WAIT_BYTES: Final = 2_320
"""A padded Wait, bytes, whatever the number of its tokens (SPEC §11.7.3)."""
RELAY_WAITERS_MAX: Final = 8
"""Connections that wait on one token (SPEC §11.7.4)."""
RELAY_DIALS_MAX: Final = 16
"""Dials of one connection (SPEC §11.7.4)."""
RELAY_DAYS: Final = 1
"""Days by which a relay's day may differ from a terminal's (SPEC §11.7.5)."""
RELAY_ANSWER_SECONDS: Final = 3.0
"""From Called to Answer, seconds (SPEC §11.7.4)."""
RELAY_SILENT_SECONDS: Final = 60.0
"""Silence after which a relay ends a waiting connection, seconds (SPEC §11.7.4)."""
LINKED_IDS_MAX: Final = 1_024
"""Pins, proven keys or compared terminals in one message of a linking (SPEC §7.8.1)."""
SHARED_DRAWN_MAX: Final = 256
"""Drawn secrets that a new terminal gets, and that a backup has (SPEC §7.8.1, §21.1)."""
LINKED_SETTINGS_MAX: Final = 16
"""Settings that a new terminal gets (SPEC §7.8.1)."""
LINKED_SETTING_NAME_MAX: Final = 128
"""Name of a setting that a new terminal gets, characters (SPEC §7.8.1)."""
LINKED_SETTING_VALUE_MAX: Final = 256
"""Value of a setting that a new terminal gets, characters (SPEC §7.8.1)."""
LINKED_RELAYS_MAX: Final = 8
"""Relays that a new terminal gets (SPEC §7.8.1)."""
LINKED_CONTACTS_MAX: Final = 4_096
"""Contacts that a new terminal gets (SPEC §7.8.1)."""
LINKED_PAIRINGS_MAX: Final = 4
"""Pairings with one contact that a new terminal gets: two newest and two oldest (SPEC §7.8.1)."""
VOUCHERS_MAX: Final = 64
"""Own terminals that vouch for a contact, in one message of a linking or one backup (SPEC §7.7)."""
LINKED_PLACES_MAX: Final = 64
"""Addresses of one contact's terminals that a new terminal gets (SPEC §7.8.1)."""
LINKED_HOST_MAX: Final = 64
"""Host of such an address, characters (SPEC §7.8.1)."""
STATE_WRITES_MAX: Final = 64
"""Writes in one entry of kind state (SPEC §11.10)."""
STATE_VALUE_MAX: Final = 98_304
"""Value of one write, bytes (SPEC §11.10)."""
STATE_SUPERSEDED_MAX: Final = 64
"""Earlier pairings that a pairing supersedes (SPEC §11.10)."""
BACKUP_CHUNK_BYTES: Final = 65_536
"""Bytes of each chunk of a backup but the last, before they are sealed (SPEC §21.1)."""
BACKUP_RECORD_MAX: Final = 300_000
"""One record of a backup, bytes (SPEC §21.1)."""
BACKUP_IDS_MAX: Final = 256
"""Ids, keys or operations in one record of a backup (SPEC §21.1)."""
BACKUP_RECEIPTS_MAX: Final = 1_024
"""Receipts of one entry in a backup (SPEC §21.1)."""
PIECE_BYTES: Final = 59_392
"""Bytes of each piece of a file but the last, before it is sealed (SPEC §12.2)."""
FILE_BYTES_MAX: Final = 2**40
"""One file, bytes (SPEC §12.1)."""
FILE_NAME_BYTES_MAX: Final = 200
"""Name of a file in UTF-8, bytes (SPEC §12.1)."""
FILE_FOLDERS_MAX: Final = 16
"""Folders above a file of a folder that was sent (SPEC §12.1)."""
VOICE_SECONDS_MAX: Final = 3_600
"""Length of a voice message, seconds (SPEC §12.1)."""
MEDIA_TYPE_MAX: Final = 127
"""Media type of a file, characters (SPEC §12.1)."""
PIECE_PATH_MAX: Final = 25
"""Hashes that prove one piece: the levels of the largest tree (SPEC §12.2)."""
ASK_RANGES_MAX: Final = 16
"""Ranges of pieces in one message (SPEC §12.3)."""
ASK_PIECES_MAX: Final = 256
"""Pieces in one range (SPEC §12.3)."""
ASKS_MAX: Final = 16
"""Messages that ask for pieces and have no answer yet, of one end of a link (SPEC §12.3)."""

# --- Implementation constants: a program may choose others within the bounds of the SPEC ---

LINK_SECONDS_REPLACE: Final = 780.0
"""Age from which a link is to be replaced, seconds (SPEC §6.5)."""
LINK_ENVELOPES_REPLACE: Final = 2**20 - 2**14
"""Envelopes of a direction from which a link is to be replaced (SPEC §6.5)."""
HELD_BYTES_MAX: Final = 131_072
"""Bytes kept while a link waits for an invitation to be burned: twice what it is given at once (SPEC §16)."""
RELAY_ALIVE_SECONDS: Final = 25.0
"""Time between two signs of life of a connection that waits at a relay, seconds (SPEC §11.7.4)."""
SEAL_BUFFER_START: Final = 4_096
"""First size of a session's reused output buffer, bytes; it grows when needed (SPEC §16)."""
