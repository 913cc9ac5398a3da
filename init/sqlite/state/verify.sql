-- opsctl set "state": writes that wait for a server, one for each server; archives that this host made; restores that it began; samples of statistics.

SELECT (SELECT count(*) FROM opsctl_journal_targets) AS queued,
  (SELECT count(*) FROM opsctl_archives) AS archives,
  (SELECT count(*) FROM opsctl_restores) AS restores,
  (SELECT count(*) FROM opsctl_samples) AS samples;
