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
    recovery_seed BLOB CHECK (length(recovery_seed) = 32),          -- NULL once it was written down
    renewed       INTEGER NOT NULL DEFAULT 0, -- Unix time in ms of this terminal's last Renew without a removal
    stale         INTEGER                     -- the same of when it saw that no secret is fresh; NULL: one is
) STRICT;

CREATE TABLE drawn ( -- secrets from which self keys derive
    operation BLOB PRIMARY KEY CHECK (length(operation) = 32), -- id in this person's log; a Genesis or Renew
    secret    BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT, WITHOUT ROWID;

-- Persons and their terminals ---------------------------------------------------------------------------

CREATE TABLE operations (
    number INTEGER PRIMARY KEY,                         -- order of arrival here
    person BLOB NOT NULL CHECK (length(person) = 32),
    id     BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    data   BLOB NOT NULL,                               -- the signed operation as received
    came   INTEGER                                      -- of this person's own log, when it came here (milliseconds); NULL: not known
) STRICT;
CREATE INDEX operations_by_person ON operations (person);

CREATE TABLE terminals (
    number   INTEGER PRIMARY KEY,                           -- stands for the id in other tables
    terminal BLOB NOT NULL UNIQUE CHECK (length(terminal) = 32)
) STRICT;

-- A terminal is (person, key): one key may stand in several logs, and each log says of its own whether it is live.
CREATE TABLE person_terminals (
    person    BLOB NOT NULL CHECK (length(person) = 32),
    terminal  INTEGER NOT NULL REFERENCES terminals,
    static    BLOB NOT NULL CHECK (length(static) = 32),  -- X25519
    signing   BLOB CHECK (length(signing) = 32),          -- Ed25519; NULL: of a contact
    live      INTEGER NOT NULL,                           -- 1: the person log counts it among the person's terminals
    seniority INTEGER,                                    -- 0: the most senior; NULL: nothing that counts adds it
    PRIMARY KEY (person, terminal)
) STRICT, WITHOUT ROWID;
CREATE INDEX person_terminals_by_terminal ON person_terminals (terminal);

-- Static keys that contacts have proven are kept: two contacts who prove one key share it, or one of them stole it.
CREATE TABLE proven_keys (
    person BLOB NOT NULL CHECK (length(person) = 32),
    static BLOB NOT NULL CHECK (length(static) = 32), -- X25519, of a terminal in the person's log
    PRIMARY KEY (person, static)
) STRICT, WITHOUT ROWID;

-- The recoveries that decide which of several is in force. An id alone must not decide it, since an id can be ground.
CREATE TABLE pins (
    person    BLOB NOT NULL CHECK (length(person) = 32),   -- whose log it is
    recovery  BLOB NOT NULL CHECK (length(recovery) = 32), -- id of the operation
    confirmed INTEGER NOT NULL, -- 1: this person compared words or the safety number; 0: it was seen first
    PRIMARY KEY (person, recovery)
) STRICT, WITHOUT ROWID;

CREATE TABLE known_addresses (
    terminal     BLOB NOT NULL CHECK (length(terminal) = 32),
    host         TEXT NOT NULL,                    -- an IP address, with its scope where it needs one
    port         INTEGER NOT NULL,
    last_success INTEGER NOT NULL,                 -- when a link last opened there
    PRIMARY KEY (terminal, host, port)
) STRICT, WITHOUT ROWID;

CREATE TABLE seen (
    terminal BLOB NOT NULL PRIMARY KEY CHECK (length(terminal) = 32), -- another terminal of this person
    time     INTEGER NOT NULL                                         -- when a link with it last lived
) STRICT, WITHOUT ROWID;

-- Contacts ----------------------------------------------------------------------------------------------

CREATE TABLE contacts (
    person   BLOB PRIMARY KEY CHECK (length(person) = 32),
    name     TEXT NOT NULL,                 -- as that person's log has it
    petname  TEXT NOT NULL,                 -- as this person calls it, or empty
    state    TEXT NOT NULL,                 -- pending: stored here, not yet there; paired
    verified INTEGER NOT NULL,              -- 1: words or safety numbers were compared
    blocked  INTEGER NOT NULL,              -- 1: answered like a stranger
    held     INTEGER NOT NULL,              -- 1: its identity changed; this person has to confirm before sending
    since    INTEGER NOT NULL,
    pinned   INTEGER NOT NULL,              -- 1: its conversation is listed before others
    muted    INTEGER NOT NULL               -- 1: what comes in it makes no sound
) STRICT, WITHOUT ROWID;
CREATE TRIGGER clients_of_contact AFTER DELETE ON contacts
    BEGIN DELETE FROM clients WHERE contact = OLD.person; END;

-- What a comparison confirmed is kept, or nobody could say what has changed since.
CREATE TABLE comparisons (
    person    BLOB PRIMARY KEY CHECK (length(person) = 32),        -- the contact
    by_words  INTEGER NOT NULL,                                    -- 1: pairing words; 0: the safety number
    time      INTEGER NOT NULL,                                    -- milliseconds of Unix time
    newest    BLOB NOT NULL CHECK (length(newest) = 32),           -- its recovery in force, or the person id
    terminals BLOB NOT NULL CHECK (length(terminals) % 32 = 0)     -- ids of its live terminals, one after the other
) STRICT, WITHOUT ROWID;

-- Which terminals of this person have paired or compared with a contact. It stands for what live ones did: facts are
-- kept, and what follows from a removal is computed, so that a removal that falls takes nothing away for good.
CREATE TABLE vouchers (
    person   BLOB NOT NULL CHECK (length(person) = 32),   -- the contact
    terminal BLOB NOT NULL CHECK (length(terminal) = 32), -- of this person, that did it
    source   BLOB NOT NULL CHECK (length(source) = 32),   -- the terminal that said so: itself, or the one that linked this one
    compared INTEGER NOT NULL,                            -- 1: it compared words or the safety number, and the contact is verified by it
    PRIMARY KEY (person, terminal, source)
) STRICT, WITHOUT ROWID;

-- Two pairings at a time may be stored in one order here and in the other there: neither takes the place of the other.
CREATE TABLE pairings (
    contact     BLOB NOT NULL CHECK (length(contact) = 32), -- with whom
    root        BLOB NOT NULL CHECK (length(root) = 32),
    first       BLOB NOT NULL CHECK (length(first) = 32),   -- operation of the own log: of which the own share in the Record was
    retired     INTEGER NOT NULL,                           -- 1: all terminals of the contact know a better one of its shares than its first
    place       INTEGER NOT NULL,                           -- the order in which pairings were made here
    began_after INTEGER NOT NULL,                           -- the newest pairing that was stored before this one began
    PRIMARY KEY (contact, root)
) STRICT, WITHOUT ROWID;

-- Shares of contacts. The own ones are derived from what is in drawn.
CREATE TABLE shares (
    contact   BLOB NOT NULL CHECK (length(contact) = 32),   -- who owns it
    root      BLOB NOT NULL CHECK (length(root) = 32),      -- pairings.root
    operation BLOB NOT NULL CHECK (length(operation) = 32), -- of the contact's log, whose secret gives it
    share     BLOB NOT NULL CHECK (length(share) = 32),     -- the first that came of this operation
    first     INTEGER NOT NULL,                             -- 1: that of the contact's Record
    PRIMARY KEY (contact, root, operation)
) STRICT, WITHOUT ROWID;

-- Shares are kept until each live terminal of the contact has opened a link under a better one.
CREATE TABLE opened (
    contact   BLOB NOT NULL CHECK (length(contact) = 32),
    root      BLOB NOT NULL CHECK (length(root) = 32),      -- pairings.root
    static    BLOB NOT NULL CHECK (length(static) = 32),    -- X25519, of the contact's terminal
    operation BLOB NOT NULL CHECK (length(operation) = 32), -- shares.operation of its last link
    PRIMARY KEY (contact, root, static)
) STRICT, WITHOUT ROWID;

-- An invitation has a static key of its own, whose secret is kept until the pairing is done or the invitation expires.
CREATE TABLE invitations (
    number     INTEGER PRIMARY KEY,
    secret     BLOB NOT NULL UNIQUE CHECK (length(secret) = 16),
    one_time   BLOB NOT NULL CHECK (length(one_time) = 32), -- X25519, answers this invitation's joiner
    expires    INTEGER NOT NULL,                            -- seconds of Unix time, as it is written in it
    text       TEXT NOT NULL,                               -- as the other person types it
    burned_by  BLOB CHECK (length(burned_by) = 32)          -- the one-time static key that used it, or NULL
) STRICT;

-- The profile -------------------------------------------------------------------------------------------

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL -- on, off; a setting never changed has no row
) STRICT, WITHOUT ROWID;

