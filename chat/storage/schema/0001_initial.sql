-- Schema 1. Times are milliseconds of Unix time, ids and keys BLOBs of 32 bytes unless said otherwise.
-- Facts and what can be computed from them are kept apart: everything under "Derived" may be deleted and
-- comes back at the next start. Nothing here says what is still to be sent: that is a query over entries
-- and receipts. Nothing here has room for the state of a session: sessions live in memory only.
-- Numbers that later versions may add to carry no CHECK, since SQLite cannot change one in place.

PRAGMA application_id = 0x50524c52; -- "PRLR": an empty or foreign file is told from a profile

CREATE TABLE migrations (
    version INTEGER PRIMARY KEY,        -- number of the schema file
    name    TEXT NOT NULL               -- its name
) STRICT;

-- Who this is -------------------------------------------------------------------------------------------

CREATE TABLE own (
    id            INTEGER PRIMARY KEY CHECK (id = 1), -- one row
    person        BLOB NOT NULL CHECK (length(person) = 32),
    terminal      BLOB NOT NULL CHECK (length(terminal) = 32),
    signing_seed  BLOB NOT NULL CHECK (length(signing_seed) = 32),  -- Ed25519, this terminal
    static_secret BLOB NOT NULL CHECK (length(static_secret) = 32), -- X25519, this terminal's links
    recovery_seed BLOB CHECK (length(recovery_seed) = 32)           -- Ed25519; NULL once it was written down
) STRICT;

CREATE TABLE self_keys (
    number INTEGER PRIMARY KEY,                    -- the newest has the highest
    key    BLOB NOT NULL CHECK (length(key) = 32), -- tags this person's own entries
    heads  BLOB NOT NULL                           -- ids of the person log's heads when it was drawn, in a row
) STRICT;

-- Persons and their terminals ---------------------------------------------------------------------------

CREATE TABLE operations (
    number INTEGER PRIMARY KEY,                         -- order of arrival here
    person BLOB NOT NULL CHECK (length(person) = 32),
    id     BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    data   BLOB NOT NULL                                -- the signed operation as received
) STRICT;
CREATE INDEX operations_by_person ON operations (person);

CREATE TABLE terminals (
    number   INTEGER PRIMARY KEY,
    terminal BLOB NOT NULL UNIQUE CHECK (length(terminal) = 32),
    person   BLOB CHECK (length(person) = 32),  -- NULL: named by an entry, in no log held
    signing  BLOB CHECK (length(signing) = 32), -- Ed25519
    static   BLOB CHECK (length(static) = 32),  -- X25519
    live     INTEGER NOT NULL DEFAULT 0,        -- 1: the person log counts it among the person's terminals
    depth    INTEGER NOT NULL DEFAULT 0         -- of its add in the log: seniority
) STRICT;
CREATE INDEX terminals_by_person ON terminals (person);
CREATE INDEX terminals_by_static ON terminals (static);
CREATE INDEX terminals_by_signing ON terminals (signing);

