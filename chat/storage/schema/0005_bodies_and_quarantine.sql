-- Schema 5. A body that has not come is missing and may still come; only `destroyed` says that it was deleted.
-- Entries of a removed terminal stay apart unless those that were held before lead to them.

CREATE TABLE headers_alone (
    entry    INTEGER NOT NULL REFERENCES entries, -- whose body is missing
    terminal INTEGER NOT NULL,                    -- terminals.number: passed it without its body, and is not asked again
    PRIMARY KEY (entry, terminal)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    entry INTEGER PRIMARY KEY REFERENCES entries -- of a removed terminal, and nothing shows that it is from before
) STRICT;
