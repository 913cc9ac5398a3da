-- opsctl set "memory", schema v1.1.0: shapes of lines whose values change, and the version of what made each entry of the index.

-- What is there was made by version 1; whoever writes an entry says its own version.
ALTER TABLE memori_metadata ADD COLUMN index_version INTEGER NOT NULL DEFAULT 1;

-- Version of the oldest entry.
ALTER TABLE memori_statistics ADD COLUMN index_version INTEGER NOT NULL DEFAULT 2;
UPDATE memori_statistics SET index_version = 1 WHERE documents > 0;

-- FTS5 cannot add a column: the entries go into a new table, which then takes the name of the old one. The pragma leaves views of others alone.
CREATE VIRTUAL TABLE opsctl_index_next USING fts5 (title, body, shape, tokenize = "ascii tokenchars '_'");
INSERT INTO opsctl_index_next (rowid, title, body, shape) SELECT rowid, title, body, '' FROM memori_index;
PRAGMA legacy_alter_table = ON;
DROP TABLE memori_index;
ALTER TABLE opsctl_index_next RENAME TO memori_index;
PRAGMA legacy_alter_table = OFF;