-- The relays that this person named. Terminals meet there. Only invitations pass an address on.
CREATE TABLE relays (
    number  INTEGER PRIMARY KEY,          -- in the order in which they came
    address TEXT NOT NULL UNIQUE,         -- parlour-relay:HOST:PORT#KEY, the one text of a relay
    invited INTEGER NOT NULL,             -- 1: it came with an invitation that was used; 0: named by hand
    since   INTEGER NOT NULL              -- when it was named
) STRICT;

-- A wall clock can be set back: what had passed before is kept apart from it.
CREATE TABLE profile_clock (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    wall  INTEGER NOT NULL, -- milliseconds of Unix time
    age   INTEGER NOT NULL, -- milliseconds of the profile's clock at that time
    boot  TEXT NOT NULL,    -- which start of the machine it was; empty: not known
    since INTEGER NOT NULL  -- milliseconds since that start
) STRICT;

-- The same mark is kept outside of the profile. An older copy of the profile has a lower number than is there.
CREATE TABLE marks (
    id     INTEGER PRIMARY KEY CHECK (id = 1),         -- one row
    number INTEGER NOT NULL,
    token  BLOB NOT NULL CHECK (length(token) = 16)    -- random: tells apart two copies with one number
) STRICT;

-- What happened to the files of the profile, until this person has seen it.
CREATE TABLE alerts (
    kind    TEXT PRIMARY KEY,  -- old_copy, two_copies, damaged, mended, settings
    since   INTEGER NOT NULL,  -- when it was found, milliseconds of Unix time
    entries INTEGER NOT NULL,  -- how many entries could not be read
    others  INTEGER NOT NULL   -- how many contacts could not be read
) STRICT, WITHOUT ROWID;

