-- opsctl set "state", schema v1.0.0: the journal of writes on their way to servers. It belongs to this host and is never restored.

CREATE TABLE IF NOT EXISTS opsctl_journal (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  -- time of the write, ms; never goes back, even when the clock does
  write_time INTEGER NOT NULL,
  -- the write as JSON, without "order", which is write_time
  payload    TEXT NOT NULL
);

-- One row for each store that does not have the write yet.
CREATE TABLE IF NOT EXISTS opsctl_journal_targets (
  store      TEXT NOT NULL,              -- engine:host:port/database
  seq        INTEGER NOT NULL REFERENCES opsctl_journal (seq) ON DELETE CASCADE,
  state      TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'rejected')),
  attempts   INTEGER NOT NULL DEFAULT 0,
  -- the process that wrote it delivers it first; others wait until that is over, or the process is gone
  owner      INTEGER NOT NULL,
  owned_to   INTEGER NOT NULL,           -- ms
  last_error TEXT,
  PRIMARY KEY (store, seq)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS opsctl_journal_targets_seq ON opsctl_journal_targets (seq);

-- Greatest write_time ever given: rows leave, time must not go back.
CREATE TABLE IF NOT EXISTS opsctl_journal_clock (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  last INTEGER NOT NULL
);

INSERT OR IGNORE INTO opsctl_journal_clock VALUES (1, 0);
