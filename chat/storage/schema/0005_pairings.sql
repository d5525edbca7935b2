-- The order in which pairings were made here. A number in a share is the other side's claim and orders nothing.
ALTER TABLE shares ADD COLUMN pairing INTEGER NOT NULL DEFAULT 0;
UPDATE shares SET pairing = (
    SELECT count(DISTINCT o.root) FROM shares AS o
    WHERE o.contact = shares.contact AND o.owner = 'own'
    AND o.number <= (SELECT max(m.number) FROM shares AS m
        WHERE m.contact = shares.contact AND m.root = shares.root AND m.owner = 'own')
);
