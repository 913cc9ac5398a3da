-- opsctl set "state": writes that wait for a server, one for each server.

SELECT count(*) AS queued FROM opsctl_journal_targets;