CREATE TABLE contacts (
    person   BLOB PRIMARY KEY CHECK (length(person) = 32),
    name     TEXT NOT NULL,                 -- as that person's log has it
    petname  TEXT NOT NULL,                 -- as this person calls it, or empty
    state    TEXT NOT NULL,                 -- pending: stored here, not yet there; paired
    verified INTEGER NOT NULL,              -- 1: words or safety numbers were compared
    blocked  INTEGER NOT NULL,              -- 1: answered like a stranger
    held     INTEGER NOT NULL,              -- 1: its identity changed; this person has to confirm before sending
    since    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE shares (
    contact BLOB NOT NULL CHECK (length(contact) = 32), -- with whom the secret is
    root    BLOB NOT NULL CHECK (length(root) = 32),    -- of the pairing under which it was exchanged
    owner   TEXT NOT NULL,                              -- own, theirs: who drew this half
    number  INTEGER NOT NULL,                           -- the newest has the highest
    share   BLOB NOT NULL CHECK (length(share) = 32),
    heads   BLOB NOT NULL,                              -- ids of the owner's log heads then, in a row
    PRIMARY KEY (contact, root, owner, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE invitations (
    number     INTEGER PRIMARY KEY,
    secret     BLOB NOT NULL UNIQUE CHECK (length(secret) = 16),
    check_hash BLOB NOT NULL CHECK (length(check_hash) = 32), -- of the inviter's person and terminal
    expires    INTEGER NOT NULL,                              -- seconds of Unix time, as it is written in it
    text       TEXT NOT NULL,                                 -- as the other person types it
    burned_by  BLOB CHECK (length(burned_by) = 32)            -- the one-time static key that used it, or NULL
) STRICT;

CREATE TABLE known_addresses (
    terminal     BLOB NOT NULL CHECK (length(terminal) = 32),
    host         TEXT NOT NULL,                    -- an IP address, with its scope where it needs one
    port         INTEGER NOT NULL,
    last_success INTEGER NOT NULL,                 -- when a link last opened there
    PRIMARY KEY (terminal, host, port)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL -- on, off; a setting never changed has no row
) STRICT, WITHOUT ROWID;

-- Conversations -----------------------------------------------------------------------------------------

CREATE TABLE conversations (
    number  INTEGER PRIMARY KEY,
    id      BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    kind    INTEGER NOT NULL,                    -- 1: with one contact; 2: a group
    contact BLOB CHECK (length(contact) = 32)    -- the person, for kind 1
) STRICT;
CREATE INDEX conversations_by_contact ON conversations (contact);

CREATE TABLE entries (
    number       INTEGER PRIMARY KEY,                    -- order of arrival here
    id           BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    conversation INTEGER NOT NULL REFERENCES conversations,
    author       INTEGER NOT NULL,                       -- terminals.number
    incarnation  BLOB NOT NULL CHECK (length(incarnation) = 8),
    sequence     INTEGER NOT NULL,                       -- over the author's chain in the conversation
    time         INTEGER NOT NULL,                       -- as the author says
    kind         INTEGER NOT NULL,                       -- as in the header: 1 is text
    rank         INTEGER NOT NULL,                       -- derived: place in the conversation, before the id
    header       BLOB NOT NULL,                          -- the bytes that the id is the hash of
    destroyed    INTEGER NOT NULL DEFAULT 0              -- 1: the body was deleted here, and stays so
) STRICT;
CREATE INDEX entries_by_rank ON entries (conversation, rank, id);
CREATE INDEX entries_by_place ON entries (conversation, author, sequence, incarnation);

-- Content stands apart from headers: a deletion takes this row and leaves chains and repair whole.
CREATE TABLE bodies (
    entry INTEGER PRIMARY KEY REFERENCES entries,
    salt  BLOB NOT NULL CHECK (length(salt) = 16), -- without it the hash in the header confirms no guess
    body  BLOB NOT NULL                            -- as received; its shape is the entry's kind's
) STRICT;

CREATE TABLE receipts (
    entry    INTEGER NOT NULL REFERENCES entries,
    terminal INTEGER NOT NULL,                     -- terminals.number: who says so
    kind     INTEGER NOT NULL,                     -- 1: stored; 2: read by its person
    time     INTEGER NOT NULL,                     -- when this was learned here
    PRIMARY KEY (entry, terminal, kind)
) STRICT, WITHOUT ROWID;

-- Derived -----------------------------------------------------------------------------------------------

CREATE TABLE edges (
    parent INTEGER NOT NULL,                       -- entries.number
    child  INTEGER NOT NULL,                       -- entries.number: names it as previous or parent
    chain  INTEGER NOT NULL,                       -- 1: as previous, by the same author
    PRIMARY KEY (parent, child)
) STRICT, WITHOUT ROWID;

CREATE TABLE missing (
    conversation INTEGER NOT NULL,
    parent       BLOB NOT NULL,                    -- id of an entry that is not held
    child        INTEGER NOT NULL,                 -- entries.number: names it
    chain        INTEGER NOT NULL,                 -- 1: as previous
    PRIMARY KEY (conversation, parent, child)
) STRICT, WITHOUT ROWID;

CREATE TABLE tips (
    entry        INTEGER PRIMARY KEY,              -- no held entry names it
    conversation INTEGER NOT NULL
) STRICT;
CREATE INDEX tips_by_conversation ON tips (conversation);

CREATE TABLE heads (
    entry        INTEGER PRIMARY KEY,              -- no held entry of its author names it as previous
    conversation INTEGER NOT NULL
) STRICT;
CREATE INDEX heads_by_conversation ON heads (conversation);

CREATE TABLE unread (
    entry        INTEGER PRIMARY KEY,              -- of somebody else, and no own terminal has read it
    conversation INTEGER NOT NULL
) STRICT;
CREATE INDEX unread_by_conversation ON unread (conversation);

-- Words of text entries in the form of chat/storage/entries.py; rowid is entries.number.
CREATE VIRTUAL TABLE search USING fts5 (
    text,
    columnsize = 0,
    tokenize = "unicode61 remove_diacritics 2"
);
-- Without this deleted words stay in the index's segments.
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);
