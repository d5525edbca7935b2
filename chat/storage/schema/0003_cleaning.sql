-- Schema 3. What was deleted stays in free pages, in gaps and in the log until the file is cleaned: that this is
-- still to be done is a fact of its own, so that the next start cleans after a crash.

CREATE TABLE cleaning (
    id    INTEGER PRIMARY KEY CHECK (id = 1), -- one row, while a cleaning is due
    words INTEGER NOT NULL                    -- 1: the index of words has to be written anew first
) STRICT;
