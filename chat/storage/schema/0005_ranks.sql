-- Schema 5. An entry that arrives after those that name it may raise the ranks of everything written since. A piece
-- of that is done with the entry, and the rest later: what is still to be done must survive the process.

CREATE TABLE raises (
    entry        INTEGER PRIMARY KEY, -- entries.number
    conversation INTEGER NOT NULL,
    least        INTEGER NOT NULL,    -- the rank that it must have at least
    rank_before  INTEGER              -- its rank without that, until the entries that name it were looked at
) STRICT;
CREATE INDEX raises_to_follow ON raises (conversation, rank_before) WHERE rank_before IS NOT NULL;
CREATE INDEX raises_to_write ON raises (conversation, least) WHERE rank_before IS NULL;