-- Conversations -----------------------------------------------------------------------------------------

CREATE TABLE conversations (
    number  INTEGER PRIMARY KEY,
    id      BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    kind    INTEGER NOT NULL,                    -- 1: with one contact; 2: a group; 3: notes
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
    destroyed    INTEGER NOT NULL DEFAULT 0              -- not 0: the body was deleted, and stays so: 1: here; 3: its timer ended; 4: on all terminals of this person
) STRICT;
CREATE INDEX entries_by_place ON entries (conversation, author, sequence, incarnation);
-- Pages are read by this. Kinds that are in no line of their own are not in it: else a contact's deletes would slow each page.
CREATE INDEX entries_by_rank ON entries (conversation, rank, id) WHERE kind NOT IN (3, 4, 6);
CREATE INDEX entries_that_amend ON entries (conversation, rank, id) WHERE kind IN (3, 4, 6);
CREATE INDEX entries_that_set_timers ON entries (conversation, rank, id) WHERE kind = 5;
-- What a person declares of itself as a bot is in the body of the last entry of these.
CREATE INDEX entries_that_declare_bots ON entries (conversation, rank, id) WHERE kind = 7;
CREATE INDEX entries_deleted_here ON entries (number) WHERE destroyed = 1;

-- What a terminal of this person signed. It passes among these terminals alone, so that nothing between two people can be proven.
CREATE TABLE signatures (
    entry     INTEGER PRIMARY KEY REFERENCES entries,
    terminal  INTEGER NOT NULL REFERENCES terminals,         -- its author, or the one that took it for its person's own
    signature BLOB NOT NULL CHECK (length(signature) = 64),  -- Ed25519
    taken     INTEGER NOT NULL                               -- 0: its author signed
) STRICT;
CREATE INDEX signatures_taken ON signatures (entry, terminal) WHERE taken;

