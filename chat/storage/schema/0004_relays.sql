-- Schema 4. The relays that this person named. Terminals meet there. Only invitations pass an address on.

CREATE TABLE relays (
    number  INTEGER PRIMARY KEY,          -- in the order in which they came
    address TEXT NOT NULL UNIQUE,         -- parlour-relay:HOST:PORT#KEY, the one text of a relay
    invited INTEGER NOT NULL,             -- 1: it came with an invitation that was used; 0: named by hand
    since   INTEGER NOT NULL              -- when it was named
) STRICT;
