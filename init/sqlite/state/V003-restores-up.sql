-- opsctl set "state", schema v1.2.0: the restores that this host began, so that another process can go on with one, or go back.

CREATE TABLE IF NOT EXISTS opsctl_restores (
  -- the order in which they began
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE,
  name        TEXT NOT NULL,             -- of the archive
  path        TEXT NOT NULL,
  sha256      TEXT NOT NULL,             -- of the archive
  folder      TEXT NOT NULL,             -- absolute; work of the restore, and its safety backups
  state       TEXT NOT NULL CHECK (state IN ('preparing', 'swapping', 'done', 'undoing', 'undone', 'forgotten')),
  actor       TEXT NOT NULL,             -- user@host
  started_at  INTEGER NOT NULL,          -- ms
  finished_at INTEGER,                   -- ms
  request     TEXT NOT NULL              -- JSON
);

-- What is restored, each into a target of its own.
CREATE TABLE IF NOT EXISTS opsctl_restore_parts (
  restore_id TEXT NOT NULL REFERENCES opsctl_restores (id) ON DELETE CASCADE,
  position   INTEGER NOT NULL,           -- in the restore
  engine     TEXT NOT NULL,
  name       TEXT NOT NULL,              -- in the target
  identity   TEXT NOT NULL,              -- of the target: engine:host:port/database
  source     TEXT NOT NULL,              -- name in the set
  kinds      TEXT NOT NULL,              -- of its files, separated by commas
  undo       TEXT NOT NULL CHECK (undo IN ('kept', 'safety', 'empty', 'none')),
  safety     TEXT,                      -- file name in the folder of what was there before; NULL: none, or none yet
  state      TEXT NOT NULL CHECK (state IN ('planned', 'prepared', 'swapping', 'swapped', 'returning', 'undone')),
  saved      TEXT NOT NULL,              -- JSON: what the part needs to go on
  PRIMARY KEY (restore_id, engine, name)
) WITHOUT ROWID;
