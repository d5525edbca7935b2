-- Schema 5. The recoveries that decide which of several is in force. An id alone must not decide it, since an id
-- can be ground.

CREATE TABLE pins (
    person    BLOB NOT NULL CHECK (length(person) = 32),   -- whose log it is
    recovery  BLOB NOT NULL CHECK (length(recovery) = 32), -- id of the operation
    confirmed INTEGER NOT NULL, -- 1: this person compared words or the safety number; 0: it was seen first
    PRIMARY KEY (person, recovery)
) STRICT, WITHOUT ROWID;
