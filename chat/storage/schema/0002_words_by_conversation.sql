-- Schema 2. The index of words names each entry's conversation, so that a search in one of them does not pass
-- over all hits in the others: the last word of a row is U+E000, `t` and the conversation's number, a form that
-- no text has.

ALTER TABLE search RENAME TO search_before;

-- Words of text entries in the form of chat/storage/entries.py; rowid is entries.number.
CREATE VIRTUAL TABLE search USING fts5 (
    text,
    columnsize = 0,
    tokenize = "unicode61 remove_diacritics 2"
);
-- Without this deleted words stay in the index's segments.
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);

INSERT INTO search (rowid, text)
SELECT s.rowid, s.text || ' ' || char(0xe000) || 't' || e.conversation
FROM search_before AS s JOIN entries AS e ON e.number = s.rowid ORDER BY s.rowid;

DROP TABLE search_before;
