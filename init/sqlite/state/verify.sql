-- opsctl set "state": writes that wait for a server, one for each server; archives that this host made.

SELECT (SELECT count(*) FROM opsctl_journal_targets) AS queued,
  (SELECT count(*) FROM opsctl_archives) AS archives;