-- Entries of this person's terminals without one. Its other terminals are asked for it.
CREATE TABLE unsigned (
    entry    INTEGER NOT NULL REFERENCES entries,
    terminal INTEGER NOT NULL, -- terminals.number: passed it without one, too, and is not asked; 0: stands for the entry itself
    PRIMARY KEY (entry, terminal)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER signatures_came AFTER INSERT ON signatures
    BEGIN DELETE FROM unsigned WHERE entry = NEW.entry; END;

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

-- What is missing or in doubt ---------------------------------------------------------------------------

-- A body that has not come is missing and may still come; only `destroyed` says that it was deleted.
CREATE TABLE headers_alone (
    entry    INTEGER NOT NULL REFERENCES entries, -- whose body is missing
    terminal INTEGER NOT NULL,                    -- terminals.number: passed it without its body, and is not asked again; 0: not known; -1: this terminal let go of it
    PRIMARY KEY (entry, terminal)
) STRICT, WITHOUT ROWID;

-- A terminal can hold an entry without the one before it in its author's chain, and heads would hide what is missing.
CREATE TABLE gaps (
    entry    INTEGER NOT NULL REFERENCES entries, -- before which an entry of its author is missing
    terminal INTEGER NOT NULL,                    -- terminals.number: answered with the entry alone, and is not asked again
    PRIMARY KEY (entry, terminal)
) STRICT, WITHOUT ROWID;

-- An entry of a contact that another terminal of this person passed on could be an invention of that terminal.
CREATE TABLE uncovered (
    entry INTEGER PRIMARY KEY REFERENCES entries -- no head that the contact has named leads to it
) STRICT;

-- An entry of a terminal of this person without a signature, and not under the newest self key, could be an invention of who passed it.
-- One that no own terminal passed has no edges and is no tip and no head, so that it moves and hides nothing.
CREATE TABLE claims (
    entry        INTEGER PRIMARY KEY REFERENCES entries,
    conversation INTEGER NOT NULL, -- of `entry`
    own          INTEGER NOT NULL, -- 1: a terminal of this person passed it; 0: the contact alone
    carried      INTEGER NOT NULL, -- 1: the contact passed it, so that the newest self key shows whose it is
    opens        INTEGER NOT NULL, -- 1: it is under a self key that is held
    due          INTEGER NOT NULL  -- 1: a self key, a signature, or an entry that follows it, has come since it was decided about
) STRICT;
CREATE INDEX claims_by_conversation ON claims (conversation, own);
CREATE INDEX claims_due ON claims (entry) WHERE due;

-- Removed terminals -------------------------------------------------------------------------------------
-- Their entries count up to the cuts in force, without one up to those that were held before.

CREATE TABLE cuts (
    entry        INTEGER PRIMARY KEY REFERENCES entries,      -- which says it; kept where its body is deleted
    terminal     BLOB NOT NULL CHECK (length(terminal) = 32), -- the removed one
    conversation INTEGER NOT NULL,                            -- this and the next three: of the entry
    author       INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    id           BLOB NOT NULL,
    heads        BLOB NOT NULL                                -- ids of its last entries that count, in a row
) STRICT;
CREATE INDEX cuts_in_order ON cuts (conversation, terminal, author, sequence, id);

CREATE TABLE cuts_due (
    conversation INTEGER NOT NULL REFERENCES conversations, -- in which this terminal is to write a cut
    terminal     INTEGER NOT NULL REFERENCES terminals,     -- of the one that was removed
    body         BLOB,                                      -- of the cut; NULL: at what is held once it was compared
    PRIMARY KEY (conversation, terminal)
) STRICT, WITHOUT ROWID;

CREATE TABLE rules (
    number       INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations,
    author       INTEGER NOT NULL REFERENCES terminals, -- the removed one, about whose entries it decides
    cut          INTEGER NOT NULL, -- entries.number of a cut in force; 0: what was held when the removal was learned
    decides      INTEGER NOT NULL, -- 1: what it leaves out is quarantined; 0: a cut decides, or it is over
    settled      INTEGER,          -- entries.number down to which it is applied, the newest first; 0: to none; NULL: to all
    over         INTEGER NOT NULL  -- 1: it is in force no more, and what it left out is to be forgotten
) STRICT;
CREATE INDEX rules_by_author ON rules (conversation, author);
CREATE INDEX rules_due ON rules (number) WHERE settled IS NOT NULL OR over;

CREATE TABLE quarantine (
    entry INTEGER NOT NULL REFERENCES entries, -- of a removed terminal
    rule  INTEGER NOT NULL REFERENCES rules,   -- which leaves it out
    PRIMARY KEY (entry, rule)
) STRICT, WITHOUT ROWID;
CREATE INDEX quarantine_by_rule ON quarantine (rule);

CREATE TABLE remarked (
    conversation INTEGER PRIMARY KEY REFERENCES conversations -- clients do not know yet which of its entries count now
) STRICT;

-- Deletion ----------------------------------------------------------------------------------------------

-- A deletion stays final where its conversation is removed with the contact, and comes again after another pairing.
CREATE TABLE deletions (
    entry BLOB NOT NULL PRIMARY KEY CHECK (length(entry) = 32), -- id of an entry that was deleted and is not held any more
    how   INTEGER NOT NULL                                      -- what its `destroyed` said
) STRICT, WITHOUT ROWID;

-- Clearing a conversation takes many pieces, and what is still to be done must survive the process.
CREATE TABLE clearing (
    conversation INTEGER PRIMARY KEY REFERENCES conversations,
    first        INTEGER NOT NULL, -- entries.number from which it is to be cleared
    done         INTEGER NOT NULL, -- entries.number up to which it is cleared
    last         INTEGER NOT NULL  -- entries.number up to which it is to be cleared
) STRICT;

-- Removing a conversation takes many pieces. It has lost its id and contact, and only the pieces know it.
CREATE TABLE removals (
    conversation INTEGER PRIMARY KEY REFERENCES conversations,
    done         INTEGER NOT NULL, -- entries.number up to which it is removed
    last         INTEGER NOT NULL  -- entries.number up to which it is to be removed
) STRICT;

-- What was deleted stays in free pages, in gaps and in the log until the file is cleaned: that this is still to be
-- done is a fact of its own, so that the next start cleans after a crash. A cleaning is done in steps, and something
-- may be deleted between them.
CREATE TABLE cleaning (
    id    INTEGER PRIMARY KEY CHECK (id = 1), -- one row, while a cleaning is due
    words INTEGER NOT NULL,                   -- the count of `marks` when words were last deleted from the index; 0: never
    marks INTEGER NOT NULL                    -- how often something was deleted
) STRICT;

-- Timers (SPEC §11.9) -----------------------------------------------------------------------------------

-- What an entry that sets a timer says stays in force where its body is deleted.
CREATE TABLE timers (
    entry   INTEGER PRIMARY KEY REFERENCES entries,
    seconds INTEGER NOT NULL -- 0: none
) STRICT;

-- Entries with a timer, until they end. Times are milliseconds of the profile's own clock.
CREATE TABLE expiring (
    entry INTEGER PRIMARY KEY REFERENCES entries,
    timer INTEGER NOT NULL, -- from the first reading to the end
    due   INTEGER NOT NULL, -- the end, as far as it is known
    last  INTEGER NOT NULL, -- the end at the latest
    waits INTEGER NOT NULL  -- 1: its time is over, and it stays until a terminal of the contact has it; 2: one may have it
) STRICT;
CREATE INDEX expiring_by_due ON expiring (due);
CREATE INDEX expiring_that_wait ON expiring (entry) WHERE waits;
CREATE INDEX expiring_that_may_end ON expiring (entry) WHERE waits = 2;
CREATE TRIGGER expiring_acknowledged AFTER INSERT ON receipts
    BEGIN UPDATE expiring SET waits = 2 WHERE entry = NEW.entry AND waits; END;

-- What terminals of this person share (SPEC §11.10) -----------------------------------------------------

-- What entries of kind state write. Of one that is destroyed only the retired pairings stay.
CREATE TABLE registers (
    register INTEGER NOT NULL,                              -- 1 contact, 2 petname, 3 blocked, 4 standing, 5 pairing, 6 retired, 7 setting, 8 relay, 9 deleted, 10 pinned, 11 muted
    subject  BLOB NOT NULL CHECK (length(subject) = 32),    -- hash of what it is about, or id of a deleted entry
    entry    INTEGER NOT NULL REFERENCES entries,
    contact  BLOB CHECK (length(contact) = 32),             -- hash of the contact's person id, for 1 to 5, 10 and 11
    PRIMARY KEY (register, subject, entry)
) STRICT, WITHOUT ROWID;
CREATE INDEX registers_by_entry ON registers (entry);
CREATE INDEX registers_by_contact ON registers (contact) WHERE contact IS NOT NULL;

CREATE TABLE registers_due (
    register INTEGER NOT NULL, -- whose value in force may be another one than what is stored of contacts, settings and relays
    subject  BLOB NOT NULL CHECK (length(subject) = 32),
    PRIMARY KEY (register, subject)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER registers_written AFTER INSERT ON registers
    BEGIN INSERT OR IGNORE INTO registers_due (register, subject) VALUES (NEW.register, NEW.subject); END;
-- An entry that arrives late moves others, and a removal decides again which of them count. For a deletion,
-- which is final, its place is nothing, and only that it counts again is of use.
CREATE TRIGGER registers_moved AFTER UPDATE OF rank ON entries WHEN NEW.kind = 6
    BEGIN INSERT OR IGNORE INTO registers_due (register, subject)
        SELECT register, subject FROM registers WHERE entry = NEW.number AND register != 9; END;
CREATE TRIGGER registers_left_out AFTER INSERT ON quarantine
    BEGIN INSERT OR IGNORE INTO registers_due (register, subject)
        SELECT register, subject FROM registers WHERE entry = NEW.entry AND register != 9; END;
CREATE TRIGGER registers_let_in AFTER DELETE ON quarantine
    BEGIN INSERT OR IGNORE INTO registers_due (register, subject)
        SELECT register, subject FROM registers WHERE entry = OLD.entry; END;
CREATE TRIGGER registers_decided AFTER UPDATE OF decides ON rules
    BEGIN INSERT OR IGNORE INTO registers_due (register, subject)
        SELECT r.register, r.subject FROM quarantine AS q JOIN registers AS r ON r.entry = q.entry WHERE q.rule = NEW.number; END;

-- What this terminal keeps ------------------------------------------------------------------------------

CREATE TABLE retention (
    id   INTEGER PRIMARY KEY CHECK (id = 1), -- one row, once something was chosen
    days INTEGER NOT NULL                    -- 0: all
) STRICT;

-- A body that this terminal let go of is neither missing nor deleted: nobody is asked for it while that is so.
CREATE TABLE let_go (
    entry  INTEGER PRIMARY KEY REFERENCES entries,
    holder INTEGER NOT NULL -- terminals.number: the keeper of this person that has said that it holds it
) STRICT;

-- Files of entries of kind 64 (SPEC §12) ----------------------------------------------------------------
-- Their sealed pieces stand outside of the database, under a name that says nothing of the entry. Contacts fill this
-- table with entries; the disk only with what this person takes or sends.

CREATE TABLE files (
    entry INTEGER PRIMARY KEY REFERENCES entries,
    place BLOB NOT NULL UNIQUE CHECK (length(place) = 16), -- random, in the name of the pieces
    size  INTEGER NOT NULL,                                -- bytes of the content, as the body says
    state INTEGER NOT NULL,                                -- 0: to be decided; 1: waits for this person; 2: is taken; 3: paused; 4: whole; 5: whole, and withheld; 6: let go of here
    holder INTEGER REFERENCES terminals                    -- the last that said it holds all of it
) STRICT;
CREATE INDEX files_by_state ON files (state) WHERE state IN (0, 2);

CREATE TABLE files_gone (
    place BLOB NOT NULL PRIMARY KEY CHECK (length(place) = 16) -- pieces without a key, which are to be deleted
) STRICT, WITHOUT ROWID;

-- The key of a file goes with the body of its entry, whatever takes that: then the pieces go, too.
CREATE TRIGGER files_without_key AFTER DELETE ON bodies WHEN EXISTS (SELECT 1 FROM files WHERE entry = OLD.entry)
    BEGIN INSERT OR IGNORE INTO files_gone (place) SELECT place FROM files WHERE entry = OLD.entry;
    DELETE FROM files WHERE entry = OLD.entry; END;

-- Programs that follow conversations by name (docs/api.md) ----------------------------------------------

-- Each goes on where it acknowledged, whenever it comes back.
CREATE TABLE clients (
    name         TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
    acknowledged INTEGER NOT NULL,                            -- arrivals.position up to which it has acted
    rights       TEXT NOT NULL,                               -- all, read, send
    token        BLOB UNIQUE CHECK (length(token) = 32),      -- SHA-256 of what it presents; NULL: it has none
    contact      BLOB CHECK (length(contact) = 32),           -- the person of its only conversation; NULL: all of them
    since        INTEGER NOT NULL                             -- when it was made, milliseconds of Unix time
) STRICT, WITHOUT ROWID;
CREATE TRIGGER sends_of_client AFTER DELETE ON clients
    BEGIN DELETE FROM sends WHERE client = OLD.name; END;

-- What a client sends carries an id, so that it can send the same again when it does not know whether that was
-- stored. The newest 4,096 of each client are kept, and up to 255 more: only that client adds to them.
CREATE TABLE sends (
    number       INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations,
    client       TEXT NOT NULL CHECK (length(client) <= 64),        -- clients.name; empty: one that has no name
    place        INTEGER NOT NULL,                                  -- among the ids of this client
    id           TEXT NOT NULL CHECK (length(id) BETWEEN 1 AND 64), -- made by the client
    entry        BLOB NOT NULL CHECK (length(entry) = 32),          -- id of the entry that was stored with it
    UNIQUE (conversation, client, id),
    UNIQUE (client, place)
) STRICT;
CREATE TRIGGER sends_pruned AFTER INSERT ON sends WHEN NEW.place % 256 = 0
    BEGIN DELETE FROM sends WHERE client = NEW.client AND place <= NEW.place - 4096; END;

-- The order in which content came here and last changed, one row an entry: no content, and nothing that every
-- client has acknowledged. Without a client nothing is written. `entries.number` is no such order: a missing body
-- comes later than its header, and numbers are used again once a conversation was removed.
CREATE TABLE arrivals (
    position INTEGER PRIMARY KEY,
    entry    INTEGER NOT NULL UNIQUE REFERENCES entries,
    came     INTEGER                                      -- the position at which its content came; NULL: this one; 0: before
) STRICT;
CREATE TABLE arrived (
    id       INTEGER PRIMARY KEY CHECK (id = 1), -- one row
    position INTEGER NOT NULL                    -- the last that was given
) STRICT;
INSERT INTO arrived (id, position) VALUES (1, 0);

CREATE TRIGGER arrivals_came AFTER INSERT ON bodies WHEN EXISTS (SELECT 1 FROM clients)
    AND (SELECT kind FROM entries WHERE number = NEW.entry) NOT IN (3, 4, 6)
    -- What this terminal had let go of is no news.
    AND NOT EXISTS (SELECT 1 FROM headers_alone WHERE entry = NEW.entry AND terminal = -1)
    BEGIN UPDATE arrived SET position = 1 + max(position, (SELECT max(acknowledged) FROM clients), (SELECT ifnull(max(position), 0) FROM arrivals));
    DELETE FROM arrivals WHERE entry = NEW.entry;
    INSERT INTO arrivals (position, entry, came) SELECT position, NEW.entry, NULL FROM arrived; END;
CREATE TRIGGER arrivals_destroyed AFTER UPDATE OF destroyed ON entries
    WHEN NEW.destroyed != OLD.destroyed AND EXISTS (SELECT 1 FROM clients) AND NEW.kind NOT IN (3, 4, 6)
    BEGIN UPDATE arrived SET position = 1 + max(position, (SELECT max(acknowledged) FROM clients), (SELECT ifnull(max(position), 0) FROM arrivals));
    UPDATE arrivals SET came = ifnull(came, position), position = (SELECT position FROM arrived) WHERE entry = NEW.number;
    INSERT INTO arrivals (position, entry, came) SELECT position, NEW.number, 0 FROM arrived
        WHERE NOT EXISTS (SELECT 1 FROM arrivals WHERE entry = NEW.number); END;

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

-- An entry that arrives after those that name it may raise the ranks of everything written since. A piece
-- of that is done with the entry, and the rest later: what is still to be done must survive the process.
CREATE TABLE raises (
    entry        INTEGER PRIMARY KEY, -- entries.number
    conversation INTEGER NOT NULL,
    least        INTEGER NOT NULL,    -- the rank that it must have at least
    rank_before  INTEGER              -- its rank without that, until the entries that name it were looked at
) STRICT;
CREATE INDEX raises_to_follow ON raises (conversation, rank_before) WHERE rank_before IS NOT NULL;
CREATE INDEX raises_to_write ON raises (conversation, least) WHERE rank_before IS NULL;

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

-- What deletes and edits name. Their authors and nobody else fill these two tables.
CREATE TABLE amendments (
    entry        INTEGER NOT NULL REFERENCES entries,         -- a delete, until it is followed, or an edit
    target       BLOB NOT NULL CHECK (length(target) = 32),   -- id that it names, held or not
    conversation INTEGER NOT NULL,                            -- of `entry`
    own          INTEGER NOT NULL,                            -- 1: this person wrote it; known once it was followed
    state        INTEGER NOT NULL,                            -- 0: in force; 1: to be followed; 2: its target is not held; 3: it does not count
    PRIMARY KEY (entry, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX amendments_by_target ON amendments (target, state);
CREATE INDEX amendments_due ON amendments (entry, target) WHERE state = 1;
CREATE INDEX amendments_by_conversation ON amendments (conversation, state, own);
-- An edit is shown by its order, which what arrives late may change.
CREATE TRIGGER amendments_moved AFTER UPDATE OF rank ON entries WHEN NEW.kind = 4
    BEGIN UPDATE amendments SET state = 1 WHERE entry = NEW.number AND state = 0; END;

CREATE TABLE amended (
    entry INTEGER PRIMARY KEY REFERENCES entries,
    by    INTEGER NOT NULL REFERENCES entries -- the edit whose words are shown, or the delete that took them
) STRICT;
CREATE INDEX amended_by_entry ON amended (by);
CREATE TRIGGER arrivals_edited AFTER INSERT ON amended WHEN EXISTS (SELECT 1 FROM clients)
    BEGIN UPDATE arrived SET position = 1 + max(position, (SELECT max(acknowledged) FROM clients), (SELECT ifnull(max(position), 0) FROM arrivals));
    UPDATE arrivals SET came = ifnull(came, position), position = (SELECT position FROM arrived) WHERE entry = NEW.entry;
    INSERT INTO arrivals (position, entry, came) SELECT position, NEW.entry, 0 FROM arrived
        WHERE NOT EXISTS (SELECT 1 FROM arrivals WHERE entry = NEW.entry); END;

-- Words of text entries in the form of chat/storage/entries.py; rowid is entries.number. The last words of a row have
-- U+E000 before them, a form that no text has. `t` and the conversation's number: a search in one conversation passes
-- over no hits in the others. `p`, `q` and `r` and the period of eight days since 2020 of the author's time, in
-- hexadecimal without its last 0, 1 and 2 digits, and beginnings of one and two characters: a search as one types
-- looks at no more hits than it shows. Longer beginnings begin few words.
CREATE VIRTUAL TABLE search USING fts5 (
    text,
    columnsize = 0,
    prefix = '1 2',
    tokenize = "unicode61 remove_diacritics 2"
);
-- Without this deleted words stay in the index's segments.
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);
