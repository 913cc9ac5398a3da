-- opsctl set "state", schema v1.3.0: figures of servers over time, for growth.

CREATE TABLE IF NOT EXISTS opsctl_samples (
  target TEXT NOT NULL,                  -- identity of the target: engine:host:port/database
  metric TEXT NOT NULL,
  at     INTEGER NOT NULL,               -- ms
  value  REAL NOT NULL,
  PRIMARY KEY (target, metric, at)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS opsctl_samples_at ON opsctl_samples (at);
