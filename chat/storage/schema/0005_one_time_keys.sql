-- Schema 5. An invitation has a static key of its own, whose secret is kept until the pairing is done or the
-- invitation expires. Invitations without such a key are of no use any more. Static keys that contacts have proven
-- are kept, since two contacts who prove one key share it, or one of them stole it.

DROP TABLE invitations;
CREATE TABLE invitations (
    number     INTEGER PRIMARY KEY,
    secret     BLOB NOT NULL UNIQUE CHECK (length(secret) = 16),
    one_time   BLOB NOT NULL CHECK (length(one_time) = 32), -- X25519, answers this invitation's joiner
    expires    INTEGER NOT NULL,                            -- seconds of Unix time, as it is written in it
    text       TEXT NOT NULL,                               -- as the other person types it
    burned_by  BLOB CHECK (length(burned_by) = 32)          -- the one-time static key that used it, or NULL
) STRICT;

CREATE TABLE proven_keys (
    person BLOB NOT NULL CHECK (length(person) = 32),
    static BLOB NOT NULL CHECK (length(static) = 32), -- X25519, of a terminal in the person's log
    PRIMARY KEY (person, static)
) STRICT, WITHOUT ROWID;
