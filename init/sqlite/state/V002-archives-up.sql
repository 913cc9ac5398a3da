-- opsctl set "state", schema v1.1.0: the archives that this host made. The archives themselves say what they hold; this says that they are ours.

CREATE TABLE IF NOT EXISTS opsctl_archives (
  sequence   INTEGER PRIMARY KEY,
  name       TEXT NOT NULL,
  path       TEXT NOT NULL,              -- absolute
  sha256     TEXT NOT NULL,              -- of the archive
  created_at INTEGER NOT NULL,           -- ms
  state      TEXT NOT NULL CHECK (state IN ('complete', 'incomplete'))
);

CREATE INDEX IF NOT EXISTS opsctl_archives_sha256 ON opsctl_archives (sha256);

-- Greatest number ever given to an archive, also to one that was never finished.
CREATE TABLE IF NOT EXISTS opsctl_archive_sequence (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  last INTEGER NOT NULL
);

INSERT OR IGNORE INTO opsctl_archive_sequence VALUES (1, 0);
